"""Exact fractions of many runs at once: accuracies, their means and differences.

Kept as two arrays of integers, so that no rounding lifts a figure to a target or drops one below
it, and a million of them add up in a moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.consistency import Moments
from bench.run_table import find_distinct

Integers = NDArray[Any]
"""64-bit integers, or Python's own where those would not do."""

MOST_EXACT = 10**8
"""Up to so many images in common no product here leaves the integers that a float has exactly."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ratios:
    """So many `parts` of so many `wholes`, a place a run."""

    parts: Integers
    wholes: Integers

    def __len__(self) -> int:
        return len(self.parts)

    def floats(self) -> NDArray[np.float64]:
        """Return each as the float nearest to it."""
        return np.asarray(self.parts / self.wholes, float)

    def by_whole(self) -> list[tuple[Integers, int]]:
        """Return the parts of each whole."""
        return [(self.parts[self.wholes == w], int(w)) for w in np.unique(self.wholes)]

    def mean(self) -> Fraction:
        """Return the exact mean of at least one."""
        sums = (Fraction(sum(parts.tolist()), whole) for parts, whole in self.by_whole())
        return sum(sums, Fraction(0)) / len(self)

    def lowest(self) -> Fraction:
        """Return the lowest of at least one."""
        return min(Fraction(int(parts.min()), whole) for parts, whole in self.by_whole())

    def highest(self) -> Fraction:
        """Return the highest of at least one."""
        return max(Fraction(int(parts.max()), whole) for parts, whole in self.by_whole())

    def moments(self) -> Moments:
        """Return the number of at least two, their exact mean and sample variance."""
        counts = count(self.parts, self.wholes)
        parts, n = counts.correct.tolist(), len(self)
        first, second = sum(parts), sum(part * part for part in parts)
        variance = Fraction(n * second - first * first, n * (n - 1) * counts.total**2)
        return Moments(n, Fraction(first, n * counts.total), variance)


def make_ratios(fractions: Sequence[Fraction]) -> Ratios:
    """Return fractions as they are, in two arrays."""
    return Ratios(
        parts=np.array([each.numerator for each in fractions], dtype=object),
        wholes=np.array([each.denominator for each in fractions], dtype=object),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Counts:
    """Images that were right in each epoch, as if every epoch had shown the same `total`."""

    correct: Integers
    total: int


def count(correct: Integers, totals: Integers) -> Counts:
    """Return counts of various totals over their common multiple."""
    common = find_common(totals)
    return Counts(correct=scale(correct, totals, common), total=common)


def find_common(totals: Integers) -> int:
    """Return the least common multiple of totals."""
    return math.lcm(*find_distinct(totals.ravel()))


def choose_kind(common: int) -> type[np.int64] | type[object]:
    """Return the type of counts over a common multiple."""
    return np.int64 if common <= MOST_EXACT else object


def scale(correct: Integers, totals: Integers, common: int) -> Integers:
    """Return counts of various totals over a multiple of all of them."""
    kind = choose_kind(common)
    distinct = find_distinct(totals)
    factors = np.array([common // total for total in distinct], dtype=kind)
    scaled: Integers = correct.astype(kind)
    if distinct != [common]:
        scaled = scaled * factors[np.searchsorted(np.array(distinct, totals.dtype), totals)]
    return scaled


def scale_columns(correct: Integers, totals: Integers, common: int) -> Iterator[Integers]:
    """Yield each column of a table as `scale` does: of unlike totals a count takes 200 bytes."""
    for some, of in zip(correct.T, totals.T, strict=True):
        yield scale(some, of, common)
