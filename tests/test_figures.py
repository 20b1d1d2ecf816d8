"""A figure that is shown never says more than was measured."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.figures import format_accuracy, format_count, format_percent, format_seconds

targets = st.integers(min_value=1, max_value=10_000).map(lambda n: Fraction(n, 10_000))
"""Targets of at most two decimals in per cent."""

totals = st.integers(min_value=1, max_value=1_000_000)


def read_percent(text: str) -> Decimal:
    """Return the figure that a reader sees."""
    number, unit = text.split(" ")
    assert unit == "%"
    return Decimal(number)


@settings(deadline=None)
@given(target=targets, total=totals, data=st.data())
def test_an_accuracy_below_a_target_is_shown_below_it(
    target: Fraction, total: int, data: st.DataObject
) -> None:
    """No count below the required one is shown as the target: 9,939 is never 99.40 %."""
    required = ceil(target * total)
    correct = data.draw(st.integers(min_value=0, max_value=required - 1) | st.just(required - 1))

    assert Fraction(read_percent(format_accuracy(correct, total))) < 100 * target


@settings(deadline=None)
@given(target=targets, total=totals, data=st.data())
def test_an_accuracy_at_a_target_is_shown_at_it(
    target: Fraction, total: int, data: st.DataObject
) -> None:
    """No count from the required one up is shown below the target."""
    required = ceil(target * total)
    correct = data.draw(st.integers(min_value=required, max_value=total) | st.just(required))

    assert Fraction(read_percent(format_accuracy(correct, total))) >= 100 * target


@settings(deadline=None)
@given(total=totals, data=st.data())
def test_a_shown_accuracy_is_off_by_less_than_its_last_digit(
    total: int, data: st.DataObject
) -> None:
    """The figure has two decimals and lies at or below the exact one, by less than 0.01."""
    correct = data.draw(st.integers(min_value=0, max_value=total))

    shown = read_percent(format_accuracy(correct, total))

    assert shown.as_tuple().exponent == -2
    assert 0 <= Fraction(100 * correct, total) - Fraction(shown) < Fraction(1, 100)


@settings(deadline=None)
@given(
    st.decimals(min_value=0, max_value=1, places=8),
    st.integers(min_value=0, max_value=4),
)
def test_a_float_is_cut_where_its_decimals_say(value: Decimal, decimals: int) -> None:
    """A float is taken as it is written: decimal arithmetic cuts it off at the same digit."""
    cut = (100 * value).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR)

    assert read_percent(format_percent(float(value), decimals=decimals)) == cut


@pytest.mark.parametrize(
    ("correct", "total", "shown"),
    [
        (9_940, 10_000, "99.40 %"),
        (9_939, 10_000, "99.39 %"),
        (59_639, 60_000, "99.39 %"),
        (59_640, 60_000, "99.40 %"),
        (59_999, 60_000, "99.99 %"),
        (10_000, 10_000, "100.00 %"),
        (348, 359, "96.93 %"),
        (0, 359, "0.00 %"),
    ],
)
def test_accuracies_as_a_reader_sees_them(correct: int, total: int, shown: str) -> None:
    """99.3983 % is shown as 99.39 % and 99.9983 % is not shown as 100 %."""
    assert format_accuracy(correct, total) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9, "90.0 %"), (0.8999999, "89.9 %"), (0.29, "29.0 %"), (1.0, "100.0 %")]
)
def test_bounds_as_a_reader_sees_them(value: float, shown: str) -> None:
    """A bound just below 90 % is not shown as 90 %; 0.29 is 29 % although 0.29 * 100 is less."""
    assert format_percent(value, decimals=1) == shown


@settings(deadline=None)
@given(st.integers(min_value=0))
def test_a_count_is_shown_with_every_digit(count: int) -> None:
    """Counts are grouped by three and never shortened."""
    shown = format_count(count)

    assert int(shown.replace(",", "")) == count
    assert [len(group) for group in shown.split(",")[1:]] == [3] * shown.count(",")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (42, "42 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3_599.6, "1 h"),
        (7_500, "2 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_durations_as_a_reader_sees_them(seconds: float, shown: str) -> None:
    """A duration has at most two units, and rounding never gives 60 of one."""
    assert format_seconds(seconds) == shown
