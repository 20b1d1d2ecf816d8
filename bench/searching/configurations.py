"""Configurations: a point of a space as an iteration that can be trained, named by its code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import IterationError, RecipeError, SearchError, SettingsError
from bench.foreign import change_recipe, find_iterations
from bench.iterations import Iteration
from bench.recipe_text import write_recipe
from bench.recipes import KIND, find_recipe, make_recipe
from bench.searching.spaces import Draw, Field, Space, fill
from models.recipe import Recipe

_DIGITS = 16
"""Of a fingerprint, in the name under which the ledger keeps a configuration."""


class Family:
    """All configurations of a space: one model, its recipe and arguments with something varied."""

    def __init__(self, space: Space, *, root: Path, folder: Path) -> None:
        """Read the model and its recipe; `root` and `folder` are as for `find_iterations`.

        Raises:
            SearchError: there is no such model or recipe, nothing varies, or an end of a range is
                no value for its field; the message names file and field.
        """
        self._space = space
        self.base = _find_base(space, root, folder)
        """The model without anything varied."""
        if self.base.origin is None and space.arguments:
            raise SearchError(
                f"{space.path}: arguments: {self.base.name} takes none; name a class that does, as "
                'in model = "path/to/model.py:Net"'
            )
        for name in space.arguments:
            if not name.isidentifier():
                raise SearchError(f"{space.path}: arguments: {name!r} is no name of an argument")
        self._recipe = _merge(tomllib.loads(write_recipe(self.base.recipe)), space.recipe)
        self.fields = self._list_fields()
        """What varies, by its path."""
        if not self.fields:
            raise SearchError(
                f"{space.path}: nothing varies; write, say, recipe.batch_size = "
                "{ choices = [64, 128] }"
            )

    def configure(self, draw: Draw) -> Iteration:
        """Return the configuration that is drawn.

        Raises:
            RecipeError: what was drawn makes no recipe together.
        """
        recipe = self._make_recipe(draw)
        arguments = fill(self._space.arguments, draw, "arguments")
        literals = tuple(sorted((name, repr(value)) for name, value in arguments.items()))
        changed = change_recipe(self.base, recipe, literals)
        return replace(changed, name=f"{self.base.name}-{changed.fingerprint[:_DIGITS]}")

    def recall(self, drawn: Mapping[str, int]) -> Iteration:
        """Return the configuration that was drawn before."""
        return self.configure(lambda where, _field: drawn[where])

    def _make_recipe(self, draw: Draw) -> Recipe:
        return make_recipe(fill(self._recipe, draw, "recipe"), origin=f"{self._space.path}: recipe")

    def _list_fields(self) -> dict[str, Field]:
        """Find what varies; make every recipe that has one field at an end or another choice."""
        found: dict[str, Field] = {}
        waiting: list[dict[str, int]] = [{}]
        while waiting:
            fixed = waiting.pop()
            met: dict[str, Field] = {}

            def draw(where: str, field: Field, fixed: Any = fixed, met: Any = met) -> int:
                met[where] = field
                number: int = fixed.get(where, field.ends[0])
                return number

            try:
                self._make_recipe(draw)
            except RecipeError as error:
                raise SearchError(str(error)) from error
            fill(self._space.arguments, draw, "arguments")
            new = {where: field for where, field in met.items() if where not in found}
            found |= new
            waiting += [
                {**fixed, where: end} for where, field in new.items() for end in field.ends[1:]
            ]
        return dict(sorted(found.items()))


def _find_base(space: Space, root: Path, folder: Path) -> Iteration:
    names, recipe = (space.model,), space.base_recipe
    try:
        (found,) = find_iterations(names, root=root, folder=folder, trains=False)
        if found.origin is not None:
            (found,) = find_iterations(names, recipe=recipe, root=root, folder=folder)
        elif recipe is not None:
            found = change_recipe(found, find_recipe(recipe, folder))
    except (IterationError, SettingsError) as error:
        text = str(error).replace("--recipe iteration_4, or --recipe FILE.toml", "base_recipe")
        raise SearchError(f"{space.path}: model: {text}") from error
    except RecipeError as error:
        raise SearchError(f"{space.path}: base_recipe: {error}") from error
    return found


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with changes; a table that names its kind takes the place of the base's."""
    merged = dict(base)
    for name, change in changes.items():
        here = base.get(name)
        within = isinstance(change, Mapping) and KIND not in change and isinstance(here, Mapping)
        merged[name] = _merge(here, change) if within and here is not None else change
    return merged
