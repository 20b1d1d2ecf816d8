"""Where the figures that an author claimed of one run fall among the seeds' own."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.intervals import Spread, measure_spread
from bench.findings.scores import Measure, best_accuracies
from bench.records import Answer, Run
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
    return (
        _compare(evidence.runs, "training", claim.training_accuracy),
        _compare(evidence.runs, "validation", claim.validation_accuracy),
    )


def _compare(runs: Sequence[Run], measure: Measure, claimed_percent: float) -> ClaimComparison:
    claimed = Fraction(repr(claimed_percent)) / 100
    accuracies = best_accuracies(runs, measure)
    best = measure_spread(accuracies)
    return ClaimComparison(
        measure=measure,
        claimed=claimed,
        best=best,
        percentile=_percentile(claimed, accuracies),
        answer=_locate(claimed, best),
    )


def _percentile(claimed: Fraction, accuracies: Sequence[Fraction]) -> Fraction | None:
    if not accuracies:
        return None
    below = sum(accuracy < claimed for accuracy in accuracies)
    return (below + Fraction(accuracies.count(claimed), 2)) / len(accuracies)


def _locate(claimed: Fraction, best: Spread | None) -> Answer:
    if best is None or best.deviation is None:
        return Answer.UNDECIDED
    lowest = float(best.lowest) - best.deviation
    highest = float(best.highest) + best.deviation
    return Answer.HOLDS if lowest <= float(claimed) <= highest else Answer.FAILS
