"""Datasets as tensors: MNIST through torchvision's reader, or the digits of scikit-learn.

A folder of MNIST may be read-only and hold the four original `.gz` files or the extracted ones.
Every dataset is identified by the SHA-256 of its decoded tensors.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor

from bench.challenges import MNIST_DIGEST
from bench.errors import DataError, MnistMissingError
from bench.records import DIGIT_NAMES, Challenge, Shape
from bench.vision import datasets as vision_datasets

DOWNLOAD_TIMEOUT_SECONDS = 15
TUNING_TRAINING_IMAGES = 50_000
EXTRACTED_BYTES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}
"""A byte for a pixel or a label, behind a header of 16 or 8: a larger file is not read."""

_RAW = Path("MNIST", "raw")


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


def load_dataset(challenge: Challenge, folder: Path | None) -> Dataset:
    """Load a challenge's images from `folder` (`None`: search and download, or embedded)."""
    if challenge.dataset == "digits":
        return load_embedded_digits()
    return load_mnist(folder if folder is not None else find_mnist(None))


def load_embedded_digits() -> Dataset:
    """Return scikit-learn's 1,797 digits, 8 x 8 pixels enlarged to 24 x 24 inside 28 x 28.

    Every fifth image is for validation (359); 1,438 are for training.
    """
    from sklearn.datasets import load_digits  # a second of imports, for the digits alone

    bunch = load_digits()
    grey = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    large = np.kron(grey, np.ones((1, 3, 3), dtype=np.uint8))
    images = torch.from_numpy(np.pad(large, ((0, 0), (2, 2), (2, 2))))
    labels = torch.from_numpy(bunch.target.astype(np.uint8))
    held_out = torch.arange(len(labels)) % 5 == 4
    return make_dataset(
        "digits", images[~held_out], labels[~held_out], images[held_out], labels[held_out]
    )


def find_mnist(data: Path | None) -> Path:
    """Return the folder that holds MNIST: `data`, else `BENCH_DATA`, else `./data`.

    Raises:
        DataError: the folder that was named has no MNIST in it.
        MnistMissingError: nobody named a folder, `./data` has none, and downloading it failed.
    """
    named = data or (Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else None)
    folder = named or Path("data")
    if _stored_files(folder):
        return folder
    if named is not None:
        raise DataError(
            f"{named}: no MNIST there; expected the four original files in {named / _RAW} "
            "(*-ubyte.gz, or extracted), a torchvision root"
        )
    _download_mnist(folder)
    return folder


def load_mnist(folder: Path) -> Dataset:
    """Read MNIST with torchvision's reader and checksums; the folder is not written to.

    Raises:
        DataError: a file is missing, truncated or altered.
    """
    files = _stored_files(folder)
    if not files:
        raise DataError(f"{folder}: no MNIST there; expected its four files in {folder / _RAW}")
    _check_files(files)
    try:
        training, validation = _read_files(files)
    except (RuntimeError, AssertionError, LookupError, ValueError, OSError, EOFError) as error:
        raise DataError(
            f"{folder / _RAW}: MNIST cannot be read ({error}); replace its files"
        ) from error
    dataset = make_dataset(
        "mnist",
        training.data,
        training.targets,
        validation.data,
        validation.targets,
        folder=folder,
    )
    if dataset.digest != MNIST_DIGEST:
        raise DataError(
            f"{folder / _RAW}: these files are not MNIST (SHA-256 {dataset.digest[:12]}, expected "
            f"{MNIST_DIGEST[:12]}); one was altered, replace them by the originals"
        )
    return dataset


def _read_files(files: list[Path]) -> tuple[Any, Any]:
    """Read copies of the files with torchvision's reader, since it writes beside what it reads."""
    with tempfile.TemporaryDirectory(prefix="bench-mnist-") as scratch:
        raw = Path(scratch) / _RAW
        raw.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, raw / file.name)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            training = vision_datasets.MNIST(scratch, train=True, download=True)
            return training, vision_datasets.MNIST(scratch, train=False)


def _stored_files(folder: Path) -> list[Path]:
    archives = [folder / _RAW / name for name, _ in vision_datasets.MNIST.resources]
    extracted = [file.with_suffix("") for file in archives]
    try:
        for files in (archives, extracted):
            if all(file.is_file() for file in files):
                return files
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror}); correct its permissions, or name "
            "another folder with --data"
        ) from error
    return []


def _check_files(files: list[Path]) -> None:
    """Hold archives against torchvision's checksums; no extracted file may be too large."""
    checksums = dict(vision_datasets.MNIST.resources)
    for file in files:
        try:
            if file.name in EXTRACTED_BYTES:  # the digest of the decoded tensors is the check
                _check_size(file)
            else:
                _check_archive(file, checksums[file.name])
        except OSError as error:
            raise DataError(
                f"{file}: cannot be read ({error.strerror}); correct its permissions"
            ) from error


def _check_size(file: Path) -> None:
    size, expected = file.stat().st_size, EXTRACTED_BYTES[file.name]
    if size > expected:
        raise DataError(
            f"{file}: not MNIST's ({size:,} bytes, expected {expected:,}); replace it by the "
            "original file"
        )


def _check_archive(file: Path, expected: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    if found.hexdigest() != expected:
        raise DataError(
            f"{file}: truncated or altered (MD5 {found.hexdigest()}, expected {expected}); "
            "replace it by the original file"
        )


def _download_mnist(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-mnist-") as scratch:
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT_SECONDS), redirect_stdout(io.StringIO()):
                vision_datasets.MNIST(scratch, download=True)
        except (RuntimeError, URLError, OSError) as error:
            raise MnistMissingError(
                f"{folder / _RAW}: no MNIST there, and it could not be downloaded; put its four "
                "original files there, or name their folder with --data or BENCH_DATA"
            ) from error
        try:
            shutil.copytree(Path(scratch) / "MNIST", folder / "MNIST", dirs_exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror})") from error


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
