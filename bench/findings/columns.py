"""What many runs scored, as `bench.findings.scores` has it of one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from bench.evidence import find_reached
from bench.findings.ratios import Counts, Integers, Ratios, count
from bench.findings.scores import Measure
from bench.records import Challenge
from bench.run_table import Ints, RunTable


def find_windowed(runs: RunTable, challenge: Challenge) -> Ints:
    """Return the places of the runs that finished with as many epochs as the window has."""
    return np.flatnonzero(runs.finished & (runs.lengths >= challenge.window))


def count_epochs(runs: RunTable, measure: Measure) -> Counts:
    """Return the images that were right in each epoch of all runs."""
    return count(runs.epochs(f"{measure}_correct"), runs.epochs(f"{measure}_total"))


def place_last(runs: RunTable, places: Ints, epochs: int) -> Ints:
    """Return where the last epochs of some runs are: a row a run, a column an epoch."""
    ends = (runs.starts + runs.lengths)[places]
    return ends[:, np.newaxis] + np.arange(-epochs, 0)


def count_windows(runs: RunTable, challenge: Challenge) -> Counts:
    """Return the images right in each epoch of the window of the runs that have one, a row each."""
    places = place_last(runs, find_windowed(runs, challenge), challenge.window)
    correct, totals = (runs.epochs(f"validation_{name}")[places] for name in ("correct", "total"))
    counted = count(correct.ravel(), totals.ravel())
    return Counts(correct=counted.correct.reshape(places.shape), total=counted.total)


def average_windows(runs: RunTable, challenge: Challenge) -> Ratios:
    """Return the mean validation accuracy of the window of each run that has one."""
    window = count_windows(runs, challenge)
    parts = window.correct.sum(axis=1)
    return Ratios(parts=parts, wholes=np.full_like(parts, window.total * challenge.window))


def best_counts(runs: RunTable, measure: Measure, places: Ints | None = None) -> Counts:
    """Return the images right in the best epoch of runs, by default of all that have an epoch."""
    counts = count_epochs(runs, measure)
    best = runs.reduce(np.maximum, counts.correct, 0)
    chosen = np.flatnonzero(runs.lengths) if places is None else places
    return Counts(correct=best[chosen], total=counts.total)


def first_epochs(runs: RunTable, accuracy: Fraction) -> Ints:
    """Return the first epoch, counted from 1, of each run at or above an accuracy, 0 for none."""
    reached = find_reached(runs, accuracy)
    places = np.where(reached, np.arange(len(reached)), len(reached))
    first = runs.reduce(np.minimum, places, len(reached))
    return np.where(first < len(reached), first - runs.starts + 1, 0)


def slopes(correct: Integers, total: int) -> Ratios:
    """Return the least-squares slope of accuracy per epoch of rows of two epochs or more."""
    n = correct.shape[1]
    parts = 6 * (correct @ (2 * np.arange(n) - n + 1).astype(correct.dtype))
    return Ratios(parts=parts, wholes=np.full_like(parts, total * n * (n * n - 1)))


def order_runs(runs: RunTable, challenge: Challenge) -> Ints:
    """Return the places of all runs, the worst first: one without a window before any other.

    Others go by the lowest epoch of their window; equal ones stay in their order.
    """
    window = count_windows(runs, challenge)
    lowest = np.full(len(runs), -1, dtype=window.correct.dtype)
    lowest[find_windowed(runs, challenge)] = window.correct.min(axis=1)
    return np.argsort(lowest, kind="stable")
