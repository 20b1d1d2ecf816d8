"""K networks of one program that train side by side: one training step, one evaluation.

All tensors that a step reads or writes are made once, so that a step can be recorded as a CUDA
graph: one for a full batch, one for the last of an epoch, one for the evaluation of all images.
Learning rate, weight of an average and dropout masks follow a step counter on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from bench.augmentation import augment, count_uniform
from bench.fitting import check_fit
from bench.training.loop import EVALUATION_BATCH, ResidentImages
from bench.training.optimizers import build_optimizer
from bench.training.programs import Program
from bench.training.stacked.cycling import CyclingOptimizer
from bench.training.stacked.draws import EpochDraws
from bench.training.stacked.forwards import FORWARDS, Forward
from bench.training.stacked.graphs import WARM_UPS, Body, Recorder
from bench.training.stacked.masks import Masks
from bench.training.stacked.state import Layout, State
from bench.training.streams import derive_seed
from models.recipe import EMA, SGD, Adam, AdamW, Averaging, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """How a block is computed; every method trains the same networks.

    `forward` names one of FORWARDS. A block is computed `lane` seeds at a time, all of them when it
    is `None`; several lanes run in streams of their own. `graphs` records steps as CUDA graphs,
    `compiled` hands forward and loss to `torch.compile`, and `tf32` lets float32 products and
    convolutions round their operands to ten bits of mantissa.
    """

    forward: str = "unfolded"
    lane: int | None = None
    graphs: bool = True
    compiled: bool = False
    tf32: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SeatTally:
    """What an epoch gave one seed; losses are sums over images in nats, `predicted` is (N,)."""

    correct: int
    loss: float
    predicted: Tensor
    validation_loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochTally:
    """The same of K seeds, with K as the first axis, on the CPU."""

    correct: Tensor
    loss: Tensor
    predicted: Tensor
    validation_loss: Tensor

    def seats(self) -> list[SeatTally]:
        """Return the results seed by seed."""
        return [
            SeatTally(correct=correct, loss=loss, predicted=predicted, validation_loss=validation)
            for correct, loss, predicted, validation in zip(
                self.correct.tolist(),
                self.loss.tolist(),
                self.predicted,
                self.validation_loss.tolist(),
                strict=True,
            )
        ]


class Stack:
    """K networks, their optimiser and averages, and the recorded steps that move them."""

    def __init__(
        self,
        program: Program,
        layout: Layout,
        recipe: Recipe,
        *,
        training: ResidentImages,
        validation: ResidentImages,
        width: int,
        method: Method,
    ) -> None:
        self.device = device = training.images.device
        self._recipe, self._training, self._validation = recipe, training, validation
        self._images, self._batch = len(training.labels), recipe.batch_size
        side = training.images.shape[-1]
        self._steps = check_fit(recipe, images=self._images, side=side)
        self._make_tensors(layout, width=width, device=device)
        self._masks = Masks(
            torch.zeros(width, dtype=torch.int64, device=device),
            self._step,
            operations=len(program.operations),
        )
        self._forward: Forward = FORWARDS[method.forward](program, width=width)
        self._losses = torch.compile(self._score, dynamic=False) if method.compiled else self._score
        self._draws = EpochDraws(
            width=width,
            images=self._images,
            batch=self._batch,
            uniform=count_uniform(recipe.augmentation),
            device=device,
        )
        self._record(Recorder(device if method.graphs else torch.device("cpu")))

    def _make_tensors(self, layout: Layout, *, width: int, device: torch.device) -> None:
        recipe = self._recipe
        self._state = State(layout, width=width, device=device)
        self._scored = State(layout, width=width, device=device)
        self._average = torch.zeros_like(self._state.flat) if recipe.averaging else None
        self._leaves = self._state.leaves()
        self._parameters = self._state.parameters()
        self._parameters.grad = torch.zeros_like(self._parameters)
        rates = recipe.rates(steps_per_epoch=self._steps)
        self._rates = _tabulate(rates, device)
        self._rate = torch.zeros((), device=device)
        self._make_optimizer(rates[0], device)
        if recipe.averaging is not None:
            weights = _weigh_steps(recipe.averaging, epochs=recipe.epochs, steps=self._steps)
            self._average_weights = _tabulate(weights, device)
        self._index = torch.zeros(width, self._batch, dtype=torch.int64, device=device)
        draws = count_uniform(recipe.augmentation)
        self._uniform = torch.zeros(width, self._batch, draws, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._correct = torch.zeros(width, dtype=torch.int64, device=device)
        self._loss = torch.zeros(width, dtype=torch.float64, device=device)
        self._predicted = torch.zeros(
            width, len(self._validation.labels), dtype=torch.int64, device=device
        )
        self._validation_loss = torch.zeros(width, dtype=torch.float64, device=device)

    def _make_optimizer(self, rate: float, device: torch.device) -> None:
        """Make torch's fused optimiser, or one whose momentum is read from the device."""
        recipe, momenta = self._recipe, self._recipe.momenta(steps_per_epoch=self._steps)
        self._fused: torch.optim.Optimizer | None = None
        self._cycling: CyclingOptimizer | None = None
        if momenta is None:
            self._fused = build_optimizer(recipe.optimizer, [self._parameters], rate=rate)
            self._fused.param_groups[0].update(lr=self._rate, capturable=True)
            return
        assert isinstance(recipe.optimizer, SGD | Adam | AdamW)  # noqa: S101  (explain_refusal)
        self._momenta = _tabulate(momenta, device)
        self._momentum = torch.zeros((), device=device)
        self._cycling = CyclingOptimizer(
            recipe.optimizer, self._parameters, rate=self._rate, momentum=self._momentum
        )

    def _reset_optimizer(self) -> None:
        if self._cycling is not None:
            self._cycling.reset()
        if self._fused is not None:
            for tensor in self._fused.state.get(self._parameters, {}).values():
                if isinstance(tensor, Tensor):
                    tensor.zero_()

    def _step_optimizer(self) -> None:
        """Take the step that the counter says, with its rate and momentum."""
        self._rate.copy_(self._rates.index_select(0, self._step)[0])
        if self._cycling is not None:
            self._momentum.copy_(self._momenta.index_select(0, self._step)[0])
            self._cycling.step()
        if self._fused is not None:
            self._fused.step()

    def _record(self, recorder: Recorder) -> None:
        sizes = {min(self._batch, self._images), self._images - (self._steps - 1) * self._batch}
        self._train_batch: dict[int, Body] = {
            size: recorder.record(lambda size=size: self._train_step(size))  # type: ignore[misc]
            for size in sorted(sizes, reverse=True)
        }
        self._evaluate = recorder.record(self._evaluate_all)

    def load(self, seeds: Sequence[int], networks: Sequence[Mapping[str, Tensor]]) -> None:
        """Begin K new runs with these initial tensors; nothing is left of the runs before."""
        self._state.load(networks)
        self._step.zero_()
        self._reset_optimizer()
        if self._average is not None:
            self._average.copy_(self._state.flat)
        self._masks.keys.copy_(torch.tensor([derive_seed(seed, "dropout") for seed in seeds]))
        self._draws.start(seeds)

    def launch_epoch(self, epoch: int) -> None:
        """Queue an epoch (counted from 1), its evaluation and the draws of the next one."""
        self._launch_training()
        self.launch_evaluation(epoch)
        if epoch < self._recipe.epochs:
            self._draws.prepare()

    def launch_evaluation(self, epoch: int) -> None:
        """Queue the evaluation of the weights that this epoch is scored by."""
        self._scored.flat.copy_(self._weights_to_score(epoch))
        self._evaluate()

    def _launch_training(self) -> None:
        draws = self._draws.take()
        self._correct.zero_()
        self._loss.zero_()
        for start in range(0, self._images, self._batch):
            index = draws.order[:, start : start + self._batch]
            size = index.shape[1]
            self._index[:, :size].copy_(index)
            if draws.uniform is not None:
                self._uniform[:, :size].copy_(draws.uniform[:, start : start + size])
            self._train_batch[size]()

    def read_epoch(self) -> EpochTally:
        """Wait for the epoch that was launched and return its results."""
        return EpochTally(
            correct=self._correct.cpu(),
            loss=self._loss.cpu(),
            predicted=self._predicted.cpu(),
            validation_loss=self._validation_loss.cpu(),
        )

    def _weights_to_score(self, epoch: int) -> Tensor:
        averaging = self._recipe.averaging
        if self._average is None or averaging is None:
            return self._state.flat
        taken_in = isinstance(averaging, EMA) or epoch >= averaging.start
        return self._average if taken_in else self._state.flat

    def _train_step(self, size: int) -> None:
        index = self._index[:, :size]
        labels = self._training.labels[index]
        images = self._augment(self._training.pixels(index), self._uniform[:, :size])
        scores, losses = self._losses(images, labels)
        gradients = torch.autograd.grad(losses.sum(), list(self._leaves.values()))
        with torch.no_grad():
            torch.cat([g.flatten() for g in gradients], out=self._parameters.grad)
            self._step_optimizer()
            self._update_average()
            self._correct += (scores.detach().argmax(dim=2) == labels).sum(dim=1)
            self._loss.add_(losses.detach(), alpha=size)
            self._step += 1

    def _augment(self, pixels: Tensor, uniform: Tensor) -> Tensor:
        """Return pixels (K, B, 1, S, S) transformed and normalised."""
        images = augment(
            self._recipe.augmentation,
            pixels.flatten(0, 1),
            uniform.flatten(0, 1),
            normalise=self._training.normalise,
        )
        return images.view(*pixels.shape[:2], *images.shape[1:])

    def _score(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores (K, B, classes) and the mean loss (K,) of each seed's batch."""
        with self._autocast():
            tensors = self._state.views | self._leaves
            scores = self._forward(images, tensors, self._masks)
        losses = _cross_entropy(scores, labels, smoothing=self._recipe.label_smoothing)
        return scores, losses.mean(dim=1)

    def _update_average(self) -> None:
        if self._average is not None:
            weight = self._average_weights.index_select(0, self._step)
            self._average.lerp_(self._state.flat, weight)

    @torch.no_grad()
    def _evaluate_all(self) -> None:
        width, data = len(self._index), self._validation
        self._validation_loss.zero_()
        for start in range(0, len(data.labels), EVALUATION_BATCH):
            chosen = slice(start, start + EVALUATION_BATCH)
            images = data.normalise(data.pixels(chosen)).expand(width, -1, -1, -1, -1)
            labels = data.labels[chosen].expand(width, -1)
            with self._autocast():
                scores = self._forward(images, self._scored.views, None)
            self._validation_loss += _cross_entropy(scores, labels).sum(dim=1)
            self._predicted[:, chosen] = scores.float().argmax(dim=2)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._index.device.type,
            dtype=torch.bfloat16,
            enabled=self._recipe.precision == "bf16",
            cache_enabled=False,  # a cached cast would not be replayed by a graph
        )


