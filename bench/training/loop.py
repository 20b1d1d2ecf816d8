"""The training loop of one run: data resident on the device, nothing read back in an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from bench.augmentation import apply_affine, draw_affine
from bench.datasets import Dataset
from bench.records import EpochScore, Mistake, Status
from bench.training.optimizers import WeightAverage, build_optimizer
from bench.training.streams import derive_seed, make_generator
from models.recipe import Recipe

EVALUATION_BATCH = 500

EpochReport = Callable[[int, EpochScore], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What training one network gave; `mistakes` of the last epochs, oldest first."""

    status: Status
    epochs: tuple[EpochScore, ...]
    mistakes: tuple[tuple[Mistake, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidentImages:
    """Images (N, 1, 28, 28) uint8 and labels (N,) int64 on the device that trains."""

    images: Tensor
    labels: Tensor
    mean: float
    deviation: float

    def pixels(self, index: Tensor | slice) -> Tensor:
        """Return the chosen images as float32 in [0, 1]."""
        return self.images[index].float().div_(255.0)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return pixels minus the training mean, over the deviation, channels last."""
        normal = (pixels - self.mean).div_(self.deviation)
        return normal.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Score of a network on the validation images."""

    correct: int
    total: int
    loss: float
    mistakes: tuple[Mistake, ...]


def place_dataset(dataset: Dataset, device: torch.device) -> tuple[ResidentImages, ResidentImages]:
    """Copy training and validation images to the device, once for all runs."""

    def place(images: Tensor, labels: Tensor) -> ResidentImages:
        return ResidentImages(
            images=images.unsqueeze(1).to(device),
            labels=labels.long().to(device),
            mean=dataset.mean,
            deviation=dataset.deviation,
        )

    return (
        place(dataset.training_images, dataset.training_labels),
        place(dataset.validation_images, dataset.validation_labels),
    )


def train(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seed: int,
    window: int,
    report: EpochReport | None = None,
) -> Training:
    """Train one network from one seed and score it after every epoch.

    The seed alone decides initialisation, order, augmentation and dropout; the caller's own random
    state is left as it was. A loss that is not finite ends the run as diverged, with the epochs
    that were finished before.
    """
    device = training.images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "initialisation"))
        network = build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(derive_seed(seed, "dropout"))
        loop = _Loop(network, recipe, training=training, seed=seed)
        return loop.run(validation, window=window, report=report)


class _Loop:
    """The state of one run between its epochs."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, training: ResidentImages, seed: int
    ) -> None:
        device = training.images.device
        self._network, self._recipe, self._training = network, recipe, training
        self._shuffling = make_generator(seed, "shuffling", device)
        self._augmentation = make_generator(seed, "augmentation", device)
        steps = math.ceil(len(training.labels) / recipe.batch_size)
        self._rates = recipe.schedule.table(epochs=recipe.epochs, steps_per_epoch=steps)
        self._steps = steps
        self._optimizer = build_optimizer(
            recipe.optimizer, network.parameters(), rate=self._rates[0]
        )
        self._average = WeightAverage(network, recipe.averaging) if recipe.averaging else None

    def run(
        self, validation: ResidentImages, *, window: int, report: EpochReport | None
    ) -> Training:
        scores: list[EpochScore] = []
        mistakes: list[tuple[Mistake, ...]] = []
        for epoch in range(1, self._recipe.epochs + 1):
            start = time.perf_counter()
            correct, loss = self._train_epoch(epoch)
            score = self._evaluate(validation)
            if not (math.isfinite(loss) and math.isfinite(score.loss)):
                return Training(
                    status=Status.DIVERGED,
                    epochs=tuple(scores),
                    mistakes=tuple(mistakes[-window:]),
                )
            scores.append(
                EpochScore(
                    training_correct=correct,
                    training_total=len(self._training.labels),
                    training_loss=loss,
                    validation_correct=score.correct,
                    validation_total=score.total,
                    validation_loss=score.loss,
                    seconds=round(time.perf_counter() - start, 3),
                )
            )
            mistakes.append(score.mistakes)
            if report is not None:
                report(epoch, scores[-1])
        return Training(
            status=Status.FINISHED,
            epochs=tuple(scores),
            mistakes=tuple(mistakes[-window:]),
        )

    def _evaluate(self, validation: ResidentImages) -> Evaluation:
        network = self._average.network(self._network) if self._average else self._network
        return evaluate(network, validation, precision=self._recipe.precision)

    def _train_epoch(self, epoch: int) -> tuple[int, float]:
        """Return how many images the network got right while it learnt them, and the mean loss."""
        data, device = self._training, self._training.images.device
        self._network.train()
        order = torch.randperm(len(data.labels), generator=self._shuffling, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        rates = self._rates[(epoch - 1) * self._steps : epoch * self._steps]
        for rate, index in zip(rates, torch.split(order, self._recipe.batch_size), strict=True):
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            labels = data.labels[index]
            scores, loss = self._step(self._augment(data.pixels(index)), labels)
            correct += (scores.argmax(dim=1) == labels).sum()
            loss_sum += loss * len(labels)
            if self._average is not None:
                self._average.update(self._network, epoch=epoch)
        return int(correct), float(loss_sum) / len(data.labels)

    def _augment(self, pixels: Tensor) -> Tensor:
        affine = self._recipe.augmentation
        if affine is not None:
            draw = draw_affine(
                affine,
                count=len(pixels),
                side=pixels.shape[-1],
                generator=self._augmentation,
            )
            pixels = apply_affine(pixels, draw, interpolation=affine.interpolation)
        return self._training.normalise(pixels)

    def _step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self._optimizer.zero_grad(set_to_none=True)
        with _autocast(images.device, self._recipe.precision):
            scores = self._network(images)
        loss = F.cross_entropy(scores.float(), labels, label_smoothing=self._recipe.label_smoothing)
        loss.backward()
        self._optimizer.step()
        return scores.detach(), loss.detach()


@torch.no_grad()
def evaluate(
    network: nn.Module, data: ResidentImages, *, precision: Literal["fp32", "bf16"]
) -> Evaluation:
    """Score the network in evaluation mode; the loss is the mean cross-entropy in nats."""
    network.eval()
    predicted: list[Tensor] = []
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.images.device)
    for start in range(0, len(data.labels), EVALUATION_BATCH):
        chosen = slice(start, start + EVALUATION_BATCH)
        with _autocast(data.images.device, precision):
            scores = network(data.normalise(data.pixels(chosen))).float()
        labels = data.labels[chosen]
        loss_sum += F.cross_entropy(scores, labels, reduction="sum")
        predicted.append(scores.argmax(dim=1))
    mistakes = _list_mistakes(torch.cat(predicted), data.labels)
    total = len(data.labels)
    return Evaluation(
        correct=total - len(mistakes),
        total=total,
        loss=float(loss_sum) / total,
        mistakes=mistakes,
    )


def _list_mistakes(predicted: Tensor, labels: Tensor) -> tuple[Mistake, ...]:
    index = (predicted != labels).nonzero().flatten()
    columns = torch.stack([index, labels[index], predicted[index]], dim=1)
    return tuple(Mistake(*row) for row in columns.tolist())


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
