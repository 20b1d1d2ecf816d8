"""Seeds and durations mean what a user wrote, or are refused by their text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.durations import parse_duration
from bench.errors import SettingsError
from bench.seeds import parse_seeds

seed_numbers = st.integers(min_value=0, max_value=2_000_000)
seed_ranges = st.lists(
    st.builds(
        lambda first, count: range(first, first + count),
        seed_numbers,
        st.integers(min_value=1, max_value=50),
    ),
    min_size=1,
    max_size=5,
)
ANY_TEXT = st.text(max_size=20) | st.text("0123456789hms,- ", max_size=12)

Meaning = TypeVar("Meaning")


def read(parse: Callable[[str], Meaning], text: str) -> Meaning | str:
    """Return what a text means, or the message it is refused with."""
    try:
        return parse(text)
    except SettingsError as error:
        return str(error)


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=500))
def test_a_number_means_the_first_seeds(count: int) -> None:
    """`--seeds 10` are the seeds 0 to 9: the prefix that counts as evidence."""
    assert parse_seeds(str(count)) == tuple(range(count))


@settings(deadline=None)
@given(seed_ranges)
def test_ranges_mean_their_seeds_in_order_without_repeats(ranges: list[range]) -> None:
    """`0-4,7-7` are the seeds of each range, both ends included, each seed once."""
    text = ",".join(f"{each[0]}-{each[-1]}" for each in ranges)

    found = parse_seeds(text)

    every = [seed for each in ranges for seed in each]
    assert found == tuple(sorted(set(every), key=every.index))


@settings(deadline=None)
@given(seed_ranges)
def test_seeds_written_one_by_one_are_the_same_seeds(ranges: list[range]) -> None:
    """Seeds that were parsed, written as ranges of one seed each, are parsed to themselves."""
    seeds = parse_seeds(", ".join(f"{each[0]}-{each[-1]}" for each in ranges))

    assert parse_seeds(",".join(f"{seed}-{seed}" for seed in seeds)) == seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (0,)),
        ("3-3", (3,)),
        ("0-4,7-7", (0, 1, 2, 3, 4, 7)),
        ("7-8,0-1", (7, 8, 0, 1)),
        ("0-2,1-3", (0, 1, 2, 3)),
        ("1000000-1000001", (1_000_000, 1_000_001)),
    ],
)
def test_seeds_as_the_help_writes_them(text: str, seeds: tuple[int, ...]) -> None:
    """The forms that the help shows, and tuning seeds, mean these seeds."""
    assert parse_seeds(text) == seeds


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_is_seeds_or_refused_by_its_text(text: str) -> None:
    """Whatever is typed gives distinct seeds from 0 up, or an error that repeats it."""
    found = read(parse_seeds, text)

    if isinstance(found, str):
        assert text in found
    else:
        assert len(set(found)) == len(found) > 0
        assert min(found) >= 0


def test_a_million_seeds_are_the_most() -> None:
    """A range that would fill the memory is refused at once, by its length and not its seeds."""
    assert len(parse_seeds("1000000")) == 1_000_000
    for text in ("1000001", "0-999999999", "0-999999,5-5"):
        with pytest.raises(SettingsError, match=f"{text}: more than 1,000,000 seeds"):
            parse_seeds(text)


@settings(deadline=None)
@given(
    hours=st.integers(min_value=0, max_value=10_000),
    minutes=st.integers(min_value=0, max_value=10_000),
    seconds=st.integers(min_value=0, max_value=10_000),
)
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    """Hours, minutes and seconds add up, and a part that is 0 may be left out."""
    total = 3600 * hours + 60 * minutes + seconds
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    whole = "".join(f"{count}{unit}" for count, unit in parts)
    short = "".join(f"{count}{unit}" for count, unit in parts if count)

    for text in (whole, short):
        if total:
            assert parse_duration(text) == total
        else:
            with pytest.raises(SettingsError):
                parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), (" 2h ", 7200)]
)
def test_durations_as_the_help_writes_them(text: str, seconds: int) -> None:
    """The forms that the help shows mean these seconds."""
    assert parse_duration(text) == seconds


@settings(deadline=None)
@given(ANY_TEXT)
@example("9" * 400 + "s")
@example("9" * 5000 + "h")
def test_any_text_is_a_duration_or_refused_by_its_text(text: str) -> None:
    """Whatever is typed gives seconds above 0, or an error that repeats it."""
    found = read(parse_duration, text)

    if isinstance(found, str):
        assert text in found
    else:
        assert found > 0
