"""Short runs of every engine on the same images with the same seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from msgspec import Struct
from torch import nn

from bench.datasets import Dataset
from bench.equivalence.gradients import (
    SEED,
    Gradients,
    compute_exact_gradients,
    first_images,
    largest_difference,
    measure_gradients,
)
from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, Status
from bench.training.devices import count_cores
from bench.training.engines import ENGINES, Engine
from bench.training.loop import ResidentImages, Training, place_dataset
from bench.training.runs import build_network, network_builder
from bench.training.streams import derive_seed
from models.recipe import MultiStep, Recipe

REFERENCE = "plain"
TRAINING_IMAGES = 6_000
EPOCHS = 2
FIRST_SEED = FIRST_TUNING_SEED

Advance = Callable[[str, int], None]
"""Told how many more seeds of an engine are done."""


class Sample(Struct, frozen=True, kw_only=True):
    """The final epochs of one engine's runs: accuracy in per cent, mean cross-entropy in nats.

    The largest relative difference of a gradient from the reference's and from float64's is `None`
    where the engine does not show its gradients. `diverged` runs have no place in the other lists.
    """

    engine: str
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    diverged: int
    gradient_difference: float | None
    gradient_error: float | None


def shorten(recipe: Recipe) -> Recipe:
    """Return a recipe of two epochs, the learning rate reduced after the first."""
    first = recipe.schedule.table(epochs=1, steps_per_epoch=1)[0]
    schedule = MultiStep(rate=first, milestones=(1,))
    return dataclasses.replace(recipe, epochs=EPOCHS, schedule=schedule)


def explain_absence(name: str, iteration: Iteration, device: torch.device) -> str | None:
    """Say why an engine cannot be measured here, `None` when it can."""
    if name not in ENGINES:
        return "not part of this version"
    return ENGINES[name].explain_refusal(
        build_network(iteration), shorten(iteration.recipe), device
    )


def take_samples(
    names: Sequence[str],
    iteration: Iteration,
    dataset: Dataset,
    *,
    device: torch.device,
    seeds: int,
    advance: Advance,
) -> tuple[Sample, ...]:
    """Train `seeds` runs with each engine; the first name is the reference's.

    `dataset` is a split for tuning. Threads are those of `bench run`: all cores for the plain
    engine, else one.
    """
    build = network_builder(iteration)
    whole, validation = place_dataset(dataset, device)
    training = first_images(whole, TRAINING_IMAGES)
    exact = compute_exact_gradients(build, training, seed=derive_seed(SEED, "initialisation"))
    reference = None
    samples = []
    for name in names:
        with _threads_of(ENGINES[name]):
            gradients = measure_gradients(ENGINES[name], build, training)
            runs = _train(
                ENGINES[name],
                build,
                shorten(iteration.recipe),
                training=training,
                validation=validation,
                seeds=seeds,
                advance=partial(advance, name),
            )
        reference = reference or gradients
        samples.append(_make_sample(name, runs, gradients, reference=reference, exact=exact))
    return tuple(samples)


@contextmanager
def _threads_of(engine: Engine) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count_cores() if engine.all_cores else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make_sample(
    name: str,
    runs: Sequence[Training],
    gradients: Gradients | None,
    *,
    reference: Gradients | None,
    exact: Gradients,
) -> Sample:
    final = [run.epochs[-1] for run in runs if run.status is Status.FINISHED]
    differ = partial(largest_difference, gradients) if gradients else None
    return Sample(
        engine=name,
        accuracies=tuple(1e2 * e.validation_correct / e.validation_total for e in final),
        losses=tuple(epoch.validation_loss for epoch in final),
        diverged=len(runs) - len(final),
        gradient_difference=differ(reference) if differ and reference else None,
        gradient_error=differ(exact) if differ else None,
    )


def _train(
    engine: Engine,
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seeds: int,
    advance: Callable[[int], None],
) -> list[Training]:
    width = 1
    if engine.default_block is not None:
        width = min(seeds, engine.default_block(build(), recipe, training.images.device))
    runs: list[Training] = []
    for start in range(FIRST_SEED, FIRST_SEED + seeds, width):
        block = tuple(range(start, min(start + width, FIRST_SEED + seeds)))
        runs += engine.train(
            build,
            recipe,
            training=training,
            validation=validation,
            seeds=block,
            width=width,
            window=1,
            report=None,
        )
        advance(len(block))
    return runs
