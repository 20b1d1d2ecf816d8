"""What each seed did by itself: whether it holds, and the figures that say how well."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from msgspec import Struct

from bench.evidence import Evidence, run_holds
from bench.findings.columns import order_runs
from bench.findings.scores import (
    best_epoch,
    first_epoch_at,
    has_window,
    mean_window_accuracy,
    validation_accuracy,
    window_minimum,
)
from bench.records import Challenge, Run, Status
from bench.run_table import tabulate

WORST_SHARE = 4
"""Of the runs that stand for many, one in so many is one of the worst."""

Outcome = Literal["holds", "misses", "diverged"]


class RunScore(Struct, frozen=True, kw_only=True):
    """One seed's validation accuracies; figures of the window are `None` for a run without one.

    `best_epoch` is the first epoch with the best accuracy and `first_epoch` the first at or above
    the target, both counted from 1; `None` says that there is none.
    """

    seed: int
    outcome: Outcome
    window_minimum: Fraction | None
    window_mean: Fraction | None
    best: Fraction | None
    best_epoch: int | None
    first_epoch: int | None


def score_runs(
    evidence: Evidence, challenge: Challenge, most: int | None = None
) -> tuple[RunScore, ...]:
    """Return the score of every run, or of `most` of them, in the order of the seeds."""
    places = choose_runs(evidence, challenge, most)
    return tuple(score_run(evidence.runs[place], challenge) for place in places)


def choose_runs(evidence: Evidence, challenge: Challenge, most: int | None) -> list[int]:
    """Return the places of all runs, or of so many that stand for all, in the order of the seeds.

    A quarter are the worst ones; the others are taken from the rest at even ranks, the best one
    among them, so that they are spread as the seeds are.
    """
    if most is None or len(evidence.runs) <= most:
        return list(range(len(evidence.runs)))
    order = order_runs(tabulate(evidence.runs), challenge)
    worst = most // WORST_SHARE
    ranks = np.linspace(worst, len(order) - 1, most - worst).astype(int)
    return sorted(np.append(order[:worst], order[ranks]).tolist())


def score_run(run: Run, challenge: Challenge) -> RunScore:
    """Return the score of one run, whether or not it counts as evidence."""
    best = best_epoch(run)
    return RunScore(
        seed=run.seed,
        outcome=_outcome(run, challenge),
        window_minimum=window_minimum(run, challenge),
        window_mean=mean_window_accuracy(run, challenge) if has_window(run, challenge) else None,
        best=None if best is None else validation_accuracy(run.epochs[best - 1]),
        best_epoch=best,
        first_epoch=first_epoch_at(run, challenge.target),
    )


def _outcome(run: Run, challenge: Challenge) -> Outcome:
    if run.status is Status.DIVERGED:
        return "diverged"
    return "holds" if run_holds(run, challenge) else "misses"
