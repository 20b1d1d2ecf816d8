"""Descriptive findings on the evidence: shown beside a verdict, never part of it.

Accuracies are proportions. Those that are counts of images stay exact fractions, so that no
rounding lifts one to a target or drops one below it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from bench.consistency import mean_interval
from bench.evidence import Evidence, run_holds
from bench.records import Answer, Challenge, EpochScore, Run, Status
from models.recipe import Claim

NOISE_DIGITS = 12
"""Decimals kept of an interval's bounds: what lies below is noise of floating-point addition."""

Measure = Literal["training", "validation"]


class Interval(Struct, frozen=True, kw_only=True):
    """An exact mean and its Student-t bounds, which need two seeds at least (else `None`)."""

    mean: Fraction
    lower: float | None
    upper: float | None


class Spread(Struct, frozen=True, kw_only=True):
    """Lowest and highest of some seeds' figures; the sample deviation needs two of them."""

    seeds: int
    lowest: Fraction
    highest: Fraction
    deviation: float | None


class WorstSeed(Struct, frozen=True, kw_only=True):
    """The seed with the lowest epoch in its window; counts are `None` for a run without one."""

    seed: int
    status: Status
    correct: int | None
    total: int | None


class FirstEpochs(Struct, frozen=True, kw_only=True):
    """The epoch, counted from 1, in which each seed was first at the target (`None`: never)."""

    by_seed: tuple[int | None, ...]
    earliest: int | None
    latest: int | None
    never: int


class Summary(Struct, frozen=True, kw_only=True):
    """What the seeds of one iteration have in common.

    `scored` runs have a whole final window; means are over those, and `None` without any.
    `optimism` is the mean of (best epoch - mean of the window), `training_gap` training minus
    validation accuracy in the last epoch. Both best accuracies are over runs with any epoch;
    `wall_seconds` adds up all runs.
    """

    runs: int
    scored: int
    holding: int
    window_accuracy: Interval | None
    worst: WorstSeed | None
    best_training: Spread | None
    best_validation: Spread | None
    optimism: Fraction | None
    first_epochs: FirstEpochs
    training_gap: Interval | None
    wall_seconds: float


class ClaimComparison(Struct, frozen=True, kw_only=True):
    """Where the best accuracy that an author claimed of one run falls among the seeds' own.

    `HOLDS` when it lies in the range of the seeds' best epochs widened by one sample standard
    deviation on either side, `UNDECIDED` with fewer than two seeds.
    """

    measure: Measure
    claimed: Fraction
    best: Spread | None
    answer: Answer


def summarise(evidence: Evidence, challenge: Challenge) -> Summary:
    """Return what the runs show; a run without a final window is counted and never averaged."""
    runs = evidence.runs
    scored = [run for run in runs if _has_window(run, challenge)]
    confidence = float(challenge.confidence)
    windows = [_window_accuracy(run, challenge) for run in scored]
    return Summary(
        runs=len(runs),
        scored=len(scored),
        holding=sum(run_holds(run, challenge) for run in runs),
        window_accuracy=_proportion_interval(windows, confidence=confidence),
        worst=find_worst_seed(runs, challenge),
        best_training=_spread(best_accuracies(runs, "training")),
        best_validation=_spread(best_accuracies(runs, "validation")),
        optimism=_optimism(scored, windows),
        first_epochs=_first_epochs(runs, challenge),
        training_gap=_interval([_last_gap(run) for run in scored], confidence=confidence),
        wall_seconds=math.fsum(run.wall_seconds for run in runs),
    )


def compare_claim(evidence: Evidence, claim: Claim) -> tuple[ClaimComparison, ...]:
    """Compare both claimed accuracies with the seeds' best epochs."""
    return (
        _compare(evidence.runs, "training", claim.training_accuracy),
        _compare(evidence.runs, "validation", claim.validation_accuracy),
    )


def find_worst_seed(runs: Sequence[Run], challenge: Challenge) -> WorstSeed | None:
    """Return the worst run: one without a window before any other, the lowest seed among equals."""
    if not runs:
        return None
    worst = min(runs, key=lambda run: _window_minimum(run, challenge))
    if not _has_window(worst, challenge):
        return WorstSeed(seed=worst.seed, status=worst.status, correct=None, total=None)
    lowest = min(worst.epochs[-challenge.window :], key=_validation)
    return WorstSeed(
        seed=worst.seed,
        status=worst.status,
        correct=lowest.validation_correct,
        total=lowest.validation_total,
    )


