"""The training loop of hundreds of course notebooks, done well: what the other engines must equal.

A `Dataset` of PIL images, torchvision's transforms image by image, a `DataLoader` with worker
processes, `loss.backward()`, an unfused `torch.optim` optimiser, `.item()` in every step and a pass
over the validation set after every epoch. It shares no augmentation, batching or evaluation with
`bench.training.loop`, which is what makes it a reference.

One thing no notebook has: each batch draws its transforms from a seed of its own, so that a run
does not depend on the number of loader workers.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from bench.errors import BenchError
from bench.fitting import check_fit
from bench.records import EpochScore, Mistake, Status
from bench.training.compositions import make_transform
from bench.training.loop import EpochReport, ResidentImages, Training
from bench.training.optimizers import WeightAverage, make_optimizer, set_step
from bench.training.streams import derive_seed
from models.recipe import Recipe

LOADER_WORKERS = "BENCH_LOADER_WORKERS"
EVALUATION_BATCH = 1000
STARTING_BATCHES, MEASURED_BATCHES = 8, 32
"""Batches to time a number of loader workers by: the first ones, read ahead, are not counted."""


_CAN_FORK = sys.platform == "linux"
"""Forked workers start at once; a worker of `bench run` would else have them import torch."""


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images of a dataset as PIL images behind a transform, as `torchvision.datasets.MNIST`.

    `epoch` is shared with the loader's workers; with the first index of a batch, which occurs once
    an epoch, it seeds the batch's draws.
    """

    def __init__(self, data: ResidentImages, transform: Callable[[Any], Tensor], seed: int) -> None:
        channels_last = data.images.permute(0, 2, 3, 1).cpu()  # as Pillow has them
        self._images = channels_last.squeeze(3) if data.channels == 1 else channels_last
        self._labels = data.labels.tolist()
        self._transform, self._seed = transform, seed
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self._images[index].numpy())
        return self._transform(picture), self._labels[index]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Return a batch; `DataLoader` calls this instead of indexing where it is defined."""
        key = f"{self._seed}/{int(self.epoch)}/{indices[0]}"
        with torch.random.fork_rng(devices=[]):  # dropout draws from the same generator
            digest = hashlib.sha256(key.encode()).digest()
            # the CPU's generator alone: on a GPU, dropout draws from the GPU's
            torch.default_generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            return [self[index] for index in indices]


def train(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seed: int,
    window: int,
    report: EpochReport | None = None,
    loader_workers: int = 0,
) -> Training:
    """Train one network from one seed and score it after every epoch, as `bench.training.loop`.

    The initial weights are those of the other engines; order, augmentation and dropout are drawn
    anew. `loader_workers` processes load the images, 0 for none; no number depends on it.
    """
    device = training.images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "initialisation"))
        network = build().to(device)
        torch.manual_seed(derive_seed(seed, "dropout"))
        run = _PlainRun(network, recipe, training, validation, seed, loader_workers)
        return run.train(window, report)


def choose_loader_workers(
    build: Callable[[], nn.Module], recipe: Recipe, training: ResidentImages, *, cores: int
) -> tuple[int, dict[int, float]]:
    """Return the fastest of 0, 1, 2 and `cores` loader workers, and milliseconds a batch of each.

    torch warns of more loader workers than cores, so none of these is more.

    Timed on this machine with the network that is trained: loading alone would not show how
    loaders and the training compete for cores. Starting the workers is not counted.
    """
    candidates = sorted({0, 1, min(2, cores), cores})
    milliseconds = {n: _time_batches(build, recipe, training, n) for n in candidates}
    return min(candidates, key=milliseconds.__getitem__), milliseconds


class PlainTrainer:
    """`train` with the loader workers that a short measurement finds best, once per network.

    BENCH_LOADER_WORKERS sets their number without measuring, so that a run that is timed need not.
    """

    def __init__(self) -> None:
        self._chosen: dict[tuple[Callable[[], nn.Module], Recipe], int] = {}

    def __call__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        *,
        training: ResidentImages,
        validation: ResidentImages,
        seed: int,
        window: int,
        report: EpochReport | None = None,
    ) -> Training:
        """Train one network from one seed; the first one says on stderr what was measured."""
        if (build, recipe) not in self._chosen:
            self._chosen[build, recipe] = self._measure(build, recipe, training)
        return train(
            build,
            recipe,
            training=training,
            validation=validation,
            seed=seed,
            window=window,
            report=report,
            loader_workers=self._chosen[build, recipe],
        )

    @staticmethod
    def _measure(build: Callable[[], nn.Module], recipe: Recipe, training: ResidentImages) -> int:
        asked = os.environ.get(LOADER_WORKERS)
        if asked is not None:
            return _parse_loader_workers(asked)
        if len(training.labels) <= STARTING_BATCHES * recipe.batch_size:
            return 0  # over before loader workers are under way
        best, milliseconds = choose_loader_workers(
            build, recipe, training, cores=torch.get_num_threads()
        )
        times = ", ".join(f"{n}: {time:.1f} ms" for n, time in milliseconds.items())
        sys.stderr.write(f"plain engine: {best} loader workers; a batch with {times}\n")
        return best


def _parse_loader_workers(asked: str) -> int:
    if not asked.isdecimal():
        raise BenchError(f"{LOADER_WORKERS}={asked}: not a number of processes; 0 for none")
    return int(asked)


class _PlainRun:
    """One run, from its loaders to its scores."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        training: ResidentImages,
        validation: ResidentImages,
        seed: int,
        loader_workers: int,
    ) -> None:
        self._network, self._recipe = network, recipe
        self._device = training.images.device
        self._pictures = Pictures(
            training,
            make_transform(training, recipe.augmentation),
            derive_seed(seed, "augmentation"),
        )
        shuffling = torch.Generator().manual_seed(derive_seed(seed, "shuffling"))
        common: dict[str, Any] = {
            "num_workers": loader_workers,
            "persistent_workers": loader_workers > 0,
            "multiprocessing_context": "fork" if loader_workers and _CAN_FORK else None,
            "pin_memory": self._device.type == "cuda",
            # for the seeds of loader workers, which nothing uses; else drawn where dropout is
            "generator": torch.Generator(),
        }
        self._training_loader: DataLoader[Any] = DataLoader(
            self._pictures,
            batch_size=recipe.batch_size,
            sampler=RandomSampler(self._pictures, generator=shuffling),
            **common,
        )
        self._held_out = Pictures(validation, make_transform(validation), 0)
        self._validation_loader: DataLoader[Any] = DataLoader(
            self._held_out, batch_size=EVALUATION_BATCH, **common
        )
        side = training.images.shape[-1]
        steps = check_fit(recipe, images=len(self._pictures), side=side)
        rates = recipe.rates(steps_per_epoch=steps)
        momenta: Sequence[float | None] = recipe.momenta(steps_per_epoch=steps) or [None] * len(
            rates
        )
        self._steps = iter(zip(rates, momenta, strict=True))
        self._criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._optimizer = make_optimizer(recipe.optimizer, network.parameters(), rate=rates[0])
        self._average = WeightAverage(network, recipe.averaging) if recipe.averaging else None

    def train(self, window: int, report: EpochReport | None) -> Training:
        scores: list[EpochScore] = []
        mistakes: list[tuple[Mistake, ...]] = []
        status = Status.FINISHED
        for epoch in range(1, self._recipe.epochs + 1):
            score, wrong = self._run_epoch(epoch)
            if not (math.isfinite(score.training_loss) and math.isfinite(score.validation_loss)):
                status = Status.DIVERGED
                break
            scores.append(score)
            mistakes.append(wrong)
            if report is not None:
                report(epoch, score)
        return Training(status=status, epochs=tuple(scores), mistakes=tuple(mistakes[-window:]))

    def time_batches(self) -> float:
        """Return the milliseconds that a batch takes once the loader is under way."""
        self._network.train()
        clock = [time.perf_counter()]
        for batch in itertools.islice(self._training_loader, STARTING_BATCHES + MEASURED_BATCHES):
            self._step(*batch)
            clock.append(time.perf_counter())
        start = min(STARTING_BATCHES, len(clock) - 2)
        return (clock[-1] - clock[start]) / (len(clock) - 1 - start) * 1e3

    def _run_epoch(self, epoch: int) -> tuple[EpochScore, tuple[Mistake, ...]]:
        start = time.perf_counter()
        correct, loss = self._train_epoch(epoch)
        wrong, validation_loss = self._validate()
        total = len(self._held_out)
        score = EpochScore(
            training_correct=correct,
            training_total=len(self._pictures),
            training_loss=loss,
            validation_correct=total - len(wrong),
            validation_total=total,
            validation_loss=validation_loss,
            seconds=round(time.perf_counter() - start, 3),
        )
        return score, wrong

    def _train_epoch(self, epoch: int) -> tuple[int, float]:
        self._network.train()
        self._pictures.epoch.fill_(epoch)
        correct, loss_sum = 0, 0.0
        for images, labels in self._training_loader:
            hits, loss = self._step(images, labels)
            correct += hits
            loss_sum += loss * len(labels)
            if self._average is not None:
                self._average.update(self._network, epoch=epoch)
        return correct, loss_sum / len(self._pictures)

    def _step(self, images: Tensor, labels: Tensor) -> tuple[int, float]:
        images = images.to(self._device, non_blocking=True)
        labels = labels.to(self._device, non_blocking=True)
        rate, momentum = next(self._steps)
        set_step(self._optimizer, rate=rate, momentum=momentum)
        self._optimizer.zero_grad()
        with self._autocast():
            scores = self._network(images)
        loss = self._criterion(scores.float(), labels)
        loss.backward()
        self._optimizer.step()
        return int((scores.argmax(dim=1) == labels).sum().item()), float(loss.item())

    @torch.no_grad()
    def _validate(self) -> tuple[tuple[Mistake, ...], float]:
        """Return the mistakes by ascending index, and the mean cross-entropy in nats."""
        network = self._average.network(self._network) if self._average else self._network
        network.eval()
        wrong: list[Mistake] = []
        loss_sum, seen = 0.0, 0
        for images, labels in self._validation_loader:
            with self._autocast():
                scores = network(images.to(self._device)).float().cpu()
            loss_sum += nn.functional.cross_entropy(scores, labels, reduction="sum").item()
            predicted = scores.argmax(dim=1)
            wrong += [
                Mistake(seen + i, int(labels[i]), int(predicted[i]))
                for i in (predicted != labels).nonzero().flatten().tolist()
            ]
            seen += len(labels)
        return tuple(wrong), loss_sum / seen

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._recipe.precision == "bf16"
        )


def _time_batches(
    build: Callable[[], nn.Module], recipe: Recipe, training: ResidentImages, loader_workers: int
) -> float:
    device = training.images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = build().to(device)
        run = _PlainRun(network, recipe, training, training, 0, loader_workers)
        return run.time_batches()
