"""What many runs scored, as `bench.findings.scores` has it of one."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np

from bench.evidence import find_reached
from bench.findings.ratios import Counts, Integers, Ratios, find_common, scale_columns
from bench.findings.scores import Measure
from bench.records import Challenge
from bench.run_table import Ints, RunTable


def find_windowed(runs: RunTable, challenge: Challenge) -> Ints:
    """Return the places of the runs that finished with as many epochs as the window has."""
    return np.flatnonzero(runs.finished & (runs.lengths >= challenge.window))


def place_last(runs: RunTable, places: Ints, epochs: int) -> Ints:
    """Return where the last epochs of some runs are: a row a run, a column an epoch."""
    ends = (runs.starts + runs.lengths)[places]
    return ends[:, np.newaxis] + np.arange(-epochs, 0)


def list_windows(runs: RunTable, challenge: Challenge) -> tuple[Integers, Integers]:
    """Return images right and shown in the windows of the runs that have one, a row each."""
    places = place_last(runs, find_windowed(runs, challenge), challenge.window)
    return runs.epochs("validation_correct")[places], runs.epochs("validation_total")[places]


def average_windows(runs: RunTable, challenge: Challenge) -> Ratios:
    """Return the mean validation accuracy of the window of each run that has one."""
    correct, totals = list_windows(runs, challenge)
    common = find_common(totals)
    parts = reduce(np.add, scale_columns(correct, totals, common))
    return Ratios(parts=parts, wholes=np.full_like(parts, common * challenge.window))


def find_lowest(runs: RunTable, challenge: Challenge) -> Counts:
    """Return the images right in the lowest epoch of the window of each run that has one."""
    correct, totals = list_windows(runs, challenge)
    common = find_common(totals)
    lowest = reduce(np.minimum, scale_columns(correct, totals, common))
    return Counts(correct=lowest, total=common)


def find_best(runs: RunTable, measure: Measure, places: Ints | None = None) -> Ratios:
    """Return the accuracy in the best epoch of runs, by default of all that have an epoch.

    Unlike accuracies differ by a part in 10^14 at least (bench.limits.MOST_IMAGES): floats order
    them, and are equal where they are.
    """
    correct, totals = (runs.epochs(f"{measure}_{name}") for name in ("correct", "total"))
    accuracies = correct / totals
    best = np.repeat(runs.reduce(np.maximum, accuracies, 0), runs.lengths)
    chosen = np.flatnonzero(runs.lengths) if places is None else places
    found = np.flatnonzero(accuracies == best)
    first = found[np.searchsorted(found, runs.starts[chosen])]
    return Ratios(parts=correct[first].astype(np.int64), wholes=totals[first].astype(np.int64))


def first_epochs(runs: RunTable, accuracy: Fraction) -> Ints:
    """Return the first epoch, counted from 1, of each run at or above an accuracy, 0 for none."""
    reached = find_reached(runs, accuracy)
    places = np.where(reached, np.arange(len(reached)), len(reached))
    first = runs.reduce(np.minimum, places, len(reached))
    return np.where(first < len(reached), first - runs.starts + 1, 0)


def slopes(correct: Integers, totals: Integers, common: int) -> Ratios:
    """Return the least-squares slope of accuracy per epoch of rows of two epochs or more."""
    n = correct.shape[1]
    columns = enumerate(scale_columns(correct, totals, common))
    parts = 6 * reduce(np.add, ((2 * place - n + 1) * column for place, column in columns))
    return Ratios(parts=parts, wholes=np.full_like(parts, common * n * (n * n - 1)))


def order_runs(runs: RunTable, challenge: Challenge) -> Ints:
    """Return the places of all runs, the worst first: one without a window before any other.

    Others go by the lowest epoch of their window; equal ones stay in their order.
    """
    found = find_lowest(runs, challenge).correct
    lowest = np.full(len(runs), -1, dtype=found.dtype)
    lowest[find_windowed(runs, challenge)] = found
    return np.argsort(lowest, kind="stable")
