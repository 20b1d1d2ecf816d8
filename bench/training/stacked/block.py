"""A block of seeds from first weights to scores, each seed with the rules of the eager loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from bench.cost import INPUT_SHAPE
from bench.records import EpochScore, Mistake, Status
from bench.training.loop import ResidentImages, Training, list_mistakes
from bench.training.programs import Program
from bench.training.stacked.stack import Method, SeatTally, Stack, float32_products
from bench.training.stacked.state import Layout, lay_out
from bench.training.streams import derive_seed
from bench.training.tracing import UnsupportedNetworkError, trace_program
from models.recipe import SGD, Adam, AdamW, Recipe

WIDTH = 64
"""Seeds in flight; a guess for one H200 until `tests/perf/gpu_probe.py` has measured."""
METHOD = Method()
"""The default method, a guess until `tests/perf/gpu_probe.py` has measured: batched products read
and write more memory than a grouped convolution, but cuDNN has no kernel for few channels a group.
"""
_STREAMS = 8
_RECORDED_BLOCKS = 2
"""Blocks whose tensors and graphs are kept for the next seeds of the same iteration."""

BlockReport = Callable[[int, int, EpochScore], None]


def explain_refusal(network: nn.Module, recipe: Recipe, device: torch.device) -> str | None:
    """Say why this engine cannot train a network, to follow its name; `None` where it can."""
    if not isinstance(recipe.optimizer, SGD | Adam | AdamW):
        return f"steps by SGD, Adam or AdamW, the recipe by {type(recipe.optimizer).__name__}"
    if isinstance(recipe.optimizer, SGD) and recipe.optimizer.dampening:
        return "has no dampening, the recipe's SGD has"
    if device.type not in ("cpu", "cuda"):
        return f"trains on CUDA devices, and on a CPU for tests, not on {device.type}"
    try:
        trace_program(network, INPUT_SHAPE)
    except UnsupportedNetworkError as error:
        return f"cannot stack {error}"
    return None


def train_block(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seeds: Sequence[int],
    width: int = WIDTH,
    window: int,
    report: BlockReport | None = None,
    method: Method = METHOD,
) -> list[Training]:
    """Train one network for each of at most `width` seeds; `Training`s come in their order.

    A loss that is not finite ends a seed's run as diverged, with the epochs that were finished
    before; the others go on. An epoch's `seconds` are the block's, divided among its seeds. The
    caller's random state and float32 settings are left as they were.

    Raises:
        ValueError: there is no seed, or there are more than `width`.
        UnsupportedNetworkError: `explain_refusal` says why.
    """
    with float32_products(tf32=method.tf32):
        block = prepare_block(
            build, recipe, training=training, validation=validation, width=width, method=method
        )
        block.load(build, seeds)
        records = [_Record(seed, validation=validation, window=window) for seed in seeds]
        for epoch in range(1, recipe.epochs + 1):
            start = time.perf_counter()
            tallies = block.train_epoch(epoch)
            seconds = (time.perf_counter() - start) / len(seeds)
            for record, tally in zip(records, tallies, strict=False):
                record.add(
                    epoch,
                    tally,
                    seconds=seconds,
                    images=len(training.labels),
                    report=report or _ignore,
                )
            if all(record.status is Status.DIVERGED for record in records):
                break
        return [record.training() for record in records]


def _ignore(_seed: int, _epoch: int, _score: EpochScore) -> None:
    """Report nothing."""


def prepare_block(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    width: int,
    method: Method,
) -> Block:
    """Return a block of `width` seats that is ready to be loaded, its steps recorded.

    Raises:
        UnsupportedNetworkError: `explain_refusal` says why.
    """
    network = _initialise(build, 0)
    reason = explain_refusal(network, recipe, training.images.device)
    if reason is not None:
        raise UnsupportedNetworkError(reason)
    program = trace_program(network, INPUT_SHAPE)
    layout = lay_out(program, network)
    return _make_block(program, layout, recipe, training, validation, width, method)


def forget_blocks() -> None:
    """Let go of the blocks that are kept for more seeds, and of their memory."""
    _make_block.cache_clear()


class Block:
    """K seats in one stack, or in several that run in streams of their own."""

    def __init__(self, stacks: Sequence[Stack], *, lane: int, width: int) -> None:
        self._stacks, self._lane, self._width = stacks, lane, width
        several = len(stacks) > 1 and stacks[0].device.type == "cuda"
        self._streams = [torch.cuda.Stream() for _ in range(_STREAMS)] if several else []

    def load(self, build: Callable[[], nn.Module], seeds: Sequence[int]) -> None:
        """Seat the seeds with their initial networks, and copies of the last one beside them.

        Raises:
            ValueError: there is no seed, or there are more than seats.
        """
        if not 0 < len(seeds) <= self._width:
            raise ValueError(f"{len(seeds)} seeds for a block of {self._width}")
        initial = {seed: _tensors_of(_initialise(build, seed)) for seed in seeds}
        seats = [*seeds, *[seeds[-1]] * (self._width - len(seeds))]
        for stack, start in zip(self._stacks, range(0, self._width, self._lane), strict=True):
            seated = seats[start : start + self._lane]
            stack.load(seated, [initial[seed] for seed in seated])

    def train_epoch(self, epoch: int) -> list[SeatTally]:
        """Train and score every seat for one epoch; return the results seat by seat."""
        self.launch(lambda stack: stack.launch_epoch(epoch))
        return [tally for stack in self._stacks for tally in stack.read_epoch().seats()]

    def launch(self, work: Callable[[Stack], None]) -> None:
        """Queue work of every stack; what the current stream gets next runs after all of it."""
        if not self._streams:
            for stack in self._stacks:
                work(stack)
            return
        current = torch.cuda.current_stream()
        for number, stack in enumerate(self._stacks):
            stream = self._streams[number % _STREAMS]
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                work(stack)
        for stream in self._streams:
            current.wait_stream(stream)


def _initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return the network that the eager loop begins with, on the CPU."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(derive_seed(seed, "initialisation"))
        return build()


def _tensors_of(network: nn.Module) -> Mapping[str, Tensor]:
    named = dict(network.named_parameters()) | dict(network.named_buffers())
    return {name: tensor.detach() for name, tensor in named.items()}


@lru_cache(maxsize=_RECORDED_BLOCKS)
def _make_block(
    program: Program,
    layout: Layout,
    recipe: Recipe,
    training: ResidentImages,
    validation: ResidentImages,
    width: int,
    method: Method,
) -> Block:
    lane = method.lane or width
    stacks = [
        Stack(
            program,
            layout,
            recipe,
            training=training,
            validation=validation,
            width=min(lane, width - start),
            method=method,
        )
        for start in range(0, width, lane)
    ]
    return Block(stacks, lane=lane, width=width)


class _Record:
    """The scores of one seed, epoch by epoch, until its loss stops being finite."""

    def __init__(self, seed: int, *, validation: ResidentImages, window: int) -> None:
        self.status = Status.FINISHED
        self._seed, self._labels, self._window = seed, validation.labels.cpu(), window
        self._epochs: list[EpochScore] = []
        self._mistakes: list[tuple[Mistake, ...]] = []

    def add(
        self, epoch: int, tally: SeatTally, *, seconds: float, images: int, report: BlockReport
    ) -> None:
        """Take in an epoch, unless the seed has diverged in it or before."""
        if not (math.isfinite(tally.loss) and math.isfinite(tally.validation_loss)):
            self.status = Status.DIVERGED
        if self.status is Status.DIVERGED:
            return
        mistakes = list_mistakes(tally.predicted, self._labels)
        total = len(self._labels)
        score = EpochScore(
            training_correct=tally.correct,
            training_total=images,
            training_loss=tally.loss / images,
            validation_correct=total - len(mistakes),
            validation_total=total,
            validation_loss=tally.validation_loss / total,
            seconds=round(seconds, 3),
        )
        self._epochs.append(score)
        self._mistakes.append(mistakes)
        report(self._seed, epoch, score)

    def training(self) -> Training:
        """Return what the seed's run gave."""
        return Training(
            status=self.status,
            epochs=tuple(self._epochs),
            mistakes=tuple(self._mistakes[-self._window :]),
        )
