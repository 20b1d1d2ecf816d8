"""What a run is worth to a search: accuracy in the final window, as an exact fraction."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from bench.records import Run, Status
from bench.searching.spaces import Objective


def value_run(run: Run, *, window: int, objective: Objective) -> Fraction:
    """Return the lowest accuracy of the last `window` epochs, or their mean.

    0 when it diverged, or has fewer epochs: the lowest of fewer is higher.
    """
    if run.status is Status.DIVERGED or len(run.epochs) < window:
        return Fraction(0)
    accuracies = [
        Fraction(epoch.validation_correct, epoch.validation_total) for epoch in run.epochs[-window:]
    ]
    return min(accuracies) if objective == "minimum" else average(accuracies)


def average(values: Iterable[Fraction]) -> Fraction:
    """Return the mean of some values, exactly."""
    listed = list(values)
    return sum(listed, Fraction(0)) / len(listed)
