"""Two samples compared both ways: whether they differ, and whether they agree within a margin.

A difference test that finds nothing proves nothing. Equivalence is shown by two one-sided tests
(Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987): both that the difference is above
minus the margin and that it is below the margin, each at 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from bench.consistency import adjust_holm

LEVEL = 0.05
INTERVAL = 1.0 - 2.0 * LEVEL
"""Confidence of the interval that lies in the margin exactly when both one-sided tests reject."""

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]


class Comparison(Struct, frozen=True, kw_only=True):
    """A sample against the reference sample: `difference` is of the means, sample minus reference.

    `lower` and `upper` bound it with 90 % confidence. p-values: `p_mean` of Welch's t-test,
    `p_distribution` of Kolmogorov and Smirnov's test, `p_equivalence` of the two one-sided tests,
    the larger of both.
    """

    difference: float
    lower: float
    upper: float
    margin: float
    p_mean: float
    p_distribution: float
    p_equivalence: float


def compare(sample: Sequence[float], reference: Sequence[float], *, margin: float) -> Comparison:
    """Compare two samples of at least two values each; `margin` is in their unit."""
    ours, theirs = np.asarray(sample, float), np.asarray(reference, float)
    difference = float(ours.mean() - theirs.mean())
    lower, upper = _bound_difference(ours, theirs)
    return Comparison(
        difference=difference,
        lower=lower,
        upper=upper,
        margin=margin,
        p_mean=_test_means(ours, theirs, "two-sided"),
        p_distribution=float(stats.ks_2samp(ours, theirs).pvalue),
        p_equivalence=max(
            _test_means(ours + margin, theirs, "greater"),
            _test_means(ours - margin, theirs, "less"),
        ),
    )


def adjust(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return the comparisons with p-values corrected by Holm, each kind of test for itself."""
    kinds = ("p_mean", "p_distribution", "p_equivalence")
    adjusted = {k: adjust_holm([getattr(c, k) for c in comparisons]).tolist() for k in kinds}
    return tuple(
        Comparison(
            difference=c.difference,
            lower=c.lower,
            upper=c.upper,
            margin=c.margin,
            **{kind: adjusted[kind][row] for kind in kinds},
        )
        for row, c in enumerate(comparisons)
    )


def resolvable_margin(seeds: int, *, power: float) -> float:
    """Return the margin, in standard deviations, that `seeds` a sample can show to be kept.

    With chance `power`, when both samples are of one normal distribution; one comparison at 5 %.
    """
    degrees = 2 * seeds - 2
    quantiles = stats.t.ppf(1.0 - LEVEL, degrees) + stats.t.ppf((1.0 + power) / 2.0, degrees)
    return float(quantiles * math.sqrt(2.0 / seeds))


def _bound_difference(ours: Floats, theirs: Floats) -> tuple[float, float]:
    if _are_constant(ours, theirs):
        difference = float(ours[0] - theirs[0])
        return difference, difference
    bounds = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(INTERVAL)
    return float(bounds.low), float(bounds.high)


def _test_means(ours: Floats, theirs: Floats, alternative: Alternative) -> float:
    """Return the p-value of Welch's test; without any spread it is 0 or 1."""
    if _are_constant(ours, theirs):
        differs = {
            "two-sided": ours[0] != theirs[0],
            "greater": ours[0] > theirs[0],
            "less": ours[0] < theirs[0],
        }
        return float(not differs[alternative])
    return float(stats.ttest_ind(ours, theirs, equal_var=False, alternative=alternative).pvalue)


def _are_constant(ours: Floats, theirs: Floats) -> bool:
    return bool(np.ptp(ours) == 0.0 and np.ptp(theirs) == 0.0)
