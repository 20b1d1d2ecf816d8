"""The commands that train recorded runs again, from the commit that trained them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bench.challenges import dataset_option, name_challenge
from bench.evidence import Evidence
from bench.foreign import write_words
from bench.iterations import Iteration
from bench.records import Challenge, Machine, Run
from bench.report.wording import write_seeds
from bench.run_table import tabulate

__all__ = [
    "AGAIN", "SEED", "SHORT_COMMIT", "Commands", "dataset_option", "name_commit", "write_commands",
]  # fmt: skip

SHORT_COMMIT = 12
SEED = "{seed}"
"""Stands in a template for the seed."""

AGAIN = "again"
"""Ledger folder of runs that are trained again: in the first one they are recorded already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """Commits of the runs, each with the command for a seed; `commit_of` has a place for a run."""

    commits: tuple[str, ...]
    templates: tuple[str, ...]
    commit_of: tuple[int, ...]
    all_runs: str


def write_commands(
    iteration: Iteration,
    evidence: Evidence,
    challenge: Challenge,
    runs: Sequence[Run] | None = None,
) -> Commands:
    """Return what trains each run again, or each of some, and all of them with today's code."""
    each = evidence.runs if runs is None else runs
    machines = [(name_commit(run.machine), _check_out(run.machine)) for run in each]
    distinct = {machine: place for place, machine in enumerate(dict.fromkeys(machines))}
    one = _train(iteration, evidence, challenge, SEED)
    return Commands(
        commits=tuple(name for name, _ in distinct),
        templates=tuple(f"{checkout}{one}" for _, checkout in distinct),
        commit_of=tuple(distinct[machine] for machine in machines),
        all_runs=_train(
            iteration, evidence, challenge, write_seeds(tabulate(evidence.runs).seeds.tolist())
        ),
    )


def name_commit(machine: Machine) -> str:
    """Return the commit that trained a run, as short as it is usually written."""
    if machine.commit is None:
        return "not recorded"
    return machine.commit[:SHORT_COMMIT] + (" with uncommitted changes" if machine.dirty else "")


def _quote(text: str) -> str:
    """Return a text as one word of a shell, in which no place for the seed is left."""
    return _leave_no_place(shlex.quote(text))


def _leave_no_place(quoted: str) -> str:
    return quoted.replace(SEED, "{''seed}")


def _check_out(machine: Machine) -> str:
    """Return how to come back to a run's code; uncommitted changes cannot be had again."""
    if machine.commit is None or machine.dirty:
        return ""
    return f"git checkout {_quote(machine.commit[:SHORT_COMMIT])} && "


def _train(iteration: Iteration, evidence: Evidence, challenge: Challenge, seeds: str) -> str:
    conditions = evidence.conditions
    seeds = f"{seeds}-{seeds}" if seeds == SEED else seeds
    words = _leave_no_place(write_words(iteration))
    block = f" --block {conditions.block}" if conditions.block > 1 else ""
    device = conditions.device.split(maxsplit=1)[0] if conditions.device.strip() else "auto"
    return (
        f"bench run {words} --seeds {seeds} --device {_quote(device)} "
        f"--engine {_quote(conditions.engine)}{block} {_leave_no_place(name_challenge(challenge))} "
        f"--ledger {AGAIN}"
    )
