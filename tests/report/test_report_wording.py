"""How figures read on the page."""

from __future__ import annotations

from fractions import Fraction
from math import inf, log

import pytest

from bench.figures import cut_points
from bench.report.wording import (
    format_exact_percent,
    format_logarithm,
    format_p,
    format_points,
    format_seeds,
    write_seeds,
)
from bench.seeds import parse_seeds


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.994", "99.4 %"), ("0.9", "90 %"), ("1", "100 %"), ("0.9995", "99.95 %"), ("0", "0 %")],
)
def test_a_target_is_written_with_the_decimals_it_needs(value: str, text: str):
    """Neither 99.40 % nor 9E+1 %."""
    assert format_exact_percent(Fraction(value)) == text


def test_a_logarithm_below_its_threshold_never_reads_as_above_it():
    """The threshold ln 20 is 2.9957...; what lies just below is cut off, not rounded to 2.996."""
    assert format_logarithm(log(20)) == "2.995"
    assert format_logarithm(2.9949) == "2.994"
    assert format_logarithm(-inf) == "−∞"
    assert format_logarithm(-0.5) == "−0.500"


def test_a_difference_has_its_sign():
    """A gap in percentage points reads the same way everywhere."""
    assert format_points(Fraction(3, 1000)) == "+0.30 points"
    assert format_points(-0.0034) == "−0.34 points"


def test_a_difference_is_cut_so_that_it_reaches_no_margin_it_is_below():
    """0.0999 points is not 0.100, and -0.0101 points is a larger fall than -0.010."""
    assert cut_points(Fraction("0.000999")) == "+0.099 points"
    assert cut_points(Fraction("0.001")) == cut_points(0.001) == "+0.100 points"
    assert cut_points(-0.000101) == "−0.011 points"


def test_a_p_value_never_reads_as_smaller_than_it_is():
    """What lies above 0.05 is not shown at it, and what is tiny is not zero."""
    assert format_p(0.0501) == "0.051"
    assert format_p(1e-9) == "below 0.001"
    assert format_p(1.0) == "1.000"
    assert format_p(None) == "—"


def test_seeds_are_written_as_the_command_line_reads_them():
    """What the page prints after `--seeds` names exactly those seeds."""
    seeds = (0, 1, 2, 4, 6, 7)
    assert format_seeds(seeds) == "0 to 2, 4, 6 to 7"
    assert parse_seeds(write_seeds(seeds)) == seeds
    assert parse_seeds(write_seeds([3])) == (3,)


def test_of_hundreds_of_gaps_the_first_seeds_are_named_and_the_others_counted():
    """A machine that trained every third of a million seeds has no list of them on the page."""
    assert format_seeds(range(0, 600, 3)).endswith(", 594, 597")
    assert format_seeds(range(0, 603, 3)) == (
        ", ".join(map(str, range(0, 60, 3))) + ", and 181 more"
    )
