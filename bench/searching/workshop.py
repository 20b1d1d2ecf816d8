"""Where a search has runs trained: looked up in the study's ledger, else by the worker pool.

Executes model files. Trains by tuning seeds alone, whose images are a split of the training set.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from msgspec import structs

from bench.datasets import Dataset, split_for_tuning
from bench.errors import BenchError, SearchError
from bench.executors.inspection import Inspection, inspect_iteration
from bench.executors.processes import Collected, WorkerPool
from bench.interruption import Interruption
from bench.iterations import Iteration
from bench.ledger import append_run, ledger_path, read_ledger
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run
from bench.searching.progress import SearchProgress
from bench.searching.spaces import explain_claim_seed
from bench.searching.studies import Found
from bench.session import POLL_SECONDS, check_recipes, choose_workers
from bench.training.devices import count_cores, describe_conditions, describe_machine
from bench.training.engines import ENGINES
from bench.training.runs import Unit

_Key = tuple[str, int]
"""A run: name of its configuration in the ledger, and seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Equipment:
    """Where configurations are trained and how; `side_by_side` is the widest block of seeds."""

    challenge: Challenge
    dataset: Dataset
    device: torch.device
    engine: str
    block: int | None
    side_by_side: int
    workers: int | None
    ledger: Path


@dataclass(kw_only=True, slots=True)
class _Work:
    """What is known of runs and what is under way."""

    runs: dict[_Key, Run] = field(default_factory=dict)
    failed: dict[_Key, str] = field(default_factory=dict)
    asked: set[_Key] = field(default_factory=set)
    waiting: deque[Unit] = field(default_factory=deque)


