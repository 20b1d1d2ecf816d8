"""Recorded runs trained again, each with its own device, engine and block where there are any.

Executes model files. Nothing of it enters a ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from bench.datasets import Dataset
from bench.errors import EngineError
from bench.executors.inspection import Inspection, inspect_iteration
from bench.executors.processes import EpochDone, GivenUp, WorkerPool
from bench.iterations import Iteration
from bench.records import Challenge, Conditions, Cost, Run
from bench.session import POLL_SECONDS, choose_workers
from bench.training.devices import count_cores, describe_conditions, describe_machine
from bench.training.engines import AUTO, ENGINES, EngineChoice
from bench.training.runs import Unit
from bench.verification import Pair

_Key = tuple[str, Conditions, int]
"""What a run is asked for by: iteration, conditions here, and seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where runs of an iteration are trained here, and by what."""

    device: torch.device
    iteration: Iteration
    choice: EngineChoice
    cost: Cost
    conditions: Conditions


def retrain(
    runs: Iterable[Run],
    iterations: Mapping[str, Iteration],
    challenge: Challenge,
    dataset: Dataset,
    *,
    workers: int | None,
    report: Callable[[Sequence[EpochDone]], None],
    give_up: Callable[[GivenUp], None],
) -> Iterator[Pair]:
    """Yield each run with the same seed trained again, as they finish.

    `iterations` are by name, with the fingerprints of the runs; `report` is told of epochs, and
    `give_up` of seeds that cannot be trained here.

    Raises:
        BenchError: a model file cannot be run.
    """
    wanted: dict[_Key, list[Run]] = defaultdict(list)
    places: dict[tuple[str, Conditions], _Place] = {}
    for run in runs:
        place = _find_place(run.conditions, iterations[run.iteration], challenge)
        places[run.iteration, place.conditions] = place
        wanted[run.iteration, place.conditions, run.seed].append(run)
    for batch in _batch(places.values()):
        units = [
            unit
            for place in places.values()
            if place in batch
            for unit in _make_units(place, wanted, challenge)
        ]
        for again in _train(units, batch, challenge, dataset, workers, report, give_up):
            for recorded in wanted[again.iteration, again.conditions, again.seed]:
                yield Pair(recorded=recorded, again=again)


def _find_place(conditions: Conditions, iteration: Iteration, challenge: Challenge) -> _Place:
    """Return the conditions asked for where this machine has them, else what it would choose."""
    on_gpu = conditions.device.startswith("cuda") and torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    found = _inspect(conditions, iteration, device, challenge)
    return _Place(
        device=device,
        iteration=found.iteration,
        choice=found.choice,
        cost=found.cost,
        conditions=describe_conditions(
            device, iteration.recipe.precision, engine=found.choice.engine, block=found.choice.block
        ),
    )


def _inspect(
    conditions: Conditions, iteration: Iteration, device: torch.device, challenge: Challenge
) -> Inspection:
    """Find the engine asked for, or without its device or for a network it refuses, the usual."""
    shape, classes = challenge.shape, len(challenge.classes)
    if conditions.device.partition(" ")[0] == device.type:
        engine = ENGINES.get(conditions.engine)
        side_by_side = engine is not None and engine.default_block is not None
        block = conditions.block if side_by_side else None
        with suppress(EngineError):
            return inspect_iteration(
                iteration,
                device,
                engine=conditions.engine,
                block=block,
                shape=shape,
                classes=classes,
            )
    return inspect_iteration(iteration, device, engine=AUTO, shape=shape, classes=classes)


def _batch(places: Iterable[_Place]) -> list[list[_Place]]:
    """Return the places by what one pool of workers can train."""
    batches: dict[tuple[str, bool], list[_Place]] = defaultdict(list)
    for place in places:
        batches[str(place.device), ENGINES[place.choice.engine].all_cores].append(place)
    return list(batches.values())


def _make_units(place: _Place, wanted: Iterable[_Key], challenge: Challenge) -> list[Unit]:
    iteration = place.iteration
    seeds = [s for name, c, s in wanted if (name, c) == (iteration.name, place.conditions)]
    machine = describe_machine(place.device)
    width = place.choice.block
    return [
        Unit(
            iteration=iteration,
            seeds=tuple(seeds[first : first + width]),
            challenge=challenge,
            conditions=place.conditions,
            machine=machine,
            cost=place.cost,
        )
        for first in range(0, len(seeds), width)
    ]


def _train(
    units: list[Unit],
    batch: list[_Place],
    challenge: Challenge,
    dataset: Dataset,
    workers: int | None,
    report: Callable[[Sequence[EpochDone]], None],
    give_up: Callable[[GivenUp], None],
) -> Iterator[Run]:
    device, choices = batch[0].device, {p.choice.engine: p.choice for p in batch}
    all_cores = any(ENGINES[name].all_cores for name in choices)
    pool = WorkerPool(
        challenge=challenge,
        folder=dataset.folder,
        device=device,
        workers=min(len(units), 1 if all_cores else choose_workers(device, workers, choices)),
        threads=count_cores() if all_cores else 1,
    )
    waiting = list(reversed(units))
    try:
        while waiting or pool.in_flight:
            while waiting and pool.has_room:
                pool.submit(waiting.pop())
            back = pool.collect(timeout_seconds=POLL_SECONDS)
            report(back.epochs)
            yield from back.runs
            for each in back.given_up:
                give_up(each)
    finally:
        pool.close()
