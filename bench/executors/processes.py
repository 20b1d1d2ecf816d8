"""A pool of worker processes, by default of one thread each, and their reports while they train.

A run depends on its unit alone, so its numbers are the same whatever the number of workers. Workers
end with their parent: each watches one end of a pipe whose other end only the parent holds.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch
from msgspec import Struct

from bench.errors import BenchError
from bench.executors.startup import choose_context
from bench.records import EpochScore, Run
from bench.training.allocator import keep_freed_memory
from bench.training.runs import Trainer, Unit

ATTEMPTS = 3
"""How often a unit may take its worker down before it is given up."""


class EpochDone(Struct, frozen=True, kw_only=True):
    """A worker's report that one epoch (counted from 1) of one run is finished."""

    iteration: str
    seed: int
    epoch: int
    score: EpochScore


class WorkerPool:
    """Trains units on `workers` processes of `threads` each; closing it ends them at once."""

    def __init__(
        self,
        *,
        dataset: str,
        folder: Path | None,
        device: torch.device,
        workers: int,
        threads: int = 1,
    ) -> None:
        self.workers, self._threads = workers, threads
        self._dataset, self._folder, self._device = dataset, folder, device
        self._context = choose_context()
        self._units: dict[Future[list[Run]], Unit] = {}
        self._attempts: dict[tuple[str, tuple[int, ...]], int] = {}
        self._start()

    @property
    def in_flight(self) -> int:
        """Number of units handed out and not yet back."""
        return len(self._units)

    def submit(self, unit: Unit) -> None:
        """Hand a unit to the next free worker; a pool that a killed worker broke is replaced."""
        try:
            future = self._executor.submit(_train, unit)
        except BrokenProcessPool:
            self._restart()
            future = self._executor.submit(_train, unit)
        self._units[future] = unit

    def collect(self, *, timeout_seconds: float) -> tuple[list[Run], list[EpochDone]]:
        """Wait for runs, at most as long as given; return them and the epochs reported since.

        A worker that was killed is replaced, and the units it took down start again from their
        seeds.

        Raises:
            BenchError: a unit has taken its worker down three times, or its file cannot be run.
        """
        done, _ = wait(self._units, timeout=timeout_seconds, return_when=FIRST_COMPLETED)
        runs: list[Run] = []
        broken = False
        for future in done:
            if _is_lost(future):
                broken = True
                continue
            runs += future.result()
            del self._units[future]
        if broken:
            self._restart()
        return runs, self._drain()

    def close(self) -> None:
        """End all workers at once, units in flight included."""
        self._lifeline.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        reader, self._lifeline = self._context.Pipe(duplex=False)
        # a new queue too: a worker killed while it reports holds the lock of the old one for good
        self._reports: SimpleQueue[EpochDone] = self._context.SimpleQueue()
        self._executor = ProcessPoolExecutor(
            max_workers=self.workers,
            mp_context=self._context,
            initializer=_start_worker,
            initargs=(
                Trainer(self._dataset, self._folder, self._device),
                self._threads,
                reader,
                self._reports,
            ),
        )

    def _restart(self) -> None:
        self.close()
        # a run that had ended before the pool broke is collected, and not trained again
        lost = [future for future in self._units if _is_lost(future)]
        units = [self._units.pop(future) for future in lost]
        self._start()
        for unit in units:
            key = unit.iteration.name, unit.seeds
            self._attempts[key] = self._attempts.get(key, 0) + 1
            if self._attempts[key] >= ATTEMPTS:
                raise BenchError(
                    f"{key[0]} {_name_seeds(unit)}: took its worker down {ATTEMPTS} times (out of "
                    "memory?); use fewer --workers. Finished runs are in the ledger"
                )
            self.submit(unit)

    def _drain(self) -> list[EpochDone]:
        reports = []
        while not self._reports.empty():
            reports.append(self._reports.get())
        return reports


def _name_seeds(unit: Unit) -> str:
    first, last = unit.seeds[0], unit.seeds[-1]
    return f"seed {first}" if first == last else f"seeds {first} to {last}"


def _is_lost(future: Future[list[Run]]) -> bool:
    return future.cancelled() or isinstance(future.exception(), BrokenProcessPool)


_worker: _Worker


class _Worker:
    """What one worker process holds between units."""

    def __init__(self, trainer: Trainer, reports: SimpleQueue[EpochDone]) -> None:
        self._trainer, self._reports = trainer, reports

    def train(self, unit: Unit) -> list[Run]:
        def report(seed: int, epoch: int, score: EpochScore) -> None:
            self._reports.put(
                EpochDone(iteration=unit.iteration.name, seed=seed, epoch=epoch, score=score)
            )

        return self._trainer.train(unit, report)


def _start_worker(
    trainer: Trainer, threads: int, lifeline: Connection, reports: SimpleQueue[EpochDone]
) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    for interruption in (signal.SIGINT, signal.SIGTERM):  # the parent decides, on the pipe
        signal.signal(interruption, signal.SIG_IGN)
    torch.set_num_threads(threads)
    keep_freed_memory()
    _worker = _Worker(trainer, reports)


def _end_with_parent(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(0)


def _train(unit: Unit) -> list[Run]:
    return _worker.train(unit)
