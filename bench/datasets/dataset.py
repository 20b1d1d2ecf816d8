"""The type of a dataset, its digest, and its split for tuning."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.records import DIGIT_NAMES, Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Square images (N, S, S), or (N, 3, S, S) in colour, and labels (N,), all uint8.

    Pixels are scaled to [0, 1] before `mean` and `deviation` of all training pixels (four decimals,
    0.1307 and 0.3081 for MNIST) are taken; colours share them. `classes` names the labels 0, 1, ...
    `folder` is where the files lie, `None` when they are embedded.
    """

    name: str
    digest: str
    folder: Path | None
    training_images: Tensor
    training_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    mean: float
    deviation: float
    classes: tuple[str, ...] = DIGIT_NAMES

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image."""
        side = self.training_images.shape[-1]
        return (1 if self.training_images.dim() == 3 else 3), side, side


def make_dataset(
    name: str,
    *tensors: Tensor,
    folder: Path | None = None,
    classes: tuple[str, ...] = DIGIT_NAMES,
) -> Dataset:
    """Return the dataset of four uint8 tensors: training images, labels, validation ones."""
    images, labels, validation_images, validation_labels = (t.to(torch.uint8) for t in tensors)
    mean, deviation = _pixel_statistics(images)
    return Dataset(
        name=name,
        digest=digest_tensors(images, labels, validation_images, validation_labels),
        folder=folder,
        training_images=images,
        training_labels=labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        mean=mean,
        deviation=deviation,
        classes=classes,
    )


def _pixel_statistics(images: Tensor) -> tuple[float, float]:
    counts = torch.bincount(images.flatten(), minlength=256).numpy()  # numpy's widens to 64 bits
    levels = np.arange(256) / 255.0
    mean = float(counts @ levels / counts.sum())
    variance = float(counts @ (levels - mean) ** 2 / counts.sum())
    return round(mean, 4), round(variance**0.5, 4)


def digest_tensors(*tensors: Tensor) -> str:
    """Return the SHA-256 of shapes and bytes of uint8 tensors, in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def split_for_tuning(dataset: Dataset) -> Dataset:
    """Return a dataset of the training set alone: its last sixth is validation.

    MNIST gives 50,000 and 10,000 images. Tuning never sees the test set.
    """
    count = len(dataset.training_images) * 5 // 6
    images, labels = dataset.training_images, dataset.training_labels
    return make_dataset(
        f"{dataset.name}-tuning",
        images[:count],
        labels[:count],
        images[count:],
        labels[count:],
        folder=dataset.folder,
        classes=dataset.classes,
    )
