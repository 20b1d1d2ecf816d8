"""What the seeds of one iteration have in common.

Accuracies are proportions. Those that are counts of images stay exact fractions, so that no
rounding lifts one to a target or drops one below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import mean, median

from msgspec import Struct

from bench.evidence import Evidence, run_holds
from bench.findings.intervals import (
    Interval,
    Spread,
    estimate_mean,
    estimate_proportion,
    measure_spread,
)
from bench.findings.scores import (
    Counts,
    best_accuracies,
    count_validation,
    count_window,
    first_epoch_at,
    has_window,
    last_gap,
    mean_window_accuracy,
    slope,
    validation_accuracy,
    window_minimum,
)
from bench.records import Challenge, Run, Status


class WorstSeed(Struct, frozen=True, kw_only=True):
    """The seed with the lowest epoch in its window; counts are `None` for a run without one."""

    seed: int
    status: Status
    correct: int | None
    total: int | None


class FirstEpochs(Struct, frozen=True, kw_only=True):
    """The epoch, counted from 1, in which each seed was first at an accuracy (`None`: never).

    `median` is over all seeds and takes "never" as later than any epoch: it is `None` when the
    middle seed, or one of the two in the middle, never was there.
    """

    accuracy: Fraction
    by_seed: tuple[int | None, ...]
    earliest: int | None
    latest: int | None
    median: Fraction | None
    never: int


class Summary(Struct, frozen=True, kw_only=True):
    """What the seeds of one iteration have in common.

    `scored` runs have a whole final window; means are over those, and `None` without any.
    `optimism` is the mean of (best epoch - mean of the window), `training_gap` training minus
    validation accuracy in the last epoch. `window_trend` and `late_trend` are changes of accuracy
    per epoch, by least squares, inside the window and in the second half of the epochs. Both best
    accuracies are over runs with any epoch; `wall_seconds` adds up all runs.
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
    window_trend: Interval | None
    late_trend: Interval | None
    training_gap: Interval | None
    wall_seconds: float


def summarise(evidence: Evidence, challenge: Challenge) -> Summary:
    """Return what the runs show; a run without a final window is counted and never averaged."""
    runs = evidence.runs
    scored = [run for run in runs if has_window(run, challenge)]
    confidence = float(challenge.confidence)
    windows = [mean_window_accuracy(run, challenge) for run in scored]
    late = [count_validation(run.epochs[-(len(run.epochs) // 2) :]) for run in scored]
    return Summary(
        runs=len(runs),
        scored=len(scored),
        holding=sum(run_holds(run, challenge) for run in runs),
        window_accuracy=estimate_proportion(windows, confidence=confidence),
        worst=find_worst_seed(runs, challenge),
        best_training=measure_spread(best_accuracies(runs, "training")),
        best_validation=measure_spread(best_accuracies(runs, "validation")),
        optimism=_optimism(scored, windows),
        first_epochs=find_first_epochs(runs, challenge.target),
        window_trend=_trend(
            [count_window(run, challenge) for run in scored], confidence=confidence
        ),
        late_trend=_trend(late, confidence=confidence),
        training_gap=estimate_mean([last_gap(run) for run in scored], confidence=confidence),
        wall_seconds=math.fsum(run.wall_seconds for run in runs),
    )


def find_worst_seed(runs: Sequence[Run], challenge: Challenge) -> WorstSeed | None:
    """Return the worst run: one without a window before any other, the lowest seed among equals."""
    if not runs:
        return None
    worst = min(runs, key=lambda run: rank(run, challenge))
    if not has_window(worst, challenge):
        return WorstSeed(seed=worst.seed, status=worst.status, correct=None, total=None)
    lowest = min(worst.epochs[-challenge.window :], key=validation_accuracy)
    return WorstSeed(
        seed=worst.seed,
        status=worst.status,
        correct=lowest.validation_correct,
        total=lowest.validation_total,
    )


def rank(run: Run, challenge: Challenge) -> tuple[bool, Fraction]:
    """Return what orders runs from the worst: one without a window is below all that have one."""
    lowest = window_minimum(run, challenge)
    return lowest is not None, lowest or Fraction(0)


def find_first_epochs(runs: Iterable[Run], accuracy: Fraction) -> FirstEpochs:
    """Return when each run was first at or above a validation accuracy."""
    by_seed = tuple(first_epoch_at(run, accuracy) for run in runs)
    reached = [epoch for epoch in by_seed if epoch is not None]
    return FirstEpochs(
        accuracy=accuracy,
        by_seed=by_seed,
        earliest=min(reached, default=None),
        latest=max(reached, default=None),
        median=_median(by_seed),
        never=len(by_seed) - len(reached),
    )


def _median(epochs: Sequence[int | None]) -> Fraction | None:
    if not epochs:
        return None
    middle = median(math.inf if epoch is None else epoch for epoch in epochs)
    return None if math.isinf(middle) else Fraction(middle)


def _optimism(scored: Sequence[Run], windows: Sequence[Fraction]) -> Fraction | None:
    if not scored:
        return None
    best = best_accuracies(scored, "validation")
    return mean(best) - mean(windows)


def _trend(curves: Iterable[Counts], *, confidence: float) -> Interval | None:
    """Return the mean slope per epoch of all curves that have one, `None` without any."""
    return estimate_mean([slope(c) for c in curves if len(c.correct) > 1], confidence=confidence)
