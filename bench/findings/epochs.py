"""What the seeds have in common in each epoch: their middle, and where nearly all of them are."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.ratios import Counts, count
from bench.findings.scores import Measure
from bench.run_table import Ints, RunTable, tabulate

CENTRAL_SHARE = Fraction("0.90")
"""The share of seeds that lie between the lower and the upper line, at least."""


class EpochSummary(Struct, frozen=True, kw_only=True):
    """One epoch, counted from 1, over all runs that finished it, diverged ones as well.

    `validation_lower` and `validation_upper` are accuracies that seeds had; of those seeds at most
    one in twenty lies below the one, and at most one in twenty above the other.
    """

    epoch: int
    runs: int
    validation_median: Fraction
    validation_lower: Fraction
    validation_upper: Fraction
    training_median: Fraction
    validation_loss_median: float
    training_loss_median: float


def summarise_epochs(evidence: Evidence) -> tuple[EpochSummary, ...]:
    """Return every epoch that at least one run finished, the first one first."""
    runs = tabulate(evidence.runs)
    return tuple(
        _summarise(number, runs, places) for number, places in enumerate(_list_places(runs), 1)
    )


def find_medians(evidence: Evidence) -> tuple[Fraction, ...]:
    """Return the median validation accuracy of every epoch that at least one run finished."""
    runs = tabulate(evidence.runs)
    return tuple(_median(_sort_counts(runs, "validation", places)) for places in _list_places(runs))


def _list_places(runs: RunTable) -> Iterator[Ints]:
    """Yield of each epoch where those runs have it that finished it."""
    for place in range(int(runs.lengths.max(initial=0))):
        yield runs.starts[runs.lengths > place] + place


def _sort_counts(runs: RunTable, measure: Measure, places: Ints) -> Counts:
    correct, totals = (runs.epochs(f"{measure}_{name}")[places] for name in ("correct", "total"))
    counts = count(correct, totals)
    return Counts(correct=np.sort(counts.correct), total=counts.total)


def _summarise(epoch: int, runs: RunTable, places: Ints) -> EpochSummary:
    validation = _sort_counts(runs, "validation", places)
    lower, upper = _central_range(validation)
    return EpochSummary(
        epoch=epoch,
        runs=len(places),
        validation_median=_median(validation),
        validation_lower=lower,
        validation_upper=upper,
        training_median=_median(_sort_counts(runs, "training", places)),
        validation_loss_median=float(np.median(runs.epochs("validation_loss")[places])),
        training_loss_median=float(np.median(runs.epochs("training_loss")[places])),
    )


def _central_range(ordered: Counts) -> tuple[Fraction, Fraction]:
    """Return the accuracies that are left at both ends when the outermost seeds are cut off."""
    outside = len(ordered.correct) * (1 - CENTRAL_SHARE) // 2
    return (
        Fraction(int(ordered.correct[outside]), ordered.total),
        Fraction(int(ordered.correct[-1 - outside]), ordered.total),
    )


def _median(ordered: Counts) -> Fraction:
    correct = ordered.correct
    middle = int(correct[(len(correct) - 1) // 2]) + int(correct[len(correct) // 2])
    return Fraction(middle, 2 * ordered.total)
