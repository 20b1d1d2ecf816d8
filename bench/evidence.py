"""Which runs may decide: the rules of evidence (docs/protocol.md) applied to a ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice

from msgspec import Struct

from bench.challenges import VALIDATION_IMAGES
from bench.errors import LedgerError
from bench.iterations import Iteration
from bench.limits import MOST_GROUPS, MOST_MISSING, MOST_TOTALS
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run, Status


class Evidence(Struct, frozen=True, kw_only=True):
    """Runs of one iteration under one set of conditions, with today's code.

    `runs` are seeds 0, 1, 2, ... without a gap; `waiting` are seeds recorded beyond the first gap
    and `missing` the seeds that keep them waiting, the first 10,000 of them.
    """

    iteration: str
    fingerprint: str
    dataset: str
    conditions: Conditions
    runs: tuple[Run, ...]
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


def select_evidence(runs: Iterable[Run], iteration: Iteration) -> Selection:
    """Sort an iteration's runs into evidence; unlike conditions or datasets are never pooled.

    Raises:
        LedgerError: a run was not scored on the images that it names, or there are more sets of
            conditions than anyone can look at.
    """
    groups: dict[tuple[Conditions, str], dict[int, Run]] = defaultdict(dict)
    stale = tuning = 0
    for run in runs:
        if run.fingerprint != iteration.fingerprint:
            stale += 1
        elif run.seed >= FIRST_TUNING_SEED:
            tuning += 1
        else:
            groups[run.conditions, run.dataset][run.seed] = run
    if len(groups) > MOST_GROUPS:
        raise LedgerError(
            f"{iteration.name}: runs under {len(groups)} sets of conditions, more than the "
            f"{MOST_GROUPS} that are judged; move those that nobody needs to another ledger"
        )
    for (_, dataset), by_seed in groups.items():
        _check_images(iteration, dataset, by_seed.values())
    evidence = [_gapless(iteration, *group, by_seed) for group, by_seed in groups.items()]
    evidence.sort(key=lambda e: (-len(e.runs), e.conditions, e.dataset))
    return Selection(evidence=tuple(evidence), stale=stale, tuning=tuning)


def _check_images(iteration: Iteration, dataset: str, runs: Iterable[Run]) -> None:
    """Make sure that runs on a known dataset were scored on as many images as it has."""
    images = VALIDATION_IMAGES.get(dataset)
    totals: set[int] = set()
    for run in runs:
        for epoch in run.epochs:
            totals.update((epoch.training_total, epoch.validation_total))
            if images not in (None, epoch.validation_total):
                raise LedgerError(
                    f"{iteration.name}: seed {run.seed} was scored on {epoch.validation_total} "
                    f"images, and dataset {dataset[:12]} has {images}; delete its line and run "
                    "the seed again"
                )
    if len(totals) > MOST_TOTALS:
        raise LedgerError(
            f"{iteration.name}: epochs of {len(totals)} different numbers of images, more than "
            f"{MOST_TOTALS}; restore the ledger from version control"
        )


def _gapless(
    iteration: Iteration, conditions: Conditions, dataset: str, by_seed: dict[int, Run]
) -> Evidence:
    first_gap = next(seed for seed in range(len(by_seed) + 1) if seed not in by_seed)
    waiting = tuple(sorted(seed for seed in by_seed if seed > first_gap))
    beyond = range(first_gap, waiting[-1]) if waiting else ()
    missing = islice((seed for seed in beyond if seed not in by_seed), MOST_MISSING)
    return Evidence(
        iteration=iteration.name,
        fingerprint=iteration.fingerprint,
        dataset=dataset,
        conditions=conditions,
        runs=tuple(by_seed[seed] for seed in range(first_gap)),
        waiting=waiting,
        missing=tuple(missing),
    )
