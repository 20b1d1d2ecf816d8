"""Recipes that stand alone: a built-in iteration's, or one from a TOML file.

A recipe file holds the fields of `models.recipe.Recipe` under their own names or torch's; a table
that stands for one of several types says which with `kind`. docs/recipes.md lists every field.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.errors import RecipeError
from bench.files import read_regular
from bench.iterations import MODELS, list_iterations, read_iteration
from bench.limits import MOST_BATCH, MOST_EPOCHS, MOST_NUMBER, MOST_SOURCE_BYTES
from bench.literals import find_fault, find_schedule_fault, fits, shorten
from bench.torch_names import OWN_RATES, VOCABULARIES, FieldError, Table, Vocabulary
from models.recipe import Pipeline, Recipe

KIND = "kind"
"""The key of a table that names its type."""

_MOST = {"epochs": MOST_EPOCHS, "batch_size": MOST_BATCH}
_REPEATED = {"fill", "size", "value", "kernel_size"}
"""What torchvision takes as one number for each channel or side; one is enough here."""


def find_recipe(text: str, folder: Path = MODELS) -> Recipe:
    """Return the recipe of an iteration of a folder (`iteration_4`), of its file, or a TOML file.

    Raises:
        RecipeError: there is no such recipe, or the file cannot be read as one.
        IterationError: an iteration's file cannot be read as one.
    """
    path = Path(text)
    if path.suffix == ".py":
        return read_iteration(path).recipe
    if is_recipe_file(text):
        return read_recipe(path)
    known = {iteration.name: iteration.recipe for iteration in list_iterations(folder)}
    if text not in known:
        raise RecipeError(f"{text}: no such recipe; name a TOML file or one of {', '.join(known)}")
    return known[text]


def is_recipe_file(text: str) -> bool:
    """Say whether a recipe is named by a file, and not by an iteration."""
    path = Path(text)
    return path.suffix in (".py", ".toml") or path.is_file()


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        RecipeError: the file cannot be read, or a field is unknown, missing or wrong; the message
            names it.
    """
    try:
        content = read_regular(path, inside=path.parent, most_bytes=MOST_SOURCE_BYTES)
        return parse_recipe(content.decode(), origin=str(path))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not valid TOML ({error}); correct it") from error


def parse_recipe(text: str, *, origin: str) -> Recipe:
    """Return the recipe that a TOML text describes; `origin` begins every error.

    Raises:
        RecipeError: as `read_recipe`.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{origin}: not valid TOML ({error}); correct it") from error
    return make_recipe(values, origin=origin)


def make_recipe(values: Table, *, origin: str) -> Recipe:
    """Return the recipe of a TOML table; `origin` begins every error.

    Raises:
        RecipeError: as `read_recipe`.
    """
    try:
        recipe: Recipe = _build(Recipe, _place_rate(values), "", Vocabulary(kind="Recipe"))
    except FieldError as error:
        raise RecipeError(f"{origin}: {error}") from error
    fault = find_schedule_fault(recipe)
    if fault:
        raise RecipeError(f"{origin}: schedule: {shorten(recipe.schedule)} {fault}")
    return recipe


def _place_rate(values: Table) -> Table:
    """Move the optimiser's `lr`, where torch has it, to the schedule, which has it here."""
    optimizer, schedule = values.get("optimizer"), values.get("schedule")
    if not isinstance(optimizer, dict) or "lr" not in optimizer:
        if schedule is None:
            raise FieldError(
                "schedule: missing; add the table, or lr to [optimizer] for a constant rate"
            )
        return values
    rate = _read_value(optimizer["lr"], float, "optimizer.lr")
    rest = {name: value for name, value in optimizer.items() if name != "lr"}
    if schedule is None:
        schedule = {KIND: "Constant", "rate": rate}
    elif isinstance(schedule, dict):
        kind = schedule.get(KIND)
        if isinstance(kind, str) and kind in OWN_RATES:
            raise FieldError(
                f"optimizer.lr: has no effect: {kind} sets every rate itself; leave it out"
            )
        for name in ("rate", "lr"):
            if name in schedule:
                raise FieldError(f"schedule.{name}: said twice, by optimizer.lr too")
        schedule = {**schedule, "rate": rate}
    return {**values, "optimizer": rest, "schedule": schedule}


def _build(kind: type, table: Table, where: str, words: Vocabulary) -> Any:
    """Return the dataclass of a table whose fields are at `where` ("schedule.", "" at the top)."""
    for name in words.required:
        if name not in table:
            raise FieldError(f"{where}{name}: missing; torch needs it too")
    try:
        table = words.rewrite(_check_names(kind, table, where, words), partial(_read_named, where))
    except FieldError as error:
        raise FieldError(_prefix(str(error), where)) from None
    hints = get_type_hints(kind)
    values: Table = dict(words.defaults)
    for name, value in table.items():
        own = words.fields.get(name, name)
        values[own] = _read_value(_unrepeat(own, value), hints[own], f"{where}{name}")
    for each in dataclasses.fields(kind):
        if each.name not in values and each.default is dataclasses.MISSING:
            name = words.name(each.name)
            raise FieldError(
                f"{where}{name}: missing; {kind.__name__} needs it: {_describe(hints[each.name])}"
            )
    try:
        return kind(**values)
    except ValueError as error:
        raise FieldError(f"{where.rstrip('.') or 'recipe'}: {error}") from error


