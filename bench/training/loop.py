"""The training loop of one run: data resident on the device, nothing read back in an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from bench.augmentation import augment, count_uniform
from bench.datasets import Dataset
from bench.fitting import check_fit
from bench.records import EpochScore, Mistake, Status
from bench.training.adapting import choose_memory_format
from bench.training.optimizers import WeightAverage, build_optimizer, set_step
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
    """Images (N, channels, S, S) uint8 and labels (N,) int64 on the device that trains."""

    images: Tensor
    labels: Tensor
    mean: float
    deviation: float

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colours; mean and deviation are those of all together."""
        return self.images.shape[1]

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
            images=(images if images.dim() == 4 else images.unsqueeze(1)).to(device),
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
    return run_loop(
        EagerLearner,
        build,
        recipe,
        training=training,
        validation=validation,
        seed=seed,
        window=window,
        report=report,
    )


class Learner(Protocol):
    """One network under training, from a batch to its gradients."""

    network: nn.Module

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, training: ResidentImages, seed: int
    ) -> None: ...

    def parameters(self) -> list[nn.Parameter]:
        """Return what the optimiser steps."""
        ...

    def accumulate(self, index: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores (N, classes) and mean loss of a batch, its gradients in place."""
        ...

    def evaluate(self, network: nn.Module, data: ResidentImages) -> Evaluation:
        """Score `network`, the trained one or its average, in evaluation mode."""
        ...


def run_loop(
    learner: type[Learner],
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seed: int,
    window: int,
    report: EpochReport | None = None,
) -> Training:
    """Train with an engine's learner; see `train`."""
    device = training.images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "initialisation"))
        network = build().to(device)
        torch.manual_seed(derive_seed(seed, "dropout"))
        loop = _Loop(learner(network, recipe, training=training, seed=seed), recipe, training, seed)
        return loop.run(validation, window=window, report=report)


class _Loop:
    """The state of one run between its epochs."""

    def __init__(
        self, learner: Learner, recipe: Recipe, training: ResidentImages, seed: int
    ) -> None:
        self._learner, self._recipe, self._training = learner, recipe, training
        self._shuffling = make_generator(seed, "shuffling", training.images.device)
        self._steps = steps = check_fit(
            recipe, images=len(training.labels), side=training.images.shape[-1]
        )
        self._rates = recipe.rates(steps_per_epoch=steps)
        momenta = recipe.momenta(steps_per_epoch=steps)
        self._momenta: Sequence[float | None] = momenta or [None] * len(self._rates)
        self._optimizer = build_optimizer(
            recipe.optimizer, learner.parameters(), rate=self._rates[0]
        )
        network = learner.network
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
        network = self._learner.network
        scored = self._average.network(network) if self._average else network
        return self._learner.evaluate(scored, validation)

    def _train_epoch(self, epoch: int) -> tuple[int, float]:
        """Return how many images the network got right while it learnt them, and the mean loss."""
        data, device = self._training, self._training.images.device
        self._learner.network.train()
        order = torch.randperm(len(data.labels), generator=self._shuffling, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        first = (epoch - 1) * self._steps
        for step, index in enumerate(torch.split(order, self._recipe.batch_size), start=first):
            set_step(self._optimizer, rate=self._rates[step], momentum=self._momenta[step])
            labels = data.labels[index]
            scores, loss = self._learner.accumulate(index, labels)
            self._optimizer.step()
            correct += (scores.argmax(dim=1) == labels).sum()
            loss_sum += loss * len(labels)
            if self._average is not None:
                self._average.update(self._learner.network, epoch=epoch)
        return int(correct), float(loss_sum) / len(data.labels)


class EagerLearner:
    """A network whose modules torch calls one by one, channels last."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, training: ResidentImages, seed: int
    ) -> None:
        layout = choose_memory_format(network)
        self.network = network.to(memory_format=layout)  # type: ignore[call-overload]
        self._recipe, self._training = recipe, training
        self._augmentation = make_generator(seed, "augmentation", training.images.device)

    def parameters(self) -> list[nn.Parameter]:
        """Return the network's own parameters."""
        return list(self.network.parameters())

    def accumulate(self, index: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores (N, classes) and mean loss of a batch, its gradients in place."""
        images = self._augment(self._training.pixels(index))
        self.network.zero_grad(set_to_none=True)
        with _autocast(images.device, self._recipe.precision):
            scores = self.network(images)
        loss = F.cross_entropy(scores.float(), labels, label_smoothing=self._recipe.label_smoothing)
        loss.backward()
        return scores.detach(), loss.detach()

    def _augment(self, pixels: Tensor) -> Tensor:
        augmentation, generator = self._recipe.augmentation, self._augmentation
        if augmentation is None:
            return self._training.normalise(pixels)
        uniform = torch.rand(
            len(pixels),
            count_uniform(augmentation),
            generator=generator,
            device=generator.device,
        )
        return augment(augmentation, pixels, uniform, normalise=self._training.normalise)

    def evaluate(self, network: nn.Module, data: ResidentImages) -> Evaluation:
        """Score `network`, the trained one or its average, in evaluation mode."""
        return evaluate(network, data, precision=self._recipe.precision)


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
    mistakes = list_mistakes(torch.cat(predicted), data.labels)
    total = len(data.labels)
    return Evaluation(
        correct=total - len(mistakes),
        total=total,
        loss=float(loss_sum) / total,
        mistakes=mistakes,
    )


def list_mistakes(predicted: Tensor, labels: Tensor) -> tuple[Mistake, ...]:
    """Return the images whose prediction (N,) is not their label (N,), by ascending index."""
    index = (predicted != labels).nonzero().flatten()
    columns = torch.stack([index, labels[index], predicted[index]], dim=1)
    return tuple(Mistake(*row) for row in columns.tolist())


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
