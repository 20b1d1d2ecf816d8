"""Training a plan from data to ledger: what `bench run` does between its options and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.panel import Panel

from bench.campaign import Campaign, Plan
from bench.challenges import DIGITS, MNIST
from bench.datasets import Dataset, find_mnist, load_dataset, split_for_tuning
from bench.errors import EngineError, MnistMissingError
from bench.executors.processes import WorkerPool
from bench.iterations import Iteration
from bench.ledger import append_run, ledger_path, read_ledger
from bench.progress import Progress
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Run
from bench.training.devices import (
    count_cores,
    describe_conditions,
    describe_machine,
)
from bench.training.engines import ENGINES, EngineChoice, choose_engine
from bench.training.runs import Unit, build_network, count_iteration

POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What is trained where and how: iterations on a challenge's dataset, into a ledger folder.

    `engines` are by the name of the iteration.
    """

    iterations: tuple[Iteration, ...]
    challenge: Challenge
    dataset: Dataset
    device: torch.device
    engines: Mapping[str, EngineChoice]
    workers: int
    ledger: Path


def open_dataset(console: Console, name: str, data: Path | None) -> tuple[Challenge, Dataset]:
    """Load the dataset of a challenge; `auto` is MNIST, or loudly the embedded digits.

    Raises:
        DataError: MNIST is not where it was said to be, is damaged, or cannot be had.
    """
    if name == DIGITS.name:
        return DIGITS, load_dataset(DIGITS.dataset, None)
    try:
        return MNIST, load_dataset(MNIST.dataset, find_mnist(data))
    except MnistMissingError as error:
        if name != "auto":
            raise
        console.print(
            Panel(
                f"MNIST COULD NOT BE HAD. {error}.\n\nTraining on the {DIGITS.name} that "
                "scikit-learn embeds instead: a demonstration with a target and a ledger of its "
                "own. It says nothing about MNIST.",
                title="NOT MNIST",
                border_style="bold red",
            )
        )
        return DIGITS, load_dataset(DIGITS.dataset, None)


def start_campaign(session: Session, plan: Plan) -> Campaign:
    """Return the campaign of a plan, knowing the runs that are in the ledger already."""
    digests = {session.dataset.digest}
    if any(seed >= FIRST_TUNING_SEED for seed in plan.seeds):
        digests.add(split_for_tuning(session.dataset).digest)
    return Campaign(
        session.iterations,
        session.challenge,
        plan,
        conditions={
            iteration.name: _describe(session, iteration) for iteration in session.iterations
        },
        datasets=digests,
        recorded=_read_recorded(session),
    )


def train_campaign(session: Session, campaign: Campaign, progress: Progress) -> None:
    """Train until the campaign has nothing left to start; every run is in the ledger at once."""
    units = _UnitMaker(session, campaign)
    first = campaign.next_block()
    if first is None:
        return
    pool = WorkerPool(
        dataset=session.challenge.dataset,
        folder=session.dataset.folder,
        device=session.device,
        workers=session.workers,
        threads=count_cores() if _takes_all_cores(session.engines) else 1,
    )
    try:
        pool.submit(units.make(*first))
        _fill(pool, campaign, units)
        while pool.in_flight:
            runs, epochs = pool.collect(timeout_seconds=POLL_SECONDS)
            for done in epochs:
                progress.note_epoch(done.iteration, done.seed, done.epoch, done.score)
            for run in runs:
                _record(run, session, campaign, progress)
            progress.refresh()
            _fill(pool, campaign, units)
    finally:
        pool.close()


def choose_engines(
    iterations: Iterable[Iteration], device: torch.device, engine: str, block: int | None
) -> dict[str, EngineChoice]:
    """Return the engine of each iteration: the one that is asked for, or the fastest for `auto`.

    Raises:
        EngineError: an engine or a block that is asked for does not do for an iteration.
    """
    return {
        iteration.name: choose_engine(
            engine,
            block,
            iteration=iteration.name,
            network=build_network(iteration),
            recipe=iteration.recipe,
            device=device,
        )
        for iteration in iterations
    }


def choose_workers(
    device: torch.device, asked: int | None, engines: Mapping[str, EngineChoice]
) -> int:
    """Return the number of worker processes: as asked, else one per core, or one on a GPU.

    Raises:
        EngineError: several are asked for, and the engine needs all cores for one.
    """
    if _takes_all_cores(engines):
        if (asked or 1) > 1:
            raise EngineError(
                f"--workers {asked}: the plain engine trains one seed after the other with all "
                "cores; leave --workers out"
            )
        return 1
    return asked or (1 if device.type == "cuda" else count_cores())


def _takes_all_cores(engines: Mapping[str, EngineChoice]) -> bool:
    return any(ENGINES[choice.engine].all_cores for choice in engines.values())


def _describe(session: Session, iteration: Iteration) -> Conditions:
    choice = session.engines[iteration.name]
    return describe_conditions(
        session.device, iteration.recipe.precision, engine=choice.engine, block=choice.block
    )


class _UnitMaker:
    """Makes units of work; costs and the machine are looked up once."""

    def __init__(self, session: Session, campaign: Campaign) -> None:
        self._session, self._campaign = session, campaign
        self._machine = describe_machine(session.device)
        self._costs = {i.name: count_iteration(i) for i in session.iterations}

    def make(self, iteration: Iteration, seeds: tuple[int, ...]) -> Unit:
        return Unit(
            iteration=iteration,
            seeds=seeds,
            challenge=self._session.challenge,
            conditions=self._campaign.conditions[iteration.name],
            machine=self._machine,
            cost=self._costs[iteration.name],
        )


def _fill(pool: WorkerPool, campaign: Campaign, units: _UnitMaker) -> None:
    while pool.in_flight < pool.workers:
        chosen = campaign.next_block()
        if chosen is None:
            return
        pool.submit(units.make(*chosen))


def _record(run: Run, session: Session, campaign: Campaign, progress: Progress) -> None:
    append_run(session.ledger, run)
    campaign.take(run)
    progress.note_run(run)


def _read_recorded(session: Session) -> list[Run]:
    return [
        run
        for iteration in session.iterations
        for run in read_ledger(
            ledger_path(session.ledger, session.challenge.name, iteration.name)
        ).runs
    ]
