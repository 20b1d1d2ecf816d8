"""Which runs may decide: the rules of evidence (docs/protocol.md) applied to a ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice

import numpy as np
from msgspec import Struct

from bench.challenges import VALIDATION_IMAGES
from bench.errors import LedgerError
from bench.iterations import Iteration
from bench.limits import MOST_GROUPS, MOST_MISSING, MOST_TOTALS
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run, Status
from bench.run_table import Flags, Ints, RunTable, find_distinct, tabulate


class Evidence(Struct, frozen=True, kw_only=True):
    """Runs of one iteration under one set of conditions, with today's code.

    `runs` are seeds 0, 1, 2, ... without a gap; `waiting` are seeds recorded beyond the first gap
    and `missing` the seeds that keep them waiting, the first 10,000 of them.
    """

    iteration: str
    fingerprint: str
    dataset: str
    conditions: Conditions
    runs: Sequence[Run]
    waiting: tuple[int, ...]
    missing: tuple[int, ...]


class Selection(Struct, frozen=True, kw_only=True):
    """All evidence on one iteration, most runs first, and how many runs were refused and why.

    `stale` were trained by other code (network, recipe or engine), `tuning` with tuning seeds.
    """

    evidence: tuple[Evidence, ...]
    stale: int
    tuning: int

    def under(self, conditions: Conditions | None) -> Evidence | None:
        """Return the evidence under the given conditions, by default the one with most runs."""
        for evidence in self.evidence:
            if conditions in (None, evidence.conditions):
                return evidence
        return None


def run_holds(run: Run, challenge: Challenge) -> bool:
    """Say whether every epoch of the final window is at or above the target.

    A diverged run, or one of fewer epochs than the window, does not hold.
    """
    return count_steady_epochs(run, challenge.target) >= challenge.window


def count_steady_epochs(run: Run, target: Fraction) -> int:
    """Return how many epochs up to the last one are all at or above a target.

    A diverged run has no last epoch, and so none of these.
    """
    part, whole = target.as_integer_ratio()
    steady = 0
    for epoch in reversed(run.epochs if run.status is Status.FINISHED else ()):
        if epoch.validation_correct * whole < part * epoch.validation_total:
            break
        steady += 1
    return steady


def find_reached(runs: RunTable, accuracy: Fraction) -> Flags:
    """Say of every epoch of all runs whether its validation accuracy is at or above one."""
    correct, totals = runs.epochs("validation_correct"), runs.epochs("validation_total")
    reached = np.zeros(len(correct), dtype=bool)
    for total in find_distinct(totals):
        needed = math.ceil(accuracy * total)
        reached |= (totals == total) & (correct >= needed)
    return reached


def count_steady(runs: RunTable, target: Fraction) -> Ints:
    """Return of each run what `count_steady_epochs` says."""
    reached = find_reached(runs, target)
    places = np.where(reached, -1, np.arange(len(reached)))
    last_miss = np.maximum(runs.reduce(np.maximum, places, -1), runs.starts - 1)
    return np.where(runs.finished, runs.starts + runs.lengths - 1 - last_miss, 0)


def find_holding(runs: RunTable, challenge: Challenge) -> Flags:
    """Say of each run what `run_holds` says."""
    return count_steady(runs, challenge.target) >= challenge.window


def select_evidence(runs: Iterable[Run], iteration: Iteration) -> Selection:
    """Sort an iteration's runs into evidence; unlike conditions or datasets are never pooled.

    Raises:
        LedgerError: a run was not scored on the images that it names, or there are more sets of
            conditions than anyone can look at.
    """
    runs = runs if isinstance(runs, Sequence) else tuple(runs)
    table = tabulate(runs)
    groups, group_of = _group(table, iteration)
    current = group_of >= 0
    counting = current & (table.seeds < FIRST_TUNING_SEED)
    counted = np.bincount(group_of[counting], minlength=len(groups))
    if np.count_nonzero(counted) > MOST_GROUPS:
        raise LedgerError(
            f"{iteration.name}: runs under {np.count_nonzero(counted)} sets of conditions, more "
            f"than the {MOST_GROUPS} that are judged; move those that nobody needs to another "
            "ledger"
        )
    evidence = []
    for place in np.flatnonzero(counted).tolist():
        rows = np.flatnonzero(counting & (group_of == place))
        conditions, dataset = groups[place]
        _check_images(iteration, dataset, table.take(rows))
        evidence.append(_gapless(iteration, conditions, dataset, runs, table.seeds, rows))
    evidence.sort(key=lambda e: (-len(e.runs), e.conditions, e.dataset))
    return Selection(
        evidence=tuple(evidence),
        stale=len(runs) - int(np.count_nonzero(current)),
        tuning=int(np.count_nonzero(current & ~counting)),
    )


def _group(table: RunTable, iteration: Iteration) -> tuple[list[tuple[Conditions, str]], Ints]:
    """Return sets of conditions and images, and the place of each run's, -1 for a stale one."""
    origins, origin_of = table.origins
    groups: dict[tuple[Conditions, str], int] = {}
    places = [-1] * len(origins)
    for place, (_, _, fingerprint, dataset, conditions) in enumerate(origins):
        if fingerprint == iteration.fingerprint:
            places[place] = groups.setdefault((conditions, dataset), len(groups))
    return list(groups), np.array(places, dtype=np.int64)[origin_of]


def _check_images(iteration: Iteration, dataset: str, runs: RunTable) -> None:
    """Make sure that runs on a known dataset were scored on as many images as it has."""
    images = VALIDATION_IMAGES.get(dataset)
    totals = runs.epochs("validation_total")
    if images is not None and (totals != images).any():
        place = int(np.argmax(totals != images))
        seed = int(runs.seeds[np.searchsorted(runs.starts, place, "right") - 1])
        raise LedgerError(
            f"{iteration.name}: seed {seed} was scored on {totals[place]} images, and dataset "
            f"{dataset[:12]} has {images}; delete its line and run the seed again"
        )
    distinct = {*find_distinct(totals), *find_distinct(runs.epochs("training_total"))}
    if len(distinct) > MOST_TOTALS:
        raise LedgerError(
            f"{iteration.name}: epochs of {len(distinct)} different numbers of images, more than "
            f"{MOST_TOTALS}; restore the ledger from version control"
        )


def _gapless(
    iteration: Iteration,
    conditions: Conditions,
    dataset: str,
    runs: Sequence[Run],
    seeds: Ints,
    rows: Ints,
) -> Evidence:
    order = rows[np.argsort(seeds[rows], kind="stable")]
    ordered = seeds[order]
    order = order[np.append(ordered[1:] != ordered[:-1], True)]  # the last of equal seeds
    ordered = seeds[order]
    gaps = np.flatnonzero(ordered != np.arange(len(ordered)))
    first_gap = int(gaps[0]) if len(gaps) else len(ordered)
    waiting = tuple(ordered[first_gap:].tolist())
    known = set(waiting)
    beyond = range(first_gap, waiting[-1]) if waiting else ()
    missing = islice((seed for seed in beyond if seed not in known), MOST_MISSING)
    counting = order[:first_gap]
    return Evidence(
        iteration=iteration.name,
        fingerprint=iteration.fingerprint,
        dataset=dataset,
        conditions=conditions,
        runs=runs.take(counting)
        if isinstance(runs, RunTable)
        else tuple(runs[row] for row in counting.tolist()),
        waiting=waiting,
        missing=tuple(missing),
    )
