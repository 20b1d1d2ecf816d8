"""Laws of the line that shows epochs against a target."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.sparkline import ASCII, BLOCKS, draw_sparkline

accuracies = st.integers(0, 10_000).map(lambda correct: Fraction(correct, 10_000))
curves = st.lists(accuracies, max_size=60)


@pytest.mark.parametrize("levels", [BLOCKS, ASCII])
@given(values=curves, target=accuracies)
@example(values=[Fraction(9_939, 10_000)], target=Fraction("0.994"))
@example(values=[Fraction(9_939_999_999, 10**10), Fraction(0)], target=Fraction("0.994"))
@example(values=[Fraction("0.994")] * 3, target=Fraction("0.994"))
def test_one_cell_an_epoch_and_the_highest_is_the_target(
    levels: str, values: list[Fraction], target: Fraction
) -> None:
    """As many cells as epochs, full exactly where the target is reached, never upside down."""
    cells = draw_sparkline(values, target, ascii_only=levels is ASCII)

    assert len(cells) == len(values)
    heights = [levels.index(cell) for cell in cells]
    assert [height == len(levels) - 1 for height in heights] == [v >= target for v in values]
    ordered = sorted(zip(values, heights, strict=True))
    assert [height for _, height in ordered] == sorted(heights)


def test_heights_are_linear_from_the_lowest_to_the_target() -> None:
    """Seven steps below the target: each seventh of the way is the next block."""
    values = [Fraction(n, 7) for n in range(8)]

    assert draw_sparkline(values, Fraction(1)) == BLOCKS
    assert draw_sparkline(values, Fraction(1), ascii_only=True) == ASCII


def test_all_cells_can_be_told_apart() -> None:
    """Eight heights in either alphabet, the one of ASCII in ASCII."""
    assert len(set(BLOCKS)) == len(set(ASCII)) == 8
    assert ASCII.isascii()
