"""A pool of worker processes, by default of one thread each, and their reports while they train.

A run depends on its unit alone, so its numbers are the same whatever the number of workers. Workers
end with their parent: each watches one end of a pipe whose other end only the parent holds.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import warnings
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Protocol

import torch
from msgspec import Struct

from bench.errors import BenchError, IterationError
from bench.executors.startup import choose_context, start_early
from bench.figures import format_seconds
from bench.foreign import change_epochs
from bench.interruption import SIGNALS
from bench.iterations import Iteration
from bench.records import Challenge, Conditions, EpochScore, Run
from bench.training.allocator import keep_freed_memory
from bench.training.notices import silence_models
from bench.training.runs import Trainer, Unit, network_builder, release_memory

ATTEMPTS = 3
"""How often a unit may take its worker down before it is given up; the last time alone."""


class EpochDone(Struct, frozen=True, kw_only=True):
    """A worker's report that one epoch (counted from 1) of one run is finished."""

    iteration: str
    seed: int
    epoch: int
    score: EpochScore


class GivenUp(Struct, frozen=True, kw_only=True):
    """Seeds that will not be finished, and why; `hopeless` when no other seed would do better.

    `too_wide` is how many seeds were trained side by side when the device had no memory for them
    all: fewer may do. It is `None` for every other reason. `conditions` are those that the seeds
    were to be trained under, `None` where training was never begun.
    """

    iteration: str
    seeds: tuple[int, ...]
    reason: str
    hopeless: bool
    conditions: Conditions | None = None
    too_wide: int | None = None


class Collected(Struct, frozen=True, kw_only=True):
    """What came back from the workers since they were last asked; `notes` are for the user."""

    runs: tuple[Run, ...] = ()
    epochs: tuple[EpochDone, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    notes: tuple[str, ...] = ()


class Pool(Protocol):
    """Trains units somewhere, several at a time; all that a campaign knows of where."""

    @property
    def in_flight(self) -> int:
        """Number of units handed out and not yet back."""

    @property
    def has_room(self) -> bool:
        """Whether another unit would be trained at once."""

    def submit(self, unit: Unit) -> None:
        """Hand out a unit."""

    def collect(self, *, timeout_seconds: float) -> Collected:
        """Wait for runs, at most as long as given; return what came back since the last time."""

    def stop(self) -> tuple[Run, ...]:
        """End all training at once and return the runs that were back and not yet collected."""


class Reports(Protocol):
    """Where a worker puts what it has to tell."""

    def put(self, report: EpochDone, /) -> None:
        """Send a report."""


class WorkerPool:
    """Trains units on `workers` processes of `threads` each; closing it ends them at once.

    With `patience_seconds`, a unit of which no epoch is reported for so long is given up, and its
    worker is killed.
    """

    def __init__(
        self,
        *,
        challenge: Challenge,
        folder: Path | None,
        device: torch.device,
        workers: int,
        threads: int = 1,
        patience_seconds: float | None = None,
    ) -> None:
        self.workers, self._threads = workers, threads
        self._patience = patience_seconds
        self._challenge, self._device = challenge, device
        self._folder = folder.absolute() if folder is not None else None
        # what a model file writes where it runs is no file of the user's
        self._scratch = tempfile.TemporaryDirectory(
            prefix="bench-workers-", ignore_cleanup_errors=True
        )
        start_early()
        self._context = choose_context()
        self._units: dict[Future[list[Run]], Unit] = {}
        self._heard: dict[tuple[str, int], float] = {}
        """When a seed was handed out, or last had an epoch reported."""
        self._attempts: dict[tuple[str, tuple[int, ...]], int] = {}
        self._suspects: deque[Unit] = deque()
        self._given_up: list[GivenUp] = []
        self._alone = False
        self._start()

    @property
    def in_flight(self) -> int:
        """Number of units handed out and not yet back."""
        return len(self._units) + len(self._suspects)

    @property
    def has_room(self) -> bool:
        """Whether a worker is free for another unit; a suspect's last attempt is made alone."""
        return not (self._alone or self._suspects) and len(self._units) < self.workers

    def submit(self, unit: Unit) -> None:
        """Hand a unit to the next free worker; a pool that a killed worker broke is replaced."""
        try:
            future = self._executor.submit(_train, unit)
        except BrokenProcessPool:
            self._restart()
            future = self._executor.submit(_train, unit)
        self._units[future] = unit
        self._heard.update({(unit.iteration.name, s): time.monotonic() for s in unit.seeds})

    def collect(self, *, timeout_seconds: float) -> Collected:
        """Wait for runs, at most as long as given; return them and the epochs reported since.

        A worker that was killed is replaced, and the units it took down start again from their
        seeds. A unit that was there each of three times, the third time alone, is given up, and so
        is one that raises an error.
        """
        done, _ = wait(self._units, timeout=timeout_seconds, return_when=FIRST_COMPLETED)
        broken = any(_is_lost(future) for future in done)
        runs = self._take_finished()
        if broken:
            self._restart()
        epochs = self._drain()
        self._give_up_silent()
        self._try_suspect()
        given_up, self._given_up = tuple(self._given_up), []
        return Collected(runs=tuple(runs), epochs=tuple(epochs), given_up=given_up)

    def stop(self) -> tuple[Run, ...]:
        """End all workers at once and return the runs that were back and not yet collected."""
        self.close()
        return tuple(self._take_finished())

    def _take_finished(self) -> list[Run]:
        runs: list[Run] = []
        for future in [f for f in self._units if f.done() and not _is_lost(f)]:
            unit, error = self._units.pop(future), future.exception()
            self._alone = False
            if error is None:
                runs += future.result()
            else:
                self._given_up.append(explain_failure(unit, error))
        return runs

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
                Trainer(self._challenge, self._folder, self._device),
                self._scratch.name,
                self._threads,
                reader,
                self._reports,
            ),
        )

    def _give_up_silent(self) -> None:
        """Give up units of which nothing was heard for too long; the others start again."""
        if self._patience is None:
            return
        earliest = time.monotonic() - self._patience
        silent = [
            future
            for future, unit in self._units.items()
            if not future.done()
            and all(self._heard[unit.iteration.name, seed] < earliest for seed in unit.seeds)
        ]
        for future in silent:
            reason = (
                f"no epoch was finished within {format_seconds(self._patience)}; it may loop for "
                "ever, or be too slow"
            )
            self._given_up.append(give_up(self._units.pop(future), reason, hopeless=True))
        if silent:
            self._kill()
            self._restart(blameless=True)

    def _kill(self) -> None:
        """Kill the workers: one that never comes back from C does not hear that it is to end."""
        for process in list((self._executor._processes or {}).values()):
            process.kill()

    def _restart(self, *, blameless: bool = False) -> None:
        self.close()
        # a run that had ended before the pool broke is collected, and not trained again
        lost = [future for future in self._units if _is_lost(future)]
        units = [self._units.pop(future) for future in lost]
        self._start()
        self._alone = False
        for unit in units:
            if blameless:
                self.submit(unit)
            else:
                self._try_again(unit)

    def _try_again(self, unit: Unit) -> None:
        key = unit.iteration.name, unit.seeds
        attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
        if attempts >= ATTEMPTS:
            reason = f"took its worker down {ATTEMPTS} times (out of memory?)"
            self._given_up.append(give_up(unit, reason))
        elif attempts == ATTEMPTS - 1:
            self._suspects.append(unit)  # its neighbours may be the guilty ones
        else:
            self.submit(unit)

    def _try_suspect(self) -> None:
        if self._suspects and not self._units:
            self.submit(self._suspects.popleft())
            self._alone = True

    def _drain(self) -> list[EpochDone]:
        reports = []
        while not self._reports.empty():
            reports.append(self._reports.get())
        self._heard.update({(r.iteration, r.seed): time.monotonic() for r in reports})
        return reports