def best_accuracies(runs: Iterable[Run], measure: Measure) -> tuple[Fraction, ...]:
    """Return the accuracy of the best epoch of every run that has an epoch."""
    accuracy = _training if measure == "training" else _validation
    return tuple(max(accuracy(epoch) for epoch in run.epochs) for run in runs if run.epochs)


def _has_window(run: Run, challenge: Challenge) -> bool:
    return run.status is Status.FINISHED and len(run.epochs) >= challenge.window


def _validation(epoch: EpochScore) -> Fraction:
    return Fraction(epoch.validation_correct, epoch.validation_total)


def _training(epoch: EpochScore) -> Fraction:
    return Fraction(epoch.training_correct, epoch.training_total)


def _window_accuracy(run: Run, challenge: Challenge) -> Fraction:
    final = [_validation(epoch) for epoch in run.epochs[-challenge.window :]]
    return sum(final, Fraction(0)) / len(final)


def _window_minimum(run: Run, challenge: Challenge) -> tuple[bool, Fraction]:
    """Order runs from the worst: one without a window sorts before all that have one."""
    if not _has_window(run, challenge):
        return False, Fraction(0)
    return True, min(_validation(epoch) for epoch in run.epochs[-challenge.window :])


def _last_gap(run: Run) -> Fraction:
    return _training(run.epochs[-1]) - _validation(run.epochs[-1])


def _optimism(scored: Sequence[Run], windows: Sequence[Fraction]) -> Fraction | None:
    if not scored:
        return None
    best = best_accuracies(scored, "validation")
    return (sum(best, Fraction(0)) - sum(windows, Fraction(0))) / len(scored)


def _first_epochs(runs: Iterable[Run], challenge: Challenge) -> FirstEpochs:
    by_seed = tuple(_first_epoch_at_target(run, challenge) for run in runs)
    reached = [epoch for epoch in by_seed if epoch is not None]
    return FirstEpochs(
        by_seed=by_seed,
        earliest=min(reached, default=None),
        latest=max(reached, default=None),
        never=len(by_seed) - len(reached),
    )


def _first_epoch_at_target(run: Run, challenge: Challenge) -> int | None:
    return next(
        (
            number
            for number, epoch in enumerate(run.epochs, start=1)
            if epoch.validation_correct >= challenge.required(epoch.validation_total)
        ),
        None,
    )


def _interval(values: Sequence[Fraction], *, confidence: float) -> Interval | None:
    if not values:
        return None
    _, lower, upper = mean_interval([float(value) for value in values], confidence=confidence)
    return Interval(
        mean=sum(values, Fraction(0)) / len(values),
        lower=None if math.isnan(lower) else round(lower, NOISE_DIGITS),
        upper=None if math.isnan(upper) else round(upper, NOISE_DIGITS),
    )


def _proportion_interval(values: Sequence[Fraction], *, confidence: float) -> Interval | None:
    """Return the interval cut to 0 ... 1, which Student's t knows nothing of."""
    interval = _interval(values, confidence=confidence)
    if interval is None or interval.lower is None or interval.upper is None:
        return interval
    return Interval(
        mean=interval.mean, lower=max(interval.lower, 0.0), upper=min(interval.upper, 1.0)
    )


def _spread(values: Sequence[Fraction]) -> Spread | None:
    if not values:
        return None
    floats = [float(value) for value in values]
    return Spread(
        seeds=len(values),
        lowest=min(values),
        highest=max(values),
        deviation=statistics.stdev(floats) if len(values) > 1 else None,
    )


def _compare(runs: Sequence[Run], measure: Measure, claimed_percent: float) -> ClaimComparison:
    claimed = Fraction(repr(claimed_percent)) / 100
    best = _spread(best_accuracies(runs, measure))
    return ClaimComparison(
        measure=measure, claimed=claimed, best=best, answer=_locate(claimed, best)
    )


def _locate(claimed: Fraction, best: Spread | None) -> Answer:
    if best is None or best.deviation is None:
        return Answer.UNDECIDED
    lowest = float(best.lowest) - best.deviation
    highest = float(best.highest) + best.deviation
    return Answer.HOLDS if lowest <= float(claimed) <= highest else Answer.FAILS
