"""What a search varies: a recipe and a constructor's arguments with ranges in them, from TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bench.errors import SearchError
from bench.files import read_regular
from bench.limits import MOST_ENTRIES, MOST_NUMBER, MOST_SEED, MOST_SOURCE_BYTES
from bench.literals import find_fault, shorten
from bench.records import FIRST_TUNING_SEED

GRID = 1_000
"""A range of fractions is drawn as one of so many steps from its one end to the other."""

MOST_SEEDS = 1_000
ABSENT = "none"
"""The word by which a field of a recipe is left out: TOML has no null."""

Objective = Literal["minimum", "mean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both were written so.

    Fractions are drawn by `place`, 0 to GRID, evenly or with `log` evenly in their logarithms.
    """

    low: float
    high: float
    whole: bool
    log: bool = False
    step: int = 1

    @property
    def ends(self) -> tuple[int, int]:
        """Return what is drawn for `low` and for `high`."""
        return (int(self.low), int(self.high)) if self.whole else (0, GRID)

    def at(self, place: int) -> float:
        """Return the number of a place, to the decimals that tell it from its neighbours.

        A recipe shows it, and its fingerprint is the same wherever it is computed.
        """
        if self.whole:
            return place
        if place in (0, GRID):
            return float(self.high if place else self.low)
        if self.log:
            ratio = self.high / self.low
            value = self.low * math.pow(ratio, place / GRID)
            step = value * (math.pow(ratio, 1 / GRID) - 1)
        else:
            step = (self.high - self.low) / GRID
            value = self.low + step * place
        return min(max(round(value, math.ceil(-math.log10(step))), self.low), self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """One of several values; each may be a table with ranges of its own."""

    options: tuple[Any, ...]

    @property
    def ends(self) -> tuple[int, ...]:
        """Return what can be drawn."""
        return tuple(range(len(self.options)))


Field = Range | Choices
Draw = Callable[[str, Field], int]
"""Draws a field by its path: the place of a range, the index of a choice."""


@dataclass(frozen=True, slots=True)
class _Absent:
    """A field of a recipe that is left out."""


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file; docs/search.md has every key."""

    model: str
    base_recipe: str | None = None
    parameters: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    seeds: Annotated[int, Meta(ge=1, le=MOST_SEEDS)] = 9
    first_seed: Annotated[int, Meta(le=MOST_SEED - MOST_SEEDS)] = FIRST_TUNING_SEED
    first: Annotated[int, Meta(ge=1)] = 1
    keep: Annotated[int, Meta(ge=2, le=MOST_SEEDS)] = 3
    window: Annotated[int, Meta(ge=1)] | None = None
    objective: Objective = "minimum"
    beside: Annotated[int, Meta(ge=1, le=64)] = 4
    random_seed: Annotated[int, Meta(ge=0, le=10**9)] = 0
    recipe: dict[str, Any] = {}
    arguments: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What is searched, and by how many seeds.

    `recipe` and `arguments` are tables with a `Range` or `Choices` where something varies.
    `parameters` is the budget, a network must have fewer; `None` is the challenge's, as with
    `window`. The first `first` seeds are trained of every configuration; `keep` times as many of
    the best in `keep`, and so on up to `seeds`. `beside` configurations are open at a time.
    """

    path: Path
    model: str
    base_recipe: str | None
    parameters: int | None
    seeds: tuple[int, ...]
    first: int
    keep: int
    window: int | None
    objective: Objective
    beside: int
    random_seed: int
    recipe: Mapping[str, Any]
    arguments: Mapping[str, Any]
    written: Mapping[str, Any]
    """The file's keys as they were read, with what was left out."""

    def __post_init__(self) -> None:
        if min(self.seeds) < FIRST_TUNING_SEED:
            raise SearchError(f"{self.path}: first_seed: {explain_claim_seed(min(self.seeds))}")

    @property
    def rungs(self) -> tuple[int, ...]:
        """Return after how many seeds it is decided whether a configuration goes on."""
        ends = [min(self.first, len(self.seeds))]
        while ends[-1] < len(self.seeds):
            ends.append(min(ends[-1] * self.keep, len(self.seeds)))
        return tuple(ends)

    def describe(self, drawn: Mapping[str, int]) -> dict[str, Any]:
        """Return what was drawn, by its path, as it is shown: numbers, texts, kinds of tables."""
        shown: dict[str, Any] = {}

        def draw(where: str, field: Field) -> int:
            number = drawn[where]
            name = where.removeprefix("recipe.")
            shown[name] = (
                field.at(number) if isinstance(field, Range) else _show(field.options[number])
            )
            return number

        fill(self.recipe, draw, "recipe")
        fill(self.arguments, draw, "arguments")
        return shown


def explain_claim_seed(seed: int) -> str:
    """Say why a search does not take a seed."""
    return (
        f"{seed:,} is a claim seed, kept for the final judgement; "
        f"tuning seeds begin at {FIRST_TUNING_SEED:,}"
    )


def read_space(path: Path) -> Space:
    """Read a space from a TOML file.

    Raises:
        SearchError: the file cannot be read, or a key is unknown, missing or wrong; the message
            names it.
    """
    try:
        content = read_regular(path, inside=path.parent, most_bytes=MOST_SOURCE_BYTES).decode()
    except OSError as error:
        raise SearchError(
            f"{path}: cannot be read ({error.strerror}); `bench search --template` prints one to "
            "start from"
        ) from error
    except UnicodeDecodeError as error:
        raise SearchError(f"{path}: not valid TOML ({error}); correct it") from error
    return parse_space(content, path)


def parse_space(text: str, path: Path) -> Space:
    """Return the space that a TOML text describes; `path` begins every error.

    Raises:
        SearchError: as `read_space`.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SearchError(f"{path}: not valid TOML ({error}); correct it") from error
    try:
        found = msgspec.convert(table, _Document)
    except msgspec.ValidationError as error:
        raise SearchError(f"{path}: {error}; docs/search.md has every key") from error
    try:
        recipe = _parse(found.recipe, "recipe")
        arguments = _parse(found.arguments, "arguments")
    except RecursionError as error:
        raise SearchError(f"{path}: nested too deeply; write it flatter") from error
    except SearchError as error:
        raise SearchError(f"{path}: {error}") from error
    return Space(
        path=path,
        model=found.model,
        base_recipe=found.base_recipe,
        parameters=found.parameters,
        seeds=tuple(range(found.first_seed, found.first_seed + found.seeds)),
        first=found.first,
        keep=found.keep,
        window=found.window,
        objective=found.objective,
        beside=found.beside,
        random_seed=found.random_seed,
        recipe=recipe,
        arguments=arguments,
        written=msgspec.to_builtins(found),
    )


def fill(node: Any, draw: Draw, where: str) -> Any:
    """Return a table, a list or a value with something drawn in place of every range and choice."""
    if isinstance(node, Range):
        return node.at(draw(where, node))
    if isinstance(node, Choices):
        index = draw(where, node)
        return fill(node.options[index], draw, f"{where}[{index}]")
    if isinstance(node, Mapping):
        filled = {name: fill(each, draw, f"{where}.{name}") for name, each in node.items()}
        return {name: each for name, each in filled.items() if not isinstance(each, _Absent)}
    if isinstance(node, list):
        return [fill(each, draw, f"{where}[{index}]") for index, each in enumerate(node)]
    return node


def _parse(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        if "choices" in value:
            return _parse_choices(value, where)
        if "from" in value or "to" in value:
            return _parse_range(value, where)
        return {name: _parse(each, f"{where}.{name}") for name, each in value.items()}
    if isinstance(value, list):
        return [_parse(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if value == ABSENT and where.startswith("recipe"):
        return _Absent()
    if not isinstance(value, str | int | float) or value != value:
        raise SearchError(f"{where}: {shorten(value)} is no value; write a number, text or a table")
    fault = find_fault(value, MOST_NUMBER)
    if fault:
        raise SearchError(f"{where}: {shorten(value)} has {fault}")
    return value


def _parse_choices(table: dict[str, Any], where: str) -> Choices:
    _refuse_others(table, {"choices"}, where)
    options = table["choices"]
    if not isinstance(options, list) or not 2 <= len(options) <= MOST_ENTRIES:
        raise SearchError(
            f"{where}.choices: write a list of two values or more; a single one is no choice"
        )
    if any(options.count(each) > 1 for each in options):
        raise SearchError(f"{where}.choices: a value is there twice; leave one out")
    return Choices(
        options=tuple(_parse(each, f"{where}[{index}]") for index, each in enumerate(options))
    )


def _parse_range(table: dict[str, Any], where: str) -> Range:
    _refuse_others(table, {"from", "to", "log", "step"}, where)
    low, high = (_read_number(table, name, where) for name in ("from", "to"))
    log, step = table.get("log", False), table.get("step", 1)
    whole = isinstance(low, int) and isinstance(high, int)
    if not low < high:
        raise SearchError(
            f"{where}: from {low} to {high} is no range; the lower number comes first"
        )
    if not isinstance(log, bool):
        raise SearchError(f"{where}.log: {shorten(log)}; write true or false")
    if log and low <= 0:
        raise SearchError(f"{where}.from: {low} has no logarithm; write a number above 0")
    if "step" in table:
        _check_step(step, whole=whole, log=log, length=high - low, where=where)
    made = Range(low=low, high=high, whole=whole, log=log, step=step)
    try:
        made.at(1)  # the first step is the smallest
    except (ArithmeticError, ValueError):
        raise SearchError(
            f"{where}: from {low} to {high} has no {GRID:,} steps that can be computed; write ends "
            "less far apart, or less near"
        ) from None
    return made


def _check_step(step: Any, *, whole: bool, log: bool, length: float, where: str) -> None:
    if not whole or log:
        raise SearchError(f"{where}.step: only of whole numbers, and without log; leave it out")
    if type(step) is not int or step < 1 or length % step:
        raise SearchError(f"{where}.step: {shorten(step)} does not lead from one end to the other")


def _read_number(table: dict[str, Any], name: str, where: str) -> int | float:
    if name not in table:
        raise SearchError(f"{where}.{name}: missing; a range has from and to")
    value = table[name]
    if type(value) not in (int, float) or find_fault(value, MOST_NUMBER):
        raise SearchError(f"{where}.{name}: {shorten(value)} is no number that can be drawn")
    number: int | float = value
    return number


def _refuse_others(table: dict[str, Any], known: set[str], where: str) -> None:
    for name in table:
        if name not in known:
            raise SearchError(
                f"{where}.{name}: no such key beside {', '.join(sorted(known & set(table)))}; "
                f"choose from {', '.join(sorted(known))}"
            )


def _show(option: Any) -> Any:
    """Return an option as it is shown: a table by its kind, what is left out by the word for it."""
    if isinstance(option, _Absent):
        return ABSENT
    if isinstance(option, Mapping):
        return str(option.get("kind", "a table"))
    return "a range" if isinstance(option, Range | Choices) else option


def describe_changes(changes: Mapping[str, Any]) -> str:
    """Return what was drawn as one line: `schedule.rate 0.0734, batch_size 64`."""
    return ", ".join(f"{name} {_write(value)}" for name, value in changes.items())


def _write(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
