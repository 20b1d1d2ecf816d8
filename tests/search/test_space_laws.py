"""Laws of spaces: what is drawn lies inside, and a text is a space or an error of one line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SearchError
from bench.searching.spaces import GRID, Choices, Range, Space, fill, parse_space

ends = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-9, 1e6)
ranges = st.one_of(
    st.tuples(ends, ends)
    .filter(lambda pair: pair[1] - pair[0] > 1e-9 * max(map(abs, pair)))
    .map(lambda pair: Range(low=pair[0], high=pair[1], whole=False)),
    st.tuples(positive, positive)
    .filter(lambda pair: pair[1] > 1.001 * pair[0])
    .map(lambda pair: Range(low=pair[0], high=pair[1], whole=False, log=True)),
)
names = st.sampled_from(["from", "to", "log", "step", "choices", "kind", "rate", "a"])
values = st.recursive(
    st.integers(-5, 5) | st.floats(-2, 2) | st.booleans() | st.sampled_from(["none", "EMA"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(ranges)
def test_places_lead_from_one_end_to_the_other(drawn: Range) -> None:
    """In order, inside, and as far apart as they are fine: rounding loses no more than a step."""
    numbers = [drawn.at(place) for place in range(GRID + 1)]
    assert (numbers[0], numbers[-1]) == (drawn.low, drawn.high)
    assert all(a <= b for a, b in pairwise(numbers))
    assert len(set(numbers)) > GRID // 2


wide = st.floats(-1e9, 1e9) | st.integers(-10, 10)


@given(wide, wide, st.booleans())
def test_of_every_range_that_is_read_every_place_is_a_number(
    low: Any, high: Any, log: bool
) -> None:
    """However far apart its ends are, or near."""
    low, high = sorted((low, high))
    table = {"from": low, "to": high, "log": log}
    space = read(f"model = 'm'\narguments.a = {write(table)}\n")
    if isinstance(space, SearchError):
        assert "\n" not in str(space)
        return
    drawn = space.arguments["a"]
    places = drawn.ends if drawn.whole else range(GRID + 1)
    assert all(low <= drawn.at(place) <= high for place in places)


@given(st.dictionaries(st.sampled_from(["batch_size", "schedule", "x"]), values), values)
def test_a_space_is_read_or_refused_in_one_line(recipe: dict[str, Any], other: Any) -> None:
    """Whatever stands in its tables; and of what is read, every draw is filled in."""
    space = read(f"model = 'm'\nrecipe = {write(recipe)}\narguments = {{ a = {write(other)} }}\n")
    if isinstance(space, SearchError):
        assert str(space).startswith("space.toml: ")
        assert "\n" not in str(space)
        return
    for end in (0, -1):
        met: dict[str, int] = {}

        def draw(where: str, field: Range | Choices, met: Any = met, end: int = end) -> int:
            met[where] = field.ends[end]
            return field.ends[end]

        filled = fill({"recipe": space.recipe, "arguments": space.arguments}, draw, "")
        assert not find_fields(filled)
        assert len(space.describe({name[1:]: number for name, number in met.items()})) == len(met)


def read(text: str) -> Space | SearchError:
    try:
        return parse_space(text, Path("space.toml"))
    except SearchError as error:
        return error


def find_fields(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(find_fields, value.values()))
    if isinstance(value, list):
        return any(map(find_fields, value))
    return isinstance(value, Range | Choices)


def write(value: Any) -> str:
    """Return a value as TOML has it inside a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {write(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(write, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
