"""What the seeds of one iteration have in common.

Accuracies are proportions. Those that are counts of images stay exact fractions, so that no
rounding lifts one to a target or drops one below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import median

import numpy as np
from msgspec import Struct

from bench.evidence import Evidence, find_holding
from bench.findings.columns import (
    average_windows,
    find_best,
    find_windowed,
    first_epochs,
    list_windows,
    order_runs,
    place_last,
    slopes,
)
from bench.findings.intervals import (
    Interval,
    Spread,
    estimate_mean,
    estimate_proportion,
    measure_spread,
)
from bench.findings.ratios import Ratios, choose_kind, find_common
from bench.findings.scores import has_window, validation_accuracy
from bench.records import Challenge, Run, Status
from bench.run_table import RunTable, tabulate


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
    runs = tabulate(evidence.runs)
    confidence = float(challenge.confidence)
    windows = average_windows(runs, challenge)
    return Summary(
        runs=len(runs),
        scored=len(windows),
        holding=int(np.count_nonzero(find_holding(runs, challenge))),
        window_accuracy=estimate_proportion(windows, confidence=confidence),
        worst=find_worst_seed(runs, challenge),
        best_training=measure_spread(find_best(runs, "training")),
        best_validation=measure_spread(find_best(runs, "validation")),
        optimism=_optimism(runs, windows, challenge),
        first_epochs=find_first_epochs(runs, challenge.target),
        window_trend=estimate_mean(_window_slopes(runs, challenge), confidence=confidence),
        late_trend=estimate_mean(_late_slopes(runs, challenge), confidence=confidence),
        training_gap=estimate_mean(_last_gaps(runs, challenge), confidence=confidence),
        wall_seconds=math.fsum(runs.wall_seconds.tolist()),
    )


def find_worst_seed(runs: Sequence[Run], challenge: Challenge) -> WorstSeed | None:
    """Return the worst run: one without a window before any other, the lowest seed among equals."""
    if not runs:
        return None
    table = tabulate(runs)
    worst = table[int(order_runs(table, challenge)[0])]
    if not has_window(worst, challenge):
        return WorstSeed(seed=worst.seed, status=worst.status, correct=None, total=None)
    lowest = min(worst.epochs[-challenge.window :], key=validation_accuracy)
    return WorstSeed(
        seed=worst.seed,
        status=worst.status,
        correct=lowest.validation_correct,
        total=lowest.validation_total,
    )


def find_first_epochs(runs: Iterable[Run], accuracy: Fraction) -> FirstEpochs:
    """Return when each run was first at or above a validation accuracy."""
    by_seed = tuple(epoch or None for epoch in first_epochs(tabulate(runs), accuracy).tolist())
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


def _optimism(runs: RunTable, windows: Ratios, challenge: Challenge) -> Fraction | None:
    if not len(windows):
        return None
    best = find_best(runs, "validation", find_windowed(runs, challenge))
    return best.mean() - windows.mean()


def _window_slopes(runs: RunTable, challenge: Challenge) -> Ratios | None:
    """Return the slope of each window, `None` where it is one epoch, which has none."""
    if challenge.window < 2:
        return None
    correct, totals = list_windows(runs, challenge)
    return slopes(correct, totals, find_common(totals))


def _late_slopes(runs: RunTable, challenge: Challenge) -> Ratios:
    """Return the slope of the second half of the epochs of each run whose half has one."""
    correct, totals = runs.epochs("validation_correct"), runs.epochs("validation_total")
    common = find_common(totals)
    scored = find_windowed(runs, challenge)
    halves = runs.lengths[scored] // 2
    parts, wholes = (np.zeros(len(scored), choose_kind(common)) for _ in range(2))
    for half in np.unique(halves[halves > 1]).tolist():
        alike = halves == half
        places = place_last(runs, scored[alike], half)
        found = slopes(correct[places], totals[places], common)
        parts[alike], wholes[alike] = found.parts, found.wholes
    return Ratios(parts=parts[halves > 1], wholes=wholes[halves > 1])


def _last_gaps(runs: RunTable, challenge: Challenge) -> Ratios:
    """Return training minus validation accuracy in the last epoch of each run with a window."""
    places = place_last(runs, find_windowed(runs, challenge), 1)[:, 0]
    training, training_total, validation, validation_total = (
        runs.epochs(name)[places].astype(np.int64)
        for name in (
            "training_correct", "training_total", "validation_correct", "validation_total",
        )
    )  # fmt: skip
    return Ratios(
        parts=training * validation_total - validation * training_total,
        wholes=training_total * validation_total,
    )
