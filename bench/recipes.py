"""Recipes that stand alone: a built-in iteration's, or one from a TOML file.

A recipe file holds the fields of `models.recipe.Recipe` under their own names; a table that stands
for one of several types says which with `kind`. docs/recipes.md lists every field.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.errors import RecipeError
from bench.files import read_regular
from bench.iterations import list_iterations, read_iteration
from bench.limits import MOST_EPOCHS, MOST_NUMBER, MOST_SOURCE_BYTES
from bench.literals import find_fault, find_schedule_fault, fits, shorten
from models.recipe import Recipe

KIND = "kind"
"""The key of a table that names its type."""

_LISTED = 12
"""Names that an error lists when none is close to what was written."""


def find_recipe(text: str) -> Recipe:
    """Return the recipe of a built-in iteration (`iteration_4`), an iteration file or a TOML file.

    Raises:
        RecipeError: there is no such recipe, or the file cannot be read as one.
        IterationError: an iteration's file cannot be read as one.
    """
    path = Path(text)
    if path.suffix == ".py":
        return read_iteration(path).recipe
    if path.suffix == ".toml" or path.is_file():
        return read_recipe(path)
    known = {iteration.name: iteration.recipe for iteration in list_iterations()}
    if text not in known:
        raise RecipeError(f"{text}: no such recipe; name a TOML file or one of {', '.join(known)}")
    return known[text]


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        RecipeError: the file cannot be read, or a field is unknown, missing or wrong; the message
            names it.
    """
    try:
        content = read_regular(path, inside=path.parent, most_bytes=MOST_SOURCE_BYTES)
        values = tomllib.loads(content.decode())
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid TOML ({error}); correct it") from error
    try:
        recipe: Recipe = _build(Recipe, values, "")
    except _FieldError as error:
        raise RecipeError(f"{path}: {error}") from error
    fault = find_schedule_fault(recipe)
    if fault:
        raise RecipeError(f"{path}: schedule: {shorten(recipe.schedule)} {fault}")
    return recipe


class _FieldError(Exception):
    """What is wrong with a field, which the message names, and what to do."""


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    """Return the dataclass of a table whose fields are at `where` ("schedule.", "" at the top)."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    for name in table:
        if name not in fields:
            raise _FieldError(
                f"{where}{name}: no such field of {kind.__name__}; {_suggest(name, list(fields))}"
            )
    values = {name: _read_value(table[name], hints[name], f"{where}{name}") for name in table}
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise _FieldError(
                f"{where}{name}: missing; {kind.__name__} needs it{_list_choices(hints[name])}"
            )
    try:
        return kind(**values)
    except ValueError as error:
        raise _FieldError(f"{where.rstrip('.') or 'recipe'}: {error}") from error


def _read_value(value: object, hint: Any, where: str) -> Any:
    """Return what a value of the file stands for: a dataclass, or a plain value of its type."""
    kinds = _list_kinds(hint)
    if isinstance(value, dict) and kinds:
        return _build_chosen(value, kinds, where)
    value = _freeze(value)
    if not fits(value, hint):
        raise _FieldError(
            f"{where}: {shorten(value)} is not a value for it; write {_describe(hint)}"
        )
    most = MOST_EPOCHS if where == "epochs" else MOST_NUMBER
    fault = find_fault(value, most)
    if fault:
        raise _FieldError(f"{where}: {shorten(value)} has {fault}")
    return value


def _build_chosen(table: dict[str, Any], kinds: dict[str, type], where: str) -> Any:
    """Return the dataclass that a table's `kind` names."""
    choices = ", ".join(kinds)
    if KIND not in table:
        raise _FieldError(f"{where}.{KIND}: missing; choose from {choices}")
    chosen = table[KIND]
    if not isinstance(chosen, str) or chosen not in kinds:
        raise _FieldError(f"{where}.{KIND}: {shorten(chosen)} is not one; choose from {choices}")
    rest = {name: value for name, value in table.items() if name != KIND}
    return _build(kinds[chosen], rest, f"{where}.")


def _list_kinds(hint: Any) -> dict[str, type]:
    """Return the dataclasses that a field takes, by their names."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return {
        option.__name__: option
        for option in options
        if isinstance(option, type) and dataclasses.is_dataclass(option)
    }


def _freeze(value: object) -> object:
    return tuple(map(_freeze, value)) if isinstance(value, list) else value


def _describe(hint: Any) -> str:
    """Say in words what a field takes."""
    origin, arguments = get_origin(hint), get_args(hint)
    kinds = _list_kinds(hint)
    if kinds:
        return f"a table with {KIND} = {' or '.join(map(repr, kinds))}"
    if origin in (Union, UnionType):
        return " or ".join(_describe(each) for each in arguments if each is not type(None))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        if Ellipsis in arguments:
            return f"a list of which each is {_describe(arguments[0])}"
        return f"a list of {len(arguments)}, each {_describe(arguments[0])}"
    return _PLAIN[hint]


_PLAIN = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def _list_choices(hint: Any) -> str:
    return f": {_describe(hint)}"


def _suggest(name: str, known: list[str]) -> str:
    """Return the known names closest to a wrong one, or all of them."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"
