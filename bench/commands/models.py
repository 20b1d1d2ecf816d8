"""Options by which a model file of anyone's takes the place of an iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from bench.commands.options import complete_iterations, find_models, find_project
from bench.foreign import find_iterations, write_words
from bench.iterations import Iteration

MODEL_NAMES = "[ITERATION|FILE:CLASS]..."

models_argument = click.argument(
    "iterations", nargs=-1, metavar=MODEL_NAMES, shell_complete=complete_iterations
)
_recipe_option = click.option(
    "--recipe",
    metavar="FILE.toml|ITERATION",
    shell_complete=complete_iterations,
    help="Recipe of the model files: of a TOML file, or that of an iteration. Needed where a file "
    "has none of its own.",
)
_argument_option = click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="NAME=LITERAL",
    help="What the constructor of the model file is given, as in --argument dropout=0.1; again for "
    "each.",
)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --recipe and --argument, as `recipe` and `arguments`."""
    return _recipe_option(_argument_option(function))


def choose_iterations(
    names: Sequence[str],
    recipe: str | None = None,
    arguments: Sequence[str] = (),
    *,
    trains: bool = True,
) -> tuple[Iteration, ...]:
    """Return iterations and model files by their names; the project's iterations without names.

    Raises:
        BenchError: see `bench.foreign.find_iterations`.
    """
    return find_iterations(
        names,
        recipe=recipe,
        arguments=arguments,
        root=find_project()[0],
        folder=find_models(),
        trains=trains,
    )


def group_words(iterations: Sequence[Iteration]) -> list[str]:
    """Return what commands name iterations by: those of the project at once, each model file."""
    ours = [iteration.name for iteration in iterations if iteration.origin is None]
    foreign = [write_words(iteration) for iteration in iterations if iteration.origin is not None]
    return [*([" ".join(ours)] if ours else []), *foreign]
