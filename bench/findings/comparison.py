"""Whether an iteration is better than the one before it, corrected for all comparisons shown."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from msgspec import Struct, structs

from bench.consistency import adjust_holm, welch_interval
from bench.evidence import Evidence
from bench.findings.intervals import Interval, drop_noise
from bench.findings.scores import has_window, mean_window_accuracy
from bench.records import Challenge, Conditions, Run

Score = Fraction | None
"""Mean accuracy of a run's final window, `None` for a run without one."""


class Comparison(Struct, frozen=True, kw_only=True):
    """One iteration against another under the same conditions.

    `difference` is the later mean window accuracy minus the earlier, over runs with a window, with
    Welch's interval; bounds and p need two such runs of each. `adjusted_p` is Holm's over all
    comparisons made together. `improvement` is P(later > earlier) + P(equal) / 2 over all pairs
    of runs; a run without a window is below all that have one, and equal to its like.
    """

    earlier: str
    later: str
    conditions: Conditions
    earlier_runs: int
    later_runs: int
    difference: Interval | None
    p: float | None
    adjusted_p: float | None
    improvement: Fraction | None


def compare_consecutive(
    evidence: Sequence[Evidence], challenge: Challenge
) -> tuple[Comparison, ...]:
    """Compare each evidence with the next one of the same conditions and dataset.

    Unlike conditions are never compared: what differs would not be the iteration.
    """
    groups: dict[tuple[Conditions, str], list[Evidence]] = defaultdict(list)
    for each in evidence:
        groups[each.conditions, each.dataset].append(each)
    compared = [
        compare_iterations(earlier, later, challenge)
        for group in groups.values()
        for earlier, later in pairwise(group)
    ]
    tested = [comparison.p for comparison in compared if comparison.p is not None]
    adjusted = iter(adjust_holm(tested).tolist())
    return tuple(
        structs.replace(comparison, adjusted_p=None if comparison.p is None else next(adjusted))
        for comparison in compared
    )


def compare_iterations(earlier: Evidence, later: Evidence, challenge: Challenge) -> Comparison:
    """Compare two iterations by themselves: nothing is corrected when one comparison is made."""
    before, after = (_score(each.runs, challenge) for each in (earlier, later))
    difference, p = _difference(
        [score for score in before if score is not None],
        [score for score in after if score is not None],
        confidence=float(challenge.confidence),
    )
    return Comparison(
        earlier=earlier.iteration,
        later=later.iteration,
        conditions=later.conditions,
        earlier_runs=len(earlier.runs),
        later_runs=len(later.runs),
        difference=difference,
        p=p,
        adjusted_p=p,
        improvement=_improvement(before, after),
    )


def _difference(
    before: Sequence[Fraction], after: Sequence[Fraction], *, confidence: float
) -> tuple[Interval | None, float | None]:
    if not before or not after:
        return None, None
    mean = statistics.mean(after) - statistics.mean(before)
    if min(len(before), len(after)) < 2:
        return Interval(mean=mean, lower=None, upper=None), None
    _, lower, upper, p = welch_interval(before, after, confidence=confidence)
    return Interval(mean=mean, lower=drop_noise(lower), upper=drop_noise(upper)), p


def _improvement(before: Sequence[Score], after: Sequence[Score]) -> Fraction | None:
    if not before or not after:
        return None
    ordered = sorted(_rank(score) for score in before)
    ranks = [_rank(score) for score in after]
    wins = sum(bisect_left(ordered, rank) + bisect_right(ordered, rank) for rank in ranks)
    return Fraction(wins, 2 * len(before) * len(after))


def _rank(score: Score) -> tuple[bool, Fraction]:
    return score is not None, score or Fraction(0)


def _score(runs: Sequence[Run], challenge: Challenge) -> list[Score]:
    return [
        mean_window_accuracy(run, challenge) if has_window(run, challenge) else None for run in runs
    ]
