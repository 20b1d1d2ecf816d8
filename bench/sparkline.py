"""An accuracy an epoch as one line of blocks, in which reaching the target cannot be overlooked."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
"""The same heights for a terminal that has no blocks."""


def draw_sparkline(
    values: Sequence[Fraction], target: Fraction, *, ascii_only: bool = False
) -> str:
    """Return one cell a value: the highest for all at or above the target, a lower one below it.

    Below it, heights are linear from the lowest value up. No value that misses the target is drawn
    as one that reached it, however little it lacks.
    """
    levels = ASCII if ascii_only else BLOCKS
    lowest = min(values, default=target)
    return "".join(
        levels[_find_level(value, lowest, target, top=len(levels) - 1)] for value in values
    )


def full_cell(*, ascii_only: bool = False) -> str:
    """Return the cell of what is at or above the target."""
    return (ASCII if ascii_only else BLOCKS)[-1]


def _find_level(value: Fraction, lowest: Fraction, target: Fraction, *, top: int) -> int:
    return top if value >= target else int((value - lowest) * top / (target - lowest))