def give_up(
    unit: Unit, reason: str, *, hopeless: bool = False, too_wide: int | None = None
) -> GivenUp:
    """Return that the seeds of a unit will not be finished."""
    return GivenUp(
        iteration=unit.iteration.name,
        seeds=unit.seeds,
        reason=reason,
        hopeless=hopeless,
        conditions=unit.conditions,
        too_wide=too_wide,
    )


def explain_failure(unit: Unit, error: BaseException) -> GivenUp:
    """Return why a unit whose training raised an error will not be finished."""
    if isinstance(error, torch.OutOfMemoryError) and unit.conditions.block > 1:
        block = unit.conditions.block
        reason = f"{block} seeds side by side take more memory than there is"
        return give_up(unit, reason, too_wide=block)
    if isinstance(error, BenchError):
        return give_up(unit, str(error), hopeless=True)
    reason = f"could not be trained ({type(error).__name__}: {error})"
    return give_up(unit, reason, hopeless=True)


def _is_lost(future: Future[list[Run]]) -> bool:
    return future.cancelled() or isinstance(future.exception(), BrokenProcessPool)


_worker: Worker


class Worker:
    """What one worker process holds between units."""

    def __init__(self, trainer: Trainer, reports: Reports, threads: int) -> None:
        self._trainer, self._reports, self._threads = trainer, reports, threads
        self._known: set[str] = set()

    def train(self, unit: Unit) -> list[Run]:
        """Train a unit by its iteration's file as it was when the command was started.

        Raises:
            IterationError: the file cannot be run, or is another by now.
            torch.OutOfMemoryError: the device has too little memory; what was taken is let go.
        """

        def report(seed: int, epoch: int, score: EpochScore) -> None:
            self._reports.put(
                EpochDone(iteration=unit.iteration.name, seed=seed, epoch=epoch, score=score)
            )

        network_builder(unit.iteration)  # executes the file: undo what it did to torch
        self._check_unchanged(unit.iteration)
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(self._threads)
        try:
            return self._trainer.train(unit, report)
        except torch.OutOfMemoryError as error:
            shortage = torch.OutOfMemoryError(str(error))
        # outside: what was raised holds the frames of the block, and these its tensors
        release_memory()
        raise shortage

    def _check_unchanged(self, iteration: Iteration) -> None:
        """Make sure, where a file was executed for the first time, that it is still that file.

        Raises:
            IterationError: it was edited since its fingerprint was taken.
        """
        if iteration.name in self._known:
            return
        now = change_epochs(iteration, epochs=iteration.recipe.epochs)
        if now.fingerprint != iteration.fingerprint:
            raise IterationError(
                f"{iteration.label}: changed since the command was started; start it again"
            )
        self._known.add(iteration.name)


def _start_worker(
    trainer: Trainer,
    scratch: str,
    threads: int,
    lifeline: Connection,
    reports: SimpleQueue[EpochDone],
) -> None:
    global _worker
    os.chdir(scratch)
    go_quiet()
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    for interruption in SIGNALS:  # the parent decides, on the pipe
        signal.signal(interruption, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    torch.set_num_threads(threads)
    keep_freed_memory()
    _worker = Worker(trainer, reports, threads)


def go_quiet() -> None:
    """Let nothing that a model file prints through, nor what torch thinks of how it is written."""
    silence_models()
    warnings.simplefilter("ignore")


def _end_with_parent(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(0)


def _train(unit: Unit) -> list[Run]:
    return _worker.train(unit)
