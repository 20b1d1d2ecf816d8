"""Which runs may decide: the rules of evidence (docs/protocol.md) applied to a ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from msgspec import Struct

from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run, Status


class Evidence(Struct, frozen=True, kw_only=True):
    """Runs of one iteration under one set of conditions, with today's code.

    `runs` are seeds 0, 1, 2, ... without a gap; `waiting` are seeds recorded beyond the first gap
    and `missing` the seeds that keep them waiting.
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
    """Sort an iteration's runs into evidence; unlike conditions or datasets are never pooled."""
    groups: dict[tuple[Conditions, str], dict[int, Run]] = defaultdict(dict)
    stale = tuning = 0
    for run in runs:
        if run.fingerprint != iteration.fingerprint:
            stale += 1
        elif run.seed >= FIRST_TUNING_SEED:
            tuning += 1
        else:
            groups[run.conditions, run.dataset][run.seed] = run
    evidence = [_gapless(iteration, *group, by_seed) for group, by_seed in groups.items()]
    evidence.sort(key=lambda e: (-len(e.runs), e.conditions, e.dataset))
    return Selection(evidence=tuple(evidence), stale=stale, tuning=tuning)


def _gapless(
    iteration: Iteration, conditions: Conditions, dataset: str, by_seed: dict[int, Run]
) -> Evidence:
    first_gap = next(seed for seed in range(len(by_seed) + 1) if seed not in by_seed)
    waiting = tuple(sorted(seed for seed in by_seed if seed > first_gap))
    missing = range(first_gap, waiting[-1]) if waiting else ()
    return Evidence(
        iteration=iteration.name,
        fingerprint=iteration.fingerprint,
        dataset=dataset,
        conditions=conditions,
        runs=tuple(by_seed[seed] for seed in range(first_gap)),
        waiting=waiting,
        missing=tuple(seed for seed in missing if seed not in by_seed),
    )
