"""Which engine trains an iteration on a device: one table of engines, and one place that chooses.

An engine is a way to carry out a recipe. Engines draw different random numbers and round
differently, so a run's conditions name its engine; docs/equivalence.md compares what they train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from bench.cost import INPUT_SHAPE
from bench.errors import EngineError
from bench.records import EpochScore, Shape
from bench.training import loop, plain, stacked
from bench.training.loop import EpochReport, ResidentImages, Training
from bench.training.native import engine as native
from models.recipe import Recipe

AUTO = "auto"
FALLBACK = "eager"
"""The engine that trains every network on every device."""

FASTEST = {"cpu": "native", "cuda": "stacked"}
"""The engine that `auto` takes on a kind of device, where it can train the iteration."""

BlockReport = Callable[[int, int, EpochScore], None]
"""Called with the seed, its epoch (counted from 1) and the epoch's score."""


class TrainBlock(Protocol):
    """Trains seeds side by side, `width` at most; one training a seed, in their order."""

    def __call__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        *,
        training: ResidentImages,
        validation: ResidentImages,
        seeds: tuple[int, ...],
        width: int,
        window: int,
        report: BlockReport | None,
    ) -> list[Training]:
        """Train one network a seed."""


class TrainOne(Protocol):
    """Trains one seed, as `bench.training.loop.train`."""

    def __call__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        *,
        training: ResidentImages,
        validation: ResidentImages,
        seed: int,
        window: int,
        report: EpochReport | None,
    ) -> Training:
        """Train one network."""


def _accept(_network: nn.Module, _recipe: Recipe, _device: torch.device) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One way to train.

    `explain_refusal` says why an engine cannot train a network by a recipe on a device, as what
    goes on after its name ("has no kernel for layer.0: nn.GELU"), `None` when it can.
    `default_block` is how many seeds it trains side by side unless told; without it, one.
    `all_cores` tells that it trains one seed after the other with a thread for every core,
    `any_shape` that it takes images of other shapes than MNIST's.
    """

    train: TrainBlock
    explain_refusal: Callable[[nn.Module, Recipe, torch.device], str | None] = _accept
    default_block: Callable[[nn.Module, Recipe, torch.device], int] | None = None
    all_cores: bool = False
    any_shape: bool = False


def one_by_one(train: TrainOne) -> TrainBlock:
    """Return an engine's training of blocks, one seed after the other."""

    def train_block(
        build: Callable[[], nn.Module],
        recipe: Recipe,
        *,
        training: ResidentImages,
        validation: ResidentImages,
        seeds: tuple[int, ...],
        width: int,  # noqa: ARG001  (of engines that train side by side)
        window: int,
        report: BlockReport | None,
    ) -> list[Training]:
        def train_seed(seed: int) -> Training:
            return train(
                build,
                recipe,
                training=training,
                validation=validation,
                seed=seed,
                window=window,
                report=(lambda *done: report(seed, *done)) if report else None,
            )

        return [train_seed(seed) for seed in seeds]

    return train_block


ENGINES: dict[str, Engine] = {
    "plain": Engine(train=one_by_one(plain.PlainTrainer()), all_cores=True, any_shape=True),
    "eager": Engine(train=one_by_one(loop.train), any_shape=True),
    "native": Engine(train=one_by_one(native.train), explain_refusal=native.explain_refusal),
    "stacked": Engine(
        train=stacked.train_block,
        explain_refusal=stacked.explain_refusal,
        default_block=lambda _network, _recipe, _device: stacked.WIDTH,
    ),
}
"""Every engine by the name that `--engine` and a run's conditions give it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """The engine that trains an iteration, and how many of its seeds side by side.

    `notice` is a sentence when `auto` could not take the fastest engine of the device.
    """

    engine: str
    block: int
    notice: str | None


def choose_engine(
    asked: str,
    block: int | None,
    *,
    iteration: str,
    network: nn.Module,
    recipe: Recipe,
    device: torch.device,
    shape: Shape = INPUT_SHAPE,
) -> EngineChoice:
    """Return the engine of an iteration on images of a shape: as asked, or the fastest for `auto`.

    Raises:
        EngineError: the engine that is asked for does not exist here or cannot train the
            iteration, or `block` is given to an engine that trains one seed at a time.
    """
    name, refusal = _pick(asked, network, recipe, device, shape)
    if refusal is not None and asked != AUTO:
        raise EngineError(
            f"--engine {asked}: {iteration}: this engine {refusal}; use --engine {FALLBACK}"
        )
    fastest = FASTEST.get(device.type)
    reason = f"the {fastest} engine {refusal}"
    notice = f"{iteration} trains with the {name} engine: {reason}" if refusal else None
    default = ENGINES[name].default_block
    if default is None and block is not None:
        raise EngineError(
            f"--block {block}: {notice or f'{iteration} trains with the {name} engine'}; that "
            "engine trains one seed at a time; leave --block out"
        )
    width = 1 if default is None else block or default(network, recipe, device)
    return EngineChoice(engine=name, block=width, notice=notice)


def _pick(
    asked: str, network: nn.Module, recipe: Recipe, device: torch.device, shape: Shape
) -> tuple[str, str | None]:
    """Return an engine, and why it is not the fastest or cannot do what was asked of it."""
    name = FASTEST.get(device.type, FALLBACK) if asked == AUTO else asked
    if name not in ENGINES:
        if asked != AUTO:
            raise EngineError(
                f"--engine {asked}: no such engine here; choose from {AUTO}, {', '.join(ENGINES)}"
            )
        return FALLBACK, None
    if shape != INPUT_SHAPE and not ENGINES[name].any_shape:
        refusal: str | None = (
            f"is made for images of 1 x 28 x 28, not of {' x '.join(map(str, shape))}"
        )
    else:
        refusal = ENGINES[name].explain_refusal(network, recipe, device)
    return (FALLBACK if asked == AUTO and refusal else name), refusal
