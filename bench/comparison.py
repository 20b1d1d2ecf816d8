"""Do the seeds of one iteration do better than those of another? Described, never judged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from msgspec import Struct
from scipy import stats

from bench.errors import EvidenceError
from bench.evidence import Evidence
from bench.records import Challenge, Conditions, Run, Status

NOISE_DIGITS = 12
"""Decimals kept of a bound: what lies below is noise of floating-point addition."""


class Side(Struct, frozen=True, kw_only=True):
    """One of two iterations; `mean` is over the `scored` runs, those with a whole final window."""

    iteration: str
    fingerprint: str
    runs: int
    scored: int
    mean: Fraction | None


class Comparison(Struct, frozen=True, kw_only=True):
    """Accuracy in the final window: the second iteration's minus the first one's.

    The interval and the two-sided p are Welch's, of this one comparison alone; `None` when a side
    has one seed, or neither has any spread. `improvement` is the chance that a seed of the second
    is better than one of the first, a tie counting half (Mann and Whitney 1947). Both are over
    scored runs; without one on each side there is no difference either.
    """

    dataset: str
    conditions: Conditions
    first: Side
    second: Side
    difference: Fraction | None
    confidence: float
    lower: float | None
    upper: float | None
    p_value: float | None
    improvement: float | None


def compare(first: Evidence, second: Evidence, challenge: Challenge) -> Comparison:
    """Compare two iterations that were trained on the same images under the same conditions.

    Raises:
        EvidenceError: they were not.
    """
    _check_alike(first, second)
    before, after = (_list_accuracies(each.runs, challenge) for each in (first, second))
    sides = _describe(first, before), _describe(second, after)
    confidence = float(challenge.confidence)
    lower, upper, p_value = _welch(before, after, confidence=confidence)
    return Comparison(
        dataset=first.dataset,
        conditions=first.conditions,
        first=sides[0],
        second=sides[1],
        difference=_mean(after) - _mean(before) if before and after else None,
        confidence=confidence,
        lower=lower,
        upper=upper,
        p_value=p_value,
        improvement=_improvement(before, after) if before and after else None,
    )


def _check_alike(first: Evidence, second: Evidence) -> None:
    pair = f"{first.iteration} and {second.iteration} cannot be compared"
    if first.conditions != second.conditions:
        raise EvidenceError(
            f"{pair}: unlike conditions ({first.conditions}; {second.conditions}); "
            "train both under the same ones"
        )
    if first.dataset != second.dataset:
        raise EvidenceError(
            f"{pair}: unlike images (digests {first.dataset[:12]} and {second.dataset[:12]}); "
            "train both on the same ones"
        )


def _list_accuracies(runs: Sequence[Run], challenge: Challenge) -> list[Fraction]:
    """Return the mean accuracy in the final window of every run that has a whole one."""
    window = challenge.window
    return [
        sum((Fraction(e.validation_correct, e.validation_total) for e in final), Fraction(0))
        / window
        for run in runs
        if run.status is Status.FINISHED and len(final := run.epochs[-window:]) == window
    ]


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def _describe(evidence: Evidence, accuracies: Sequence[Fraction]) -> Side:
    return Side(
        iteration=evidence.iteration,
        fingerprint=evidence.fingerprint,
        runs=len(evidence.runs),
        scored=len(accuracies),
        mean=_mean(accuracies) if accuracies else None,
    )


def _welch(
    before: Sequence[Fraction], after: Sequence[Fraction], *, confidence: float
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return the bounds of the difference and the p-value of there being none."""
    has_spread = len(set(before)) > 1 or len(set(after)) > 1
    if min(len(before), len(after)) < 2 or not has_spread:
        return None, None, None
    samples = [float(value) for value in after], [float(value) for value in before]
    with warnings.catch_warnings():
        # a side whose seeds are all alike has a variance of 0, which Welch's formula can bear
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(*samples, equal_var=False)
        bounds = test.confidence_interval(confidence)
    lower, upper = (round(float(bound), NOISE_DIGITS) for bound in (bounds.low, bounds.high))
    return lower, upper, float(test.pvalue)


def _improvement(before: Sequence[Fraction], after: Sequence[Fraction]) -> float:
    ordered = np.sort([float(value) for value in before])
    candidates = [float(value) for value in after]
    below = np.searchsorted(ordered, candidates, side="left").sum()
    below_or_tied = np.searchsorted(ordered, candidates, side="right").sum()
    return float(below + below_or_tied) / (2 * len(before) * len(after))
