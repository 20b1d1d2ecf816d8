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
from msgspec.structs import replace
from torch import nn

import models
from bench.cost import INPUT_SHAPE, count_cost
from bench.datasets import Dataset, load_dataset, split_for_tuning
from bench.errors import IterationError
from bench.iterations import MODELS, Iteration
from bench.records import (
    FIRST_TUNING_SEED,
    FORMAT,
    Challenge,
    Conditions,
    Cost,
    Machine,
    Run,
    Shape,
)
from bench.training.adapting import CALLED, adapt
from bench.training.engines import ENGINES, BlockReport
from bench.training.loading import build_class
from bench.training.loop import ResidentImages, Training, place_dataset
from bench.training.stacked.block import forget_blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One iteration and its seeds, with all that a worker must know to train and record them.

    `seeds` are trained side by side: one, or at most as many as `conditions.block` says.
    """

    iteration: Iteration
    seeds: tuple[int, ...]
    challenge: Challenge
    conditions: Conditions
    machine: Machine
    cost: Cost


class Trainer:
    """Trains units on one device; the challenge's dataset is loaded and placed once.

    It is loaded from `folder`, unless a `dataset` is given.
    """

    def __init__(
        self,
        challenge: Challenge,
        folder: Path | None,
        device: torch.device,
        *,
        dataset: Dataset | None = None,
    ) -> None:
        self._challenge, self._folder, self._device = challenge, folder, device
        self._dataset = dataset
        self._placed: dict[bool, tuple[str, ResidentImages, ResidentImages]] = {}

    def train(self, unit: Unit, report: BlockReport | None = None) -> list[Run]:
        """Train one unit with its engine and return the record of each of its seeds."""
        started, clock = datetime.now(UTC), time.perf_counter()
        digest, training, validation = self._data(tuning=unit.seeds[0] >= FIRST_TUNING_SEED)
        _check_batches(unit.iteration, len(training.labels))
        results = ENGINES[unit.conditions.engine].train(
            network_builder(unit.iteration),
            unit.iteration.recipe,
            training=training,
            validation=validation,
            seeds=unit.seeds,
            width=unit.conditions.block,
            window=unit.challenge.window,
            report=report,
        )
        seconds = round((time.perf_counter() - clock) / len(unit.seeds), 3)
        return [
            _record(unit, seed, result, dataset=digest, started=started, seconds=seconds)
            for seed, result in zip(unit.seeds, results, strict=True)
        ]

    def _data(self, *, tuning: bool) -> tuple[str, ResidentImages, ResidentImages]:
        if tuning not in self._placed:
            dataset = self._dataset or load_dataset(self._challenge, self._folder)
            dataset = split_for_tuning(dataset) if tuning else dataset
            self._placed[tuning] = (dataset.digest, *place_dataset(dataset, self._device))
        return self._placed[tuning]


def _record(
    unit: Unit, seed: int, result: Training, *, dataset: str, started: datetime, seconds: float
) -> Run:
    return Run(
        format=FORMAT,
        challenge=unit.challenge.name,
        iteration=unit.iteration.name,
        fingerprint=unit.iteration.fingerprint,
        seed=seed,
        dataset=dataset,
        conditions=unit.conditions,
        machine=unit.machine,
        cost=unit.cost,
        status=result.status,
        epochs=result.epochs,
        mistakes=result.mistakes,
        started=started.isoformat(timespec="seconds"),
        wall_seconds=seconds,
    )


def release_memory() -> None:
    """Let go of the blocks that are kept for more seeds, and of the GPU memory that torch keeps."""
    forget_blocks()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def network_builder(iteration: Iteration) -> Callable[[], nn.Module]:
    """Run an iteration's file and return what builds its network.

    Raises:
        IterationError: the file cannot be run.
    """
    if iteration.origin is not None:
        return AdaptedBuilder(iteration)
    builder: Callable[[], nn.Module] = _load_module(iteration).Network
    return builder


@dataclass(frozen=True, slots=True)
class AdaptedBuilder:
    """Builds the network of a model file as its inspection found that it has to be."""

    iteration: Iteration

    def __call__(self) -> nn.Module:
        """Execute the file and return a network; torch's generator decides its weights."""
        adaptation = self.iteration.adaptation
        if adaptation is None:
            raise IterationError(f"{self.iteration.label}: not inspected; inspect it first")
        network = build_class(
            self.iteration, extracted=adaptation.extracted, stand_ins=adaptation.stand_ins
        )
        return adapt(network, adaptation)


def build_network(iteration: Iteration) -> nn.Module:
    """Return an iteration's network to look at; its initial weights do not matter."""
    with torch.random.fork_rng(devices=[]):
        return network_builder(iteration)()


def count_iteration(iteration: Iteration, shape: Shape = INPUT_SHAPE) -> Cost:
    """Return the cost of a network for one image of a shape, by its own names for its layers."""
    with torch.random.fork_rng(devices=[]):
        cost = count_cost(build_network(iteration), shape)
    if iteration.adaptation is None or not iteration.adaptation.calls:
        return cost
    layers = (replace(x, name=x.name.removeprefix(f"{CALLED}.")) for x in cost.layers)
    return replace(cost, layers=tuple(layers))


def _check_batches(iteration: Iteration, images: int) -> None:
    """Make sure that no training batch is smaller than a network can take.

    Raises:
        IterationError: the last one of an epoch is.
    """
    least = iteration.adaptation.least_batch if iteration.adaptation else 1
    batch = iteration.recipe.batch_size
    last = images % batch or batch
    if last < least:
        raise IterationError(
            f"{iteration.label}: cannot be trained on a single image (batch normalisation of 1 x 1 "
            f"maps has nothing to compare it with), and {images:,} images in batches of {batch} "
            "leave one at the end of each epoch; take a recipe with another batch size"
        )


def _load_module(iteration: Iteration) -> ModuleType:
    _search_beside(iteration)
    name = f"models.{iteration.name}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(iteration.path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, iteration.path)
    if spec is None or spec.loader is None:
        raise IterationError(f"{iteration.label}: cannot be imported; is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        reason = "calls sys.exit" if isinstance(error, SystemExit) else error
        raise IterationError(f"{iteration.label}: cannot be run ({reason}); correct it") from error
    return module


def _search_beside(iteration: Iteration) -> None:
    """Let `models` be the iteration's folder first and the harness's second, as fingerprints do.

    `models.recipe` is the harness's alone: it is what the iteration was read with.
    """
    places = list(dict.fromkeys((str(iteration.path.parent), str(MODELS))))
    if list(models.__path__) != places:
        models.__path__[:] = places
        for name in [name for name in sys.modules if name.startswith("models.")]:
            if name.split(".")[1] != "recipe":  # of another folder, perhaps
                del sys.modules[name]