def _cross_entropy(scores: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the loss (K, B) of each image in nats."""
    flat = scores.float().flatten(0, 1)
    losses = F.cross_entropy(flat, labels.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.view_as(labels)


def _tabulate(values: list[float], device: torch.device) -> Tensor:
    """Return a value for each step, and for those that recording tries after a short training."""
    return torch.tensor(values + values[-1:] * (2 * WARM_UPS), device=device)


def _weigh_steps(averaging: Averaging, *, epochs: int, steps: int) -> list[float]:
    """Return how far the average moves to the weights after each step; 1 is all the way."""
    if isinstance(averaging, EMA):
        return [1.0] + [1.0 - averaging.decay] * (epochs * steps - 1)
    skipped = min(averaging.start - 1, epochs) * steps
    return [0.0] * skipped + [1.0 / (n + 1) for n in range(epochs * steps - skipped)]


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Choose how float32 products round on a GPU, and convolutions that repeat bit for bit."""
    products = torch.backends.cuda.matmul
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    chosen = "tf32" if tf32 else "ieee"
    before = (
        products.fp32_precision,
        convolutions.fp32_precision,
        torch.backends.cudnn.deterministic,
    )
    try:
        products.fp32_precision = convolutions.fp32_precision = chosen
        torch.backends.cudnn.deterministic = True
        yield
    finally:
        products.fp32_precision, convolutions.fp32_precision = before[:2]
        torch.backends.cudnn.deterministic = before[2]
