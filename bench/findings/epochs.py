"""What the seeds have in common in each epoch: their middle, and where nearly all of them are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median, median_high, median_low

from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.scores import Counts, count_training, count_validation
from bench.records import EpochScore

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
    runs = evidence.runs
    epochs = max((len(run.epochs) for run in runs), default=0)
    return tuple(
        _summarise(place + 1, [run.epochs[place] for run in runs if len(run.epochs) > place])
        for place in range(epochs)
    )


def find_medians(evidence: Evidence) -> tuple[Fraction, ...]:
    """Return the median validation accuracy of every epoch that at least one run finished."""
    runs = evidence.runs
    return tuple(
        _median(count_validation([run.epochs[place] for run in runs if len(run.epochs) > place]))
        for place in range(max((len(run.epochs) for run in runs), default=0))
    )


def _summarise(epoch: int, scores: Sequence[EpochScore]) -> EpochSummary:
    validation = count_validation(scores)
    lower, upper = _central_range(validation)
    return EpochSummary(
        epoch=epoch,
        runs=len(scores),
        validation_median=_median(validation),
        validation_lower=lower,
        validation_upper=upper,
        training_median=_median(count_training(scores)),
        validation_loss_median=median(score.validation_loss for score in scores),
        training_loss_median=median(score.training_loss for score in scores),
    )


def _central_range(counts: Counts) -> tuple[Fraction, Fraction]:
    """Return the accuracies that are left at both ends when the outermost seeds are cut off."""
    ordered = sorted(counts.correct)
    outside = len(ordered) * (1 - CENTRAL_SHARE) // 2
    return (
        Fraction(ordered[outside], counts.total),
        Fraction(ordered[-1 - outside], counts.total),
    )


def _median(counts: Counts) -> Fraction:
    middle = median_low(counts.correct) + median_high(counts.correct)
    return Fraction(middle, 2 * counts.total)
