"""What is exported: every recorded run with its standing, in groups that share a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.evidence import select_evidence
from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run
from bench.verdict import Verdict, judge_all

Standing = Literal["counts", "waits", "stale", "tuning", "unknown"]
"""Whether a run is evidence, waits for a missing seed, or why it never counts.

`unknown` is a run of an iteration whose file is not here: nobody can tell whether it is stale.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Runs of one iteration with one fingerprint, dataset and set of conditions, by seed.

    `iteration` is `None` where its file is not here or other code trained the runs; `verdict` is
    `None` where the runs do not decide anything. `standings` has one entry a run.
    """

    name: str
    challenge: Challenge
    fingerprint: str
    dataset: str
    conditions: Conditions
    iteration: Iteration | None
    verdict: Verdict | None
    runs: tuple[Run, ...]
    standings: tuple[Standing, ...]


def group_runs(
    runs: Iterable[Run], name: str, iteration: Iteration | None, challenge: Challenge
) -> tuple[Group, ...]:
    """Sort all runs of one ledger file into groups, those that decide first.

    Raises:
        LedgerError: the runs cannot be judged (see `select_evidence`).
    """
    by_group: dict[tuple[str, str, Conditions], list[Run]] = defaultdict(list)
    for run in runs:
        by_group[run.fingerprint, run.dataset, run.conditions].append(run)
    verdicts = _judge(by_group, iteration, challenge)
    groups = [
        _make_group(key, members, name, iteration, challenge, verdicts.get(key))
        for key, members in by_group.items()
    ]
    return tuple(sorted(groups, key=_rank))


def _judge(
    by_group: dict[tuple[str, str, Conditions], list[Run]],
    iteration: Iteration | None,
    challenge: Challenge,
) -> dict[tuple[str, str, Conditions], Verdict]:
    if iteration is None:
        return {}
    selection = select_evidence((run for runs in by_group.values() for run in runs), iteration)
    verdicts = judge_all(selection, iteration, challenge)
    return {
        (evidence.fingerprint, evidence.dataset, evidence.conditions): verdict
        for evidence, verdict in zip(selection.evidence, verdicts, strict=False)
    }


def _make_group(
    key: tuple[str, str, Conditions],
    runs: list[Run],
    name: str,
    iteration: Iteration | None,
    challenge: Challenge,
    verdict: Verdict | None,
) -> Group:
    fingerprint, dataset, conditions = key
    runs.sort(key=lambda run: run.seed)
    evidence = verdict.evidence if verdict else None
    counted = {run.seed for run in evidence.runs} if evidence else set()
    current = iteration is not None and iteration.fingerprint == fingerprint
    return Group(
        name=name,
        challenge=challenge,
        fingerprint=fingerprint,
        dataset=dataset,
        conditions=conditions,
        iteration=iteration if current else None,
        verdict=verdict,
        runs=tuple(runs),
        standings=tuple(
            _find_standing(run, known=iteration is not None, current=current, counted=counted)
            for run in runs
        ),
    )


def _find_standing(run: Run, *, known: bool, current: bool, counted: set[int]) -> Standing:
    if run.seed >= FIRST_TUNING_SEED:
        return "tuning"
    if not known:
        return "unknown"
    if not current:
        return "stale"
    return "counts" if run.seed in counted else "waits"


def _rank(group: Group) -> tuple[bool, int, Conditions, str, str]:
    return (
        group.verdict is None,
        -len(group.runs),
        group.conditions,
        group.dataset,
        group.fingerprint,
    )
