"""Whether an iteration is better than the one before it, corrected for all comparisons shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from msgspec import Struct, structs

from bench.consistency import adjust_holm, welch_interval
from bench.evidence import Evidence
from bench.findings.columns import average_windows
from bench.findings.intervals import Interval, drop_noise
from bench.findings.ratios import Ratios, count
from bench.records import Challenge, Conditions
from bench.run_table import tabulate


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
    before, after = (average_windows(tabulate(e.runs), challenge) for e in (earlier, later))
    difference, p = _difference(before, after, confidence=float(challenge.confidence))
    return Comparison(
        earlier=earlier.iteration,
        later=later.iteration,
        conditions=later.conditions,
        earlier_runs=len(earlier.runs),
        later_runs=len(later.runs),
        difference=difference,
        p=p,
        adjusted_p=p,
        improvement=_improvement(before, after, len(earlier.runs), len(later.runs)),
    )


def _difference(
    before: Ratios, after: Ratios, *, confidence: float
) -> tuple[Interval | None, float | None]:
    if not len(before) or not len(after):
        return None, None
    mean = after.mean() - before.mean()
    if min(len(before), len(after)) < 2:
        return Interval(mean=mean, lower=None, upper=None), None
    _, lower, upper, p = welch_interval(before.moments(), after.moments(), confidence=confidence)
    return Interval(mean=mean, lower=drop_noise(lower), upper=drop_noise(upper)), p


def _improvement(before: Ratios, after: Ratios, earlier: int, later: int) -> Fraction | None:
    """Return P(later > earlier) + P(equal) / 2; those of the runs without a window are lowest."""
    if not earlier or not later:
        return None
    common = count(
        np.concatenate([before.parts, after.parts]), np.concatenate([before.wholes, after.wholes])
    ).correct
    ordered = np.sort(common[: len(before)])
    ranks = common[len(before) :]
    wins = sum(int(np.searchsorted(ordered, ranks, side).sum()) for side in ("left", "right"))
    without = earlier - len(before)
    wins += 2 * without * len(after) + without * (later - len(after))
    return Fraction(wins, 2 * earlier * later)
