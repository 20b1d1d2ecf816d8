"""Exact fractions of many runs at once: accuracies, their means and differences.

Kept as two arrays of integers, so that no rounding lifts a figure to a target or drops one below
it, and a million of them add up in a moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

    def _by_whole(self) -> list[tuple[Integers, int]]:
        return [(self.parts[self.wholes == w], int(w)) for w in np.unique(self.wholes)]

    def mean(self) -> Fraction:
        """Return the exact mean of at least one."""
        sums = (Fraction(sum(parts.tolist()), whole) for parts, whole in self._by_whole())
        return sum(sums, Fraction(0)) / len(self)

    def lowest(self) -> Fraction:
        """Return the lowest of at least one."""
        return min(Fraction(int(parts.min()), whole) for parts, whole in self._by_whole())

    def highest(self) -> Fraction:
        """Return the highest of at least one."""
        return max(Fraction(int(parts.max()), whole) for parts, whole in self._by_whole())

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

    def ratios(self, correct: Integers | None = None) -> Ratios:
        """Return these counts, by default, as accuracies."""
        parts = self.correct if correct is None else correct
        return Ratios(parts=parts, wholes=np.full(len(parts), self.total, dtype=parts.dtype))


def count(correct: Integers, totals: Integers) -> Counts:
    """Return counts of various totals over their common multiple."""
    distinct = find_distinct(totals)
    common = math.lcm(*distinct)
    kind = np.int64 if common <= MOST_EXACT else object
    scaled = correct.astype(kind)
    if len(distinct) > 1:
        scaled = scaled * (common // totals.astype(kind))
    return Counts(correct=scaled, total=common)
