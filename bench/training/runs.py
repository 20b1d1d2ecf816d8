"""One run, from a unit of work to a record that the ledger takes."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from bench.cost import count_cost
from bench.datasets import Dataset, load_dataset, split_for_tuning
from bench.errors import IterationError
from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, FORMAT, Challenge, Conditions, Cost, Machine, Run
from bench.training.loop import EpochReport, ResidentImages, place_dataset, train


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One iteration and one seed, with all that a worker must know to train and record it."""

    iteration: Iteration
    seed: int
    challenge: Challenge
    conditions: Conditions
    machine: Machine
    cost: Cost


class Trainer:
    """Trains units on one device; the dataset is loaded and placed once."""

    def __init__(self, dataset: str, folder: Path | None, device: torch.device) -> None:
        self._name, self._folder, self._device = dataset, folder, device
        self._placed: dict[bool, tuple[str, ResidentImages, ResidentImages]] = {}

    def train(self, unit: Unit, report: EpochReport | None = None) -> Run:
        """Train one unit and return its record."""
        started, clock = datetime.now(UTC), time.perf_counter()
        digest, training, validation = self._data(tuning=unit.seed >= FIRST_TUNING_SEED)
        result = train(
            network_builder(unit.iteration),
            unit.iteration.recipe,
            training=training,
            validation=validation,
            seed=unit.seed,
            window=unit.challenge.window,
            report=report,
        )
        return Run(
            format=FORMAT,
            challenge=unit.challenge.name,
            iteration=unit.iteration.name,
            fingerprint=unit.iteration.fingerprint,
            seed=unit.seed,
            dataset=digest,
            conditions=unit.conditions,
            machine=unit.machine,
            cost=unit.cost,
            status=result.status,
            epochs=result.epochs,
            mistakes=result.mistakes,
            started=started.isoformat(timespec="seconds"),
            wall_seconds=round(time.perf_counter() - clock, 3),
        )

    def _data(self, *, tuning: bool) -> tuple[str, ResidentImages, ResidentImages]:
        if tuning not in self._placed:
            dataset: Dataset = load_dataset(self._name, self._folder)
            dataset = split_for_tuning(dataset) if tuning else dataset
            self._placed[tuning] = (dataset.digest, *place_dataset(dataset, self._device))
        return self._placed[tuning]


def network_builder(iteration: Iteration) -> Callable[[], nn.Module]:
    """Run an iteration's file and return its class `Network`.

    Raises:
        IterationError: the file cannot be run.
    """
    builder: Callable[[], nn.Module] = _load_module(iteration).Network
    return builder


def count_iteration(iteration: Iteration) -> Cost:
    """Return the cost of an iteration's network; its initial weights do not matter."""
    with torch.random.fork_rng(devices=[]):
        return count_cost(network_builder(iteration)())


def _load_module(iteration: Iteration) -> ModuleType:
    name = f"models.{iteration.name}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(iteration.path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, iteration.path)
    if spec is None or spec.loader is None:
        raise IterationError(f"{iteration.path}: cannot be imported; is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise IterationError(f"{iteration.path}: cannot be run ({error}); correct it") from error
    return module
