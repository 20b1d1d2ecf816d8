"""Where the figures that an author claimed of one run fall among the seeds' own."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.columns import find_best
from bench.findings.intervals import Spread, measure_spread
from bench.findings.ratios import Ratios
from bench.findings.scores import Measure
from bench.records import Answer
from bench.run_table import RunTable, tabulate
from models.recipe import Claim


class ClaimComparison(Struct, frozen=True, kw_only=True):
    """Where the best accuracy that an author claimed of one run falls among the seeds' own.

    `HOLDS` when it lies in the range of the seeds' best epochs widened by one sample standard
    deviation on either side, `UNDECIDED` with fewer than two seeds. `percentile` is the share of
    seeds whose best epoch is below the claim, equal ones counting half, as a proportion.
    """

    measure: Measure
    claimed: Fraction
    best: Spread | None
    percentile: Fraction | None
    answer: Answer


def compare_claim(evidence: Evidence, claim: Claim) -> tuple[ClaimComparison, ...]:
    """Compare both claimed accuracies with the seeds' best epochs."""
    runs = tabulate(evidence.runs)
    return (
        _compare(runs, "training", claim.training_accuracy),
        _compare(runs, "validation", claim.validation_accuracy),
    )


def _compare(runs: RunTable, measure: Measure, claimed_percent: float) -> ClaimComparison:
    claimed = Fraction(repr(claimed_percent)) / 100
    accuracies = find_best(runs, measure)
    best = measure_spread(accuracies)
    return ClaimComparison(
        measure=measure,
        claimed=claimed,
        best=best,
        percentile=_percentile(claimed, accuracies),
        answer=_locate(claimed, best),
    )


def _percentile(claimed: Fraction, best: Ratios) -> Fraction | None:
    if not len(best):
        return None
    below = up_to = 0
    for parts, whole in best.by_whole():
        below += int(np.count_nonzero(parts < math.ceil(claimed * whole)))
        up_to += int(np.count_nonzero(parts <= math.floor(claimed * whole)))
    return Fraction(below + up_to, 2 * len(best))


def _locate(claimed: Fraction, best: Spread | None) -> Answer:
    if best is None or best.deviation is None:
        return Answer.UNDECIDED
    lowest = float(best.lowest) - best.deviation
    highest = float(best.highest) + best.deviation
    return Answer.HOLDS if lowest <= float(claimed) <= highest else Answer.FAILS
