"""What one run scored, as exact fractions: no rounding lifts a figure to a target or below it.

`bench.findings.columns` has the same of many runs at once.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def mean_window_accuracy(run: Run, challenge: Challenge) -> Fraction:
    """Return the mean validation accuracy of the final window of a run that has one."""
    window = _list_window(run, challenge)
    return sum(window, Fraction(0)) / len(window)


def window_minimum(run: Run, challenge: Challenge) -> Fraction | None:
    """Return the lowest validation accuracy of the final window, `None` for a run without one."""
    return min(_list_window(run, challenge)) if has_window(run, challenge) else None


def _list_window(run: Run, challenge: Challenge) -> list[Fraction]:
    return [validation_accuracy(epoch) for epoch in run.epochs[-challenge.window :]]


def best_accuracies(runs: Iterable[Run]) -> tuple[Fraction, ...]:
    """Return the validation accuracy of the best epoch of every run that has an epoch."""
    return tuple(max(map(validation_accuracy, run.epochs)) for run in runs if run.epochs)


def best_epoch(run: Run) -> int | None:
    """Return the first epoch, counted from 1, with the best validation accuracy of a run."""
    accuracies = [validation_accuracy(epoch) for epoch in run.epochs]
    return accuracies.index(max(accuracies)) + 1 if accuracies else None


def first_epoch_at(run: Run, accuracy: Fraction) -> int | None:
    """Return the first epoch, counted from 1, at or above a validation accuracy."""
    part, whole = accuracy.as_integer_ratio()
    for number, epoch in enumerate(run.epochs, start=1):
        if epoch.validation_correct * whole >= part * epoch.validation_total:
            return number
    return None
