"""What one run scored, as exact fractions: no rounding lifts a figure to a target or below it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from bench.records import Challenge, EpochScore, Run, Status

Measure = Literal["training", "validation"]


def has_window(run: Run, challenge: Challenge) -> bool:
    """Say whether a run finished with as many epochs as the final window has."""
    return run.status is Status.FINISHED and len(run.epochs) >= challenge.window


def validation_accuracy(epoch: EpochScore) -> Fraction:
    """Return the share of validation images that are right."""
    return Fraction(epoch.validation_correct, epoch.validation_total)


def training_accuracy(epoch: EpochScore) -> Fraction:
    """Return the share of training images that were right while the epoch trained on them."""
    return Fraction(epoch.training_correct, epoch.training_total)


def window_accuracies(run: Run, challenge: Challenge) -> list[Fraction]:
    """Return the validation accuracy of each epoch of the final window."""
    return [validation_accuracy(epoch) for epoch in run.epochs[-challenge.window :]]


def mean_window_accuracy(run: Run, challenge: Challenge) -> Fraction:
    """Return the mean validation accuracy of the final window of a run that has one."""
    accuracies = window_accuracies(run, challenge)
    return sum(accuracies, Fraction(0)) / len(accuracies)


def window_minimum(run: Run, challenge: Challenge) -> Fraction | None:
    """Return the lowest validation accuracy of the final window, `None` for a run without one."""
    return min(window_accuracies(run, challenge)) if has_window(run, challenge) else None


def last_gap(run: Run) -> Fraction:
    """Return training minus validation accuracy of the last epoch."""
    return training_accuracy(run.epochs[-1]) - validation_accuracy(run.epochs[-1])


def best_accuracies(runs: Iterable[Run], measure: Measure) -> tuple[Fraction, ...]:
    """Return the accuracy of the best epoch of every run that has an epoch."""
    accuracy = training_accuracy if measure == "training" else validation_accuracy
    return tuple(max(accuracy(epoch) for epoch in run.epochs) for run in runs if run.epochs)


def first_epoch_at(run: Run, accuracy: Fraction) -> int | None:
    """Return the first epoch, counted from 1, at or above a validation accuracy."""
    epochs = enumerate(run.epochs, start=1)
    return next((n for n, epoch in epochs if validation_accuracy(epoch) >= accuracy), None)


def slope(values: Sequence[Fraction]) -> Fraction:
    """Return the least-squares slope per step of two values or more."""
    n = len(values)
    weighted = [(2 * place - n + 1) * value for place, value in enumerate(values)]
    return sum(weighted, Fraction(0)) * 6 / (n * (n * n - 1))
