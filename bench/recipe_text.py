"""A recipe as the text of a TOML file, every field of it, to start an own one from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from models.recipe import Pipeline, Recipe


def write_recipe(recipe: Recipe) -> str:
    """Return TOML that `bench.recipes.read_recipe` reads as the same recipe."""
    fields = {each.name: getattr(recipe, each.name) for each in dataclasses.fields(recipe)}
    plain = {name: value for name, value in fields.items() if not dataclasses.is_dataclass(value)}
    lines = list(_write_fields(plain))
    for name, value in fields.items():
        if dataclasses.is_dataclass(value):
            lines += ["", *_write_table(name, value)]
    return "\n".join(lines) + "\n"


def _write_table(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Pipeline):
        yield f"[{name}]"
        yield from _write_fields(_list_fields(value))
        return
    yield f"[{name}]"
    yield f"kind = {json.dumps(type(value).__name__)}"
    for part in dataclasses.fields(value):
        for transform in getattr(value, part.name):
            yield ""
            yield f"[[{name}.{part.name}]]"
            yield from _write_fields(_list_fields(transform))


def _list_fields(value: Any) -> dict[str, Any]:
    fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return {"kind": type(value).__name__, **fields}


def _write_fields(fields: dict[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if value is not None:
            yield f"{name} = {_write_value(value)}"


def _write_value(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return f"{{ {', '.join(_write_fields(_list_fields(value)))} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, str) else repr(value)
