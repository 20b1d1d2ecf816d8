"""Training a plan from data to ledger: what `bench run` does between its options and the page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.panel import Panel

from bench.campaign import Campaign, Plan
from bench.challenges import DIGITS, FOLDER
from bench.claims import Claims, Follower
from bench.datasets import Dataset, find_images, load_dataset, split_for_tuning
from bench.errors import EngineError, LedgerError, MnistMissingError, RecipeError
from bench.executors.processes import Collected, GivenUp, Pool, WorkerPool
from bench.fitting import explain_misfit
from bench.interruption import Interruption
from bench.iterations import Iteration
from bench.ledger import append_runs, ledger_path, read_ledger, read_outlines
from bench.pictures import Pictures, shrink
from bench.progress import Progress
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, Cost, Run
from bench.settings import load_settings
from bench.training.devices import (
    count_cores,
    describe_conditions,
    describe_machine,
)
from bench.training.engines import ENGINES, EngineChoice
from bench.training.runs import Unit

if TYPE_CHECKING:
    from bench.executors.cluster.machines import Machines

POLL_SECONDS = 0.25
_iteration_of = attrgetter("iteration")


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What is trained where and how: iterations on a challenge's dataset, into a ledger folder.

    `engines` and `costs` are by the name of the iteration. With `patience_seconds`, a seed that
    finishes no epoch for so long is given up. With `machines`, the nodes of a cluster train, and
    `device` is of their kind. Of recorded runs a campaign reads what a verdict needs; those that
    are to be handed on are read `whole`, which bounds the ledger's file.
    """

    iterations: tuple[Iteration, ...]
    challenge: Challenge
    dataset: Dataset
    device: torch.device
    engines: Mapping[str, EngineChoice]
    costs: Mapping[str, Cost]
    workers: int
    ledger: Path
    patience_seconds: float | None = None
    machines: Machines | None = None
    whole: bool = False


def open_dataset(
    console: Console, challenge: Challenge, data: Path | None, *, fallback: bool = False
) -> tuple[Challenge, Dataset]:
    """Load the images of a challenge: from `data`, else from where the challenge says.

    With `fallback` and where MNIST cannot be had, loudly the embedded digits instead.

    Raises:
        DataError: the images are not where they were said to be, are damaged, or cannot be had.
    """
    try:
        return challenge, load_dataset(
            challenge, find_images(challenge, data, base=_base(challenge))
        )
    except MnistMissingError as error:
        if not fallback:
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
        return DIGITS, load_dataset(DIGITS, None)


def check_recipes(iterations: Iterable[Iteration], dataset: Dataset) -> None:
    """Find out before training whether every recipe can be carried out on the images.

    Raises:
        RecipeError: one cannot; the message names the iteration and the field.
    """
    images, side = len(dataset.training_images), dataset.training_images.shape[-1]
    for iteration in iterations:
        reason = explain_misfit(iteration.recipe, images=images, side=side)
        if reason is not None:
            raise RecipeError(f"{iteration.name}: {reason}; correct the recipe")


def show_images(dataset: Dataset) -> dict[str, Pictures]:
    """Return the validation images for the page, by their digest."""
    images = dataset.validation_images
    pixels = (images if images.dim() == 3 else images.permute(0, 2, 3, 1)).numpy()
    return {dataset.digest: shrink(pixels, ink=dataset.name != FOLDER)}


