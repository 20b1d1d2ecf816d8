"""`bench recipe`."""

from __future__ import annotations

import click

from bench.commands.options import complete_iterations, find_models
from bench.recipe_text import write_recipe
from bench.recipes import find_recipe


@click.command("recipe")
@click.argument("recipe", metavar="ITERATION|FILE", shell_complete=complete_iterations)
def command(recipe: str) -> None:
    """Print a recipe as TOML, every field of it: one to start an own file from, or a check of one.

    \b
    bench recipe iteration_4 > recipe.toml   start from an iteration's
    bench recipe recipe.toml                 what a file means, with every default

    docs/recipes.md lists all types and fields, and the names that torch has for them.
    """  # noqa: D301
    click.echo(write_recipe(find_recipe(recipe, find_models())), nl=False)