def _check_names(kind: type, table: Table, where: str, words: Vocabulary) -> Table:
    """Make sure that every name is one of the type's or torch's, and none is said by both."""
    own = [each.name for each in dataclasses.fields(kind)]
    known = [*map(words.name, own), *words.others]
    seen: dict[str, str] = {}
    for name in table:
        field = words.fields.get(name, name)
        if name not in words.fields and name not in own and name not in words.others:
            raise FieldError(
                f"{where}{_show(name)}: no such field of {kind.__name__}; {_suggest(name, known)}"
            )
        if field in seen:
            raise FieldError(f"{where}{name}: said twice, by {seen[field]} too; leave one out")
        seen[field] = name
    return dict(table)


def _read_named(where: str, name: str, value: object, hint: Any) -> Any:
    return _read_value(value, hint, f"{where}{name}")


def _prefix(message: str, where: str) -> str:
    return message if message.startswith(where) else f"{where}{message}"


def _unrepeat(name: str, value: object) -> object:
    """Return one number where torchvision takes several that are the same."""
    if name in _REPEATED and isinstance(value, list) and 1 <= len(value) <= 3:
        return value[0] if all(each == value[0] for each in value) else value
    return value


def _read_value(value: object, hint: Any, where: str) -> Any:
    """Return what a value of the file stands for: dataclasses, or a plain value of its type."""
    kinds = list_kinds(hint)
    if isinstance(value, dict) and kinds:
        return _build_chosen(value, kinds, where)
    inner = get_args(hint)[0] if get_origin(hint) is tuple else None
    if isinstance(value, list) and inner is not None and list_kinds(inner):
        fault = find_fault(tuple(value), MOST_NUMBER)
        if fault:
            raise FieldError(f"{where}: has {fault}")
        return tuple(_read_value(each, inner, f"{where}[{i}]") for i, each in enumerate(value))
    value = _freeze(value)
    if not fits(value, hint):
        raise FieldError(
            f"{where}: {shorten(value)} is not a value for it; write {_describe(hint)}"
        )
    fault = find_fault(value, _MOST.get(where, MOST_NUMBER))
    if fault:
        raise FieldError(f"{where}: {shorten(value)} has {fault}")
    return value


def _build_chosen(table: Table, kinds: dict[str, type], where: str) -> Any:
    """Return the dataclass that a table's `kind` names."""
    choices = {**{name: name for name in kinds}, **_list_torch_kinds(kinds)}
    chosen = table.get(KIND, _guess_kind(table, kinds))
    if chosen is None:
        raise FieldError(f"{where}.{KIND}: missing; choose from {', '.join(choices)}")
    if not isinstance(chosen, str) or chosen not in choices:
        raise FieldError(f"{where}.{KIND}: {_explain_kind(chosen, list(choices), where)}")
    words = VOCABULARIES.get(chosen, Vocabulary(kind=chosen))
    rest = {name: value for name, value in table.items() if name != KIND}
    return _build(kinds[words.kind], rest, f"{where}.", words)


def _list_torch_kinds(kinds: dict[str, type]) -> dict[str, str]:
    return {name: words.kind for name, words in VOCABULARIES.items() if words.kind in kinds}


def _guess_kind(table: Table, kinds: dict[str, type]) -> str | None:
    """Return the kind of a table that can be no other: a pipeline, by its parts."""
    parts = {each.name for each in dataclasses.fields(Pipeline)}
    return Pipeline.__name__ if Pipeline.__name__ in kinds and parts & set(table) else None


def _explain_kind(chosen: object, choices: list[str], where: str) -> str:
    if not isinstance(chosen, str):
        return f"{shorten(chosen)} is not one; choose from {', '.join(choices)}"
    if "plateau" in chosen.lower():
        return (
            f"{shorten(chosen)} steps on validation results, and training never sees a validation "
            "image: a rate chosen by them would be chosen by what judges the run; take one of "
            f"{', '.join(choices)}"
        )
    if where == "augmentation" and chosen in _list_transforms():
        return (
            f"{chosen} is a transform of a pipeline; write [[augmentation.pictures]], or tensors, "
            "or normalised"
        )
    return f"{shorten(chosen)} is not one; {_suggest(chosen, choices)}"


def _list_transforms() -> dict[str, type]:
    return list_kinds(get_args(get_type_hints(Pipeline)["pictures"])[0])


def list_kinds(hint: Any) -> dict[str, type]:
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
    kinds = list_kinds(hint)
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


def _show(name: str) -> str:
    """Return a key as an error shows it: as it is where TOML takes it without quotes."""
    return name if re.fullmatch(r"[\w-]{1,60}", name, re.ASCII) else shorten(name)


def _suggest(name: str, known: list[str]) -> str:
    """Return the known names closest to a wrong one, or all of them."""
    folded = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    close = [folded[each] for each in found]
    return f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"
