"""What one run scored, as exact fractions: no rounding lifts a figure to a target or below it.

Inside, accuracies are integers over one total, which compare and add up at once and as exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from bench.records import Challenge, EpochScore, Run, Status

Measure = Literal["training", "validation"]


class Counts(Struct, frozen=True, kw_only=True, gc=False):
    """Images that were right in each of some epochs, as if all had been shown the same `total`."""

    correct: tuple[int, ...]
    total: int


def has_window(run: Run, challenge: Challenge) -> bool:
    """Say whether a run finished with as many epochs as the final window has."""
    return run.status is Status.FINISHED and len(run.epochs) >= challenge.window


def validation_accuracy(epoch: EpochScore) -> Fraction:
    """Return the share of validation images that are right."""
    return Fraction(epoch.validation_correct, epoch.validation_total)


def count_validation(epochs: Sequence[EpochScore]) -> Counts:
    """Return the validation images that are right in each epoch."""
    return _count(
        [epoch.validation_correct for epoch in epochs], [epoch.validation_total for epoch in epochs]
    )


def count_training(epochs: Sequence[EpochScore]) -> Counts:
    """Return the training images that were right while each epoch trained on them."""
    return _count(
        [epoch.training_correct for epoch in epochs], [epoch.training_total for epoch in epochs]
    )


def _count(correct: Sequence[int], totals: Sequence[int]) -> Counts:
    if len(set(totals)) == 1:
        return Counts(correct=tuple(correct), total=totals[0])
    common = math.lcm(*totals)
    scaled = (n * (common // total) for n, total in zip(correct, totals, strict=True))
    return Counts(correct=tuple(scaled), total=common)


def count_window(run: Run, challenge: Challenge) -> Counts:
    """Return the validation images that are right in each epoch of the final window."""
    return count_validation(run.epochs[-challenge.window :])


def mean_window_accuracy(run: Run, challenge: Challenge) -> Fraction:
    """Return the mean validation accuracy of the final window of a run that has one."""
    window = count_window(run, challenge)
    return Fraction(sum(window.correct), window.total * len(window.correct))


def window_minimum(run: Run, challenge: Challenge) -> Fraction | None:
    """Return the lowest validation accuracy of the final window, `None` for a run without one."""
    if not has_window(run, challenge):
        return None
    window = count_window(run, challenge)
    return Fraction(min(window.correct), window.total)


def last_gap(run: Run) -> Fraction:
    """Return training minus validation accuracy of the last epoch."""
    last = run.epochs[-1]
    return Fraction(last.training_correct, last.training_total) - validation_accuracy(last)


def best_accuracies(runs: Iterable[Run], measure: Measure) -> tuple[Fraction, ...]:
    """Return the accuracy of the best epoch of every run that has an epoch."""
    count = count_training if measure == "training" else count_validation
    counted = (count(run.epochs) for run in runs if run.epochs)
    return tuple(Fraction(max(counts.correct), counts.total) for counts in counted)


def best_epoch(run: Run) -> int | None:
    """Return the first epoch, counted from 1, with the best validation accuracy of a run."""
    correct = count_validation(run.epochs).correct
    return correct.index(max(correct)) + 1 if correct else None


def first_epoch_at(run: Run, accuracy: Fraction) -> int | None:
    """Return the first epoch, counted from 1, at or above a validation accuracy."""
    part, whole = accuracy.as_integer_ratio()
    for number, epoch in enumerate(run.epochs, start=1):
        if epoch.validation_correct * whole >= part * epoch.validation_total:
            return number
    return None


def slope(counts: Counts) -> Fraction:
    """Return the least-squares slope of accuracy per epoch, of two epochs or more."""
    n = len(counts.correct)
    weighted = sum((2 * place - n + 1) * right for place, right in enumerate(counts.correct))
    return Fraction(weighted * 6, counts.total * n * (n * n - 1))
