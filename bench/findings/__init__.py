"""Descriptive findings on the evidence: shown beside a verdict, never part of it."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.claims import ClaimComparison, compare_claim
from bench.findings.comparison import Comparison, compare_consecutive, compare_iterations
from bench.findings.difficulty import (
    Confusion,
    Difficulty,
    DigitDifficulty,
    HardImage,
    SamplingError,
    estimate_sampling_error,
    measure_difficulty,
)
from bench.findings.epochs import (
    CENTRAL_SHARE,
    EpochSummary,
    find_medians,
    summarise_epochs,
)
from bench.findings.frontier import Point, find_front
from bench.findings.intervals import Interval, Share, Spread, measure_share
from bench.findings.runs import WORST_SHARE, Outcome, RunScore, score_run, score_runs
from bench.findings.scores import best_accuracies
from bench.findings.sensitivity import Sensitivity, Variation, vary_challenge
from bench.findings.summary import (
    FirstEpochs,
    Summary,
    WorstSeed,
    find_first_epochs,
    find_worst_seed,
    summarise,
)
from bench.findings.thresholds import ThresholdShare, measure_thresholds
from bench.records import Challenge
from models.recipe import Claim

__all__ = [
    "CENTRAL_SHARE",
    "WORST_SHARE",
    "ClaimComparison",
    "Comparison",
    "Confusion",
    "Difficulty",
    "DigitDifficulty",
    "EpochSummary",
    "Findings",
    "FirstEpochs",
    "HardImage",
    "Interval",
    "Outcome",
    "Point",
    "RunScore",
    "SamplingError",
    "Sensitivity",
    "Share",
    "Spread",
    "Summary",
    "ThresholdShare",
    "Variation",
    "WorstSeed",
    "best_accuracies",
    "compare_claim",
    "compare_consecutive",
    "compare_iterations",
    "describe",
    "estimate_sampling_error",
    "find_first_epochs",
    "find_front",
    "find_medians",
    "find_worst_seed",
    "measure_difficulty",
    "measure_share",
    "measure_thresholds",
    "score_run",
    "score_runs",
    "summarise",
    "summarise_epochs",
    "vary_challenge",
]

NEAR_TARGET = Fraction("0.004")
"""0.4 points below the target: 99.0 % on MNIST, where a network is past its first learning."""

ABOVE_TARGET = Fraction("0.001")
"""0.1 points above the target: the next step that authors name, 99.5 % on MNIST."""


class Findings(Struct, frozen=True, kw_only=True):
    """All that describes one iteration under one set of conditions.

    `near_target` and `above_target` say when each seed was first at `NEAR_TARGET` below and at
    `ABOVE_TARGET` above the target; `claims` is empty when nothing was claimed. `runs` are all, or
    those that `choose_runs` takes to stand for them.
    """

    summary: Summary
    claims: tuple[ClaimComparison, ...]
    near_target: FirstEpochs
    above_target: FirstEpochs
    epochs: tuple[EpochSummary, ...]
    runs: tuple[RunScore, ...]
    thresholds: tuple[ThresholdShare, ...]
    sensitivity: Sensitivity
    difficulty: Difficulty
    sampling: SamplingError | None


def describe(
    evidence: Evidence, challenge: Challenge, claim: Claim | None = None, most: int | None = None
) -> Findings:
    """Return every finding on one iteration's evidence, whatever the runs are or lack.

    Of more than `most` runs, so many are scored one by one; all else is of all runs.
    """
    return Findings(
        summary=summarise(evidence, challenge),
        claims=compare_claim(evidence, claim) if claim else (),
        near_target=find_first_epochs(evidence.runs, challenge.target - NEAR_TARGET),
        above_target=find_first_epochs(evidence.runs, challenge.target + ABOVE_TARGET),
        epochs=summarise_epochs(evidence),
        runs=score_runs(evidence, challenge, most),
        thresholds=measure_thresholds(evidence, challenge),
        sensitivity=vary_challenge(evidence, challenge),
        difficulty=measure_difficulty(evidence, challenge),
        sampling=estimate_sampling_error(evidence, challenge),
    )
