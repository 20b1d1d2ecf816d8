"""A recipe as flat names and texts, for trackers that know no nesting."""

from __future__ import annotations

import dataclasses

from models.recipe import Recipe

LONGEST_VALUE = 6_000
"""Characters that MLflow keeps of a parameter."""


def list_parameters(recipe: Recipe) -> dict[str, str]:
    """Return every value of a recipe by its dotted name: `recipe.optimizer.momentum` is `0.9`.

    What is absent from the recipe (`None`) is left out; where a value is one of the recipe's types
    the name of that type stands for it, and its own values follow.
    """
    return dict(_list("recipe", recipe))


def _list(name: str, value: object) -> list[tuple[str, str]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = [] if isinstance(value, Recipe) else [(name, type(value).__name__)]
        fields = [
            entry
            for field in dataclasses.fields(value)
            for entry in _list(f"{name}.{field.name}", getattr(value, field.name))
        ]
        return own + fields
    if isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        return [
            entry
            for place, each in enumerate(value, start=1)
            for entry in _list(f"{name}.{place}", each)
        ]
    return [] if value is None else [(name, str(value)[:LONGEST_VALUE])]