class Workshop:
    """Trains what is wanted in the order in which it is wanted; use as a context.

    No run is started after `deadline`, by the monotonic clock, or an interruption.
    """

    def __init__(
        self,
        equipment: Equipment,
        progress: SearchProgress,
        interruption: Interruption,
        *,
        deadline: float | None,
    ) -> None:
        self._equipment, self._progress, self._interruption = equipment, progress, interruption
        self._deadline = deadline
        self._split = split_for_tuning(equipment.dataset)
        self._machine = describe_machine(equipment.device)
        self._found: dict[str, Inspection] = {}
        self._read: set[str] = set()
        self._told: set[str] = set()
        self._work = _Work()
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Workshop:
        self._interruption.defer()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._note(Collected(runs=self._pool.stop()))

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is begun."""
        out_of_time = self._deadline is not None and time.monotonic() >= self._deadline
        return self._interruption.requested or out_of_time

    def inspect(self, iteration: Iteration) -> Found:
        """Look at a configuration's network.

        Raises:
            BenchError: it cannot be built, or not be trained on these images.
        """
        found = self._inspect(iteration)
        return Found(parameters=found.cost.parameters, conditions=self._describe(found))

    def _inspect(self, iteration: Iteration) -> Inspection:
        """Look at a network, once."""
        if iteration.name not in self._found:
            equipment = self._equipment
            check_recipes((iteration,), self._split)
            found = inspect_iteration(
                iteration,
                equipment.device,
                engine=equipment.engine,
                block=equipment.block,
                shape=equipment.challenge.shape,
                classes=len(equipment.challenge.classes),
            )
            if equipment.block is None:
                width = min(found.choice.block, equipment.side_by_side)
                found = structs.replace(found, choice=replace(found.choice, block=width))
            self._found[iteration.name] = found
            self._tell(found)
        return self._found[iteration.name]

    def _tell(self, found: Inspection) -> None:
        """Say once what was found of networks: that the fastest engine does not take them, say."""
        name, notice = found.iteration.name, found.choice.notice
        for text in (*([notice.removeprefix(f"{name} ")] if notice else []), *found.notes):
            if text not in self._told:
                self._told.add(text)
                self._progress.say(f"{name}: {text}")

    def want(
        self, iteration: Iteration, conditions: Conditions | None, seeds: Sequence[int]
    ) -> None:
        """Ask for runs under some conditions; those that are in the ledger are there at once.

        Raises:
            SearchError: a seed is one for claims, or runs would be under other conditions now.
            LedgerError: the ledger cannot be read.
        """
        if min(seeds) < FIRST_TUNING_SEED:
            raise SearchError(f"{iteration.name}: {explain_claim_seed(min(seeds))}")
        self._read_recorded(iteration, conditions)
        work = self._work
        keys = [(iteration.name, seed) for seed in seeds]
        new = [key for key in keys if key not in work.runs and key not in work.asked]
        work.asked.update(new)
        if not new:
            return
        try:
            found = self._inspect(iteration)
        except BenchError as error:
            work.failed |= dict.fromkeys(new, str(error))
            return
        if (now := self._describe(found)) != conditions:
            raise SearchError(
                f"{self._equipment.ledger.parent}: {iteration.name} was begun on {conditions}, and "
                f"would be trained now on {now}; put that back, or name another --study"
            )
        width = found.choice.block
        missing = [seed for _, seed in new]
        for first in range(0, len(missing), width):
            work.waiting.append(self._make_unit(found, tuple(missing[first : first + width])))

    def wait(self, iteration: Iteration, seeds: Sequence[int]) -> tuple[Run, ...] | str | None:
        """Return the runs of seeds that were asked for, or why one of them was given up.

        `None` when the workshop closes before they are there.

        Raises:
            LedgerError: a run cannot be recorded.
        """
        keys = [(iteration.name, seed) for seed in seeds]
        while True:
            for key in keys:
                if key in self._work.failed:
                    return self._work.failed[key]
            if all(key in self._work.runs for key in keys):
                return tuple(self._work.runs[key] for key in keys)
            self._submit()
            if self._interruption.requested or self._pool is None or not self._pool.in_flight:
                return None
            self._note(self._pool.collect(timeout_seconds=POLL_SECONDS))

    def _read_recorded(self, iteration: Iteration, conditions: Conditions | None) -> None:
        if iteration.name in self._read:
            return
        self._read.add(iteration.name)
        path = ledger_path(self._equipment.ledger, self._equipment.challenge.name, iteration.name)
        self._work.runs |= {
            (run.iteration, run.seed): run
            for run in read_ledger(path).runs
            if (run.fingerprint, run.dataset, run.conditions)
            == (iteration.fingerprint, self._split.digest, conditions)
        }

    def _describe(self, found: Inspection) -> Conditions:
        return describe_conditions(
            self._equipment.device,
            found.iteration.recipe.precision,
            engine=found.choice.engine,
            block=found.choice.block,
        )

    def _make_unit(self, found: Inspection, seeds: tuple[int, ...]) -> Unit:
        return Unit(
            iteration=found.iteration,
            seeds=seeds,
            challenge=self._equipment.challenge,
            conditions=self._describe(found),
            machine=self._machine,
            cost=found.cost,
        )

    def _submit(self) -> None:
        while self._work.waiting and not self.is_closing:
            if self._pool is None:
                self._pool = self._start_pool(self._work.waiting[0])
            if not self._pool.has_room:
                return
            self._pool.submit(self._work.waiting.popleft())

    def _start_pool(self, unit: Unit) -> WorkerPool:
        equipment, found = self._equipment, self._found[unit.iteration.name]
        return WorkerPool(
            challenge=equipment.challenge,
            folder=equipment.dataset.folder,
            device=equipment.device,
            workers=choose_workers(equipment.device, equipment.workers, {"": found.choice}),
            threads=count_cores() if ENGINES[found.choice.engine].all_cores else 1,
        )

    def _note(self, collected: Collected) -> None:
        for done in collected.epochs:
            self._progress.note_epoch(done)
        for run in collected.runs:
            with self._interruption.shield():
                append_run(self._equipment.ledger, run)
            self._work.runs[run.iteration, run.seed] = run
            self._progress.note_run(run)
        for failure in collected.given_up:
            keys = [(failure.iteration, seed) for seed in failure.seeds]
            remedy = "; take a smaller --block and another --study" if failure.too_wide else ""
            self._work.failed |= dict.fromkeys(keys, failure.reason + remedy)
        self._progress.refresh()