def _base(challenge: Challenge) -> Path:
    """Return the folder from which the file of a challenge sees its own."""
    return Path(challenge.file).parent if challenge.file else load_settings(Path.cwd())[0]


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What went wrong while a campaign was trained: seeds given up, runs that found no place."""

    given_up: list[GivenUp] = field(default_factory=list)
    unrecorded: list[Run] = field(default_factory=list)
    refusal: LedgerError | None = None


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
        recorded=(
            run
            for iteration in session.iterations
            for run in _read_recorded(session, iteration.name)
        ),
    )


def train_campaign(
    session: Session, campaign: Campaign, progress: Progress, interruption: Interruption
) -> Outcome:
    """Train until nothing is left to start, or an interruption is noted; return what went wrong.

    Every run is in the ledger at once. Seeds that another process trains into the same ledger are
    left to it, and waited for.
    """
    outcome = Outcome()
    units = _UnitMaker(session, campaign)
    interruption.defer()
    with closing(_Sharing(session, campaign)) as sharing:
        sharing.take_in()
        if session.machines is not None:
            _name_other_conditions(campaign, progress)
        first = campaign.next_block(sharing.claim)
        if first is None and not campaign.awaits_others:
            return outcome
        pool = _start_pool(session, campaign)
        training = _Training(session, campaign, progress, interruption, sharing, outcome)
        try:
            if first is not None:
                pool.submit(units.make(*first))
            while not training.is_over(pool):
                training.note(pool.collect(timeout_seconds=POLL_SECONDS))
                training.fill(pool, units)
                if not pool.in_flight:
                    time.sleep(POLL_SECONDS)  # for the seeds of others
        except LedgerError as error:  # what others wrote cannot be read
            outcome.refusal = error
        finally:
            training.note(Collected(runs=pool.stop()))
    return outcome


def _name_other_conditions(campaign: Campaign, progress: Progress) -> None:
    """Say of which iterations other nodes than those of now have trained all that is recorded."""
    for name, others in campaign.recorded_otherwise.items():
        progress.note(
            f"{name}: what is recorded was trained under other conditions "
            f"({'; '.join(map(str, others))}) than these nodes' ({campaign.conditions[name]}), and "
            "is never pooled with their runs; to add to it, stop and start such nodes"
        )


def _start_pool(session: Session, campaign: Campaign) -> Pool:
    if session.machines is not None:
        from bench.executors.cluster.pool import ClusterPool  # with Ray

        return ClusterPool(
            session.machines,
            challenge=session.challenge,
            dataset=session.dataset,
            iterations=session.iterations,
            patience_seconds=session.patience_seconds,
            out_of_time=lambda: campaign.out_of_time,
        )
    return WorkerPool(
        challenge=session.challenge,
        folder=session.dataset.folder,
        device=session.device,
        workers=session.workers,
        threads=count_cores() if _takes_all_cores(session.engines) else 1,
        patience_seconds=session.patience_seconds,
    )


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
    if session.machines is not None:
        return session.machines.conditions[iteration.name]
    choice = session.engines[iteration.name]
    return describe_conditions(
        session.device, iteration.recipe.precision, engine=choice.engine, block=choice.block
    )


class _UnitMaker:
    """Makes units of work; costs and the machine are looked up once."""

    def __init__(self, session: Session, campaign: Campaign) -> None:
        self._session, self._campaign = session, campaign
        # on a cluster, each node puts itself in its place
        here = session.device if session.machines is None else torch.device("cpu")
        self._machine = describe_machine(here)
        self._costs = session.costs

    def make(self, iteration: Iteration, seeds: tuple[int, ...]) -> Unit:
        return Unit(
            iteration=iteration,
            seeds=seeds,
            challenge=self._session.challenge,
            conditions=self._campaign.conditions[iteration.name],
            machine=self._machine,
            cost=self._costs[iteration.name],
        )


class _Sharing:
    """Claims on seeds, and what other processes append to the ledger meanwhile."""

    def __init__(self, session: Session, campaign: Campaign) -> None:
        self._campaign = campaign
        self._ledger, self._challenge = session.ledger, session.challenge.name
        self._claims: dict[tuple[str, Conditions], Claims] = {}
        """Of every width that was tried: wider blocks in flight keep their seeds until then."""
        self._followers = {
            each.name: Follower(
                self._ledger, self._challenge, each.name, outlines=not session.whole
            )
            for each in session.iterations
        }

    def _find_claims(self, name: str, conditions: Conditions) -> Claims:
        if (name, conditions) not in self._claims:
            self._claims[name, conditions] = Claims(
                self._ledger,
                self._challenge,
                name,
                self._campaign.iterations[name].fingerprint,
                conditions,
            )
        return self._claims[name, conditions]

    def take_in(self) -> None:
        """Take in all runs that were appended since the last time."""
        for name in self._followers:
            self._follow(name)

    def claim(self, name: str, seed: int) -> bool:
        """Claim a seed; it is ours when no one trains it and no one has recorded it."""
        conditions = self._campaign.conditions[name]
        if not self._find_claims(name, conditions).claim(seed):
            return False
        self._follow(name)  # after the claim: who had it before may have recorded the run
        if self._campaign.is_done(name, seed):
            self.release(name, seed, conditions)
            return False
        return True

    def release(self, name: str, seed: int, conditions: Conditions | None) -> None:
        if conditions is not None:
            self._find_claims(name, conditions).release(seed)

    def close(self) -> None:
        for claims in self._claims.values():
            claims.close()

    def _follow(self, name: str) -> None:
        for run in self._followers[name].follow().runs:
            self._campaign.take_recorded(run)


@dataclass(frozen=True, slots=True)
class _Training:
    """The steps of training a campaign: what comes back is noted, free workers get seeds."""

    session: Session
    campaign: Campaign
    progress: Progress
    interruption: Interruption
    sharing: _Sharing
    outcome: Outcome

    def is_over(self, pool: Pool) -> bool:
        if self.interruption.requested or self.outcome.refusal:
            return True
        if self.campaign.out_of_time:
            return not pool.in_flight
        return not (pool.in_flight or self.campaign.awaits_others)

    def note(self, collected: Collected) -> None:
        for done in collected.epochs:
            self.progress.note_epoch(done.iteration, done.seed, done.epoch, done.score)
        # all of them before any is told of: who reads what is told may be gone
        groups = groupby(sorted(collected.runs, key=_iteration_of), key=_iteration_of)
        for run in [run for _, runs in groups for run in self._record(list(runs))]:
            self.progress.note_run(run)
        for failure in collected.given_up:
            self._give_up(failure)
        for note in collected.notes:
            self.progress.note(note)
        self.progress.refresh()

    def fill(self, pool: Pool, units: _UnitMaker) -> None:
        if pool.has_room and not self.is_over(pool):
            self.sharing.take_in()
        while pool.has_room and not (self.interruption.requested or self.outcome.refusal):
            chosen = self.campaign.next_block(self.sharing.claim)
            if chosen is None:
                break
            pool.submit(units.make(*chosen))
        if self.campaign.awaits_others and not pool.in_flight:
            self.progress.note_waiting()

    def _record(self, runs: Sequence[Run]) -> list[Run]:
        """Append the runs of one iteration together, or else one by one; return those recorded."""
        try:
            with self.interruption.shield():
                append_runs(self.session.ledger, runs)
        except LedgerError as error:
            if len(runs) > 1:
                return [done for run in runs for done in self._record([run])]
            self.outcome.refusal = error
            self.outcome.unrecorded += runs
            return []
        for run in runs:
            self.campaign.take_recorded(run)  # one of a wider block than now is other evidence
            self.sharing.release(run.iteration, run.seed, run.conditions)
        return list(runs)

    def _give_up(self, failure: GivenUp) -> None:
        if failure.too_wide is not None:
            for seed in failure.seeds:
                self.sharing.release(failure.iteration, seed, failure.conditions)
            self._narrow(failure.iteration, failure.too_wide)
            return
        self.outcome.given_up.append(failure)
        if failure.conditions == self.campaign.conditions[failure.iteration]:
            self.campaign.give_up(failure.iteration, failure.seeds)
        if failure.hopeless:
            self.campaign.withdraw(failure.iteration)
        for seed in failure.seeds:
            self.sharing.release(failure.iteration, seed, failure.conditions)
        self.progress.note_given_up(failure.iteration, failure.seeds, failure.reason)

    def _narrow(self, name: str, too_wide: int) -> None:
        """Halve an iteration's block; of several blocks that were too wide, once."""
        if self.campaign.conditions[name].block != too_wide:
            return  # another block was too wide before, and is being halved already
        self.campaign.narrow(name, too_wide // 2, _read_recorded(self.session, name))
        self.progress.note_narrowed(name, too_wide, too_wide // 2)


def _read_recorded(session: Session, name: str) -> Sequence[Run]:
    read = read_ledger if session.whole else read_outlines
    return read(ledger_path(session.ledger, session.challenge.name, name)).runs
