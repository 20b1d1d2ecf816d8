"""Datasets as tensors: published ones by name, embedded digits, and two kinds of one's own.

Every dataset is identified by the SHA-256 of its decoded tensors. Nothing is written to a folder
that is read.
"""

from __future__ import annotations

from pathlib import Path

from bench.challenges import FOLDER, IDX
from bench.datasets.dataset import Dataset, digest_tensors, make_dataset, split_for_tuning
from bench.datasets.embedded import load_embedded_digits
from bench.datasets.own import load_idx_files, load_picture_folder
from bench.datasets.published import (
    find_mnist,
    find_published,
    load_mnist,
    load_published,
)
from bench.records import Challenge

__all__ = [
    "Dataset",
    "digest_tensors",
    "find_images",
    "find_mnist",
    "load_dataset",
    "load_embedded_digits",
    "load_mnist",
    "make_dataset",
    "split_for_tuning",
]


def find_images(challenge: Challenge, data: Path | None, *, base: Path) -> Path | None:
    """Return the folder of a challenge's images, `None` when they are embedded.

    It is `data` where that is given. Else a folder of one's own is as `base` sees it, and published
    datasets are looked for in `BENCH_DATA` and `./data`, and downloaded.

    Raises:
        DataError: there is nothing where it was said to be.
        MnistMissingError: MNIST cannot be had.
    """
    if challenge.dataset == "digits":
        return None
    if challenge.dataset in (FOLDER, IDX):
        return data or base / (challenge.folder or "")
    return find_published(challenge.dataset, data)


def load_dataset(challenge: Challenge, folder: Path | None) -> Dataset:
    """Load a challenge's images from `folder`, `None` for what is embedded or looked for.

    Raises:
        DataError: a file is missing, damaged, or not what the challenge says.
    """
    if challenge.dataset == "digits":
        return load_embedded_digits()
    if challenge.dataset == FOLDER and folder is not None:
        return load_picture_folder(challenge, folder)
    if challenge.dataset == IDX and folder is not None:
        return load_idx_files(challenge, folder)
    found = folder if folder is not None else find_published(challenge.dataset, None)
    return load_published(challenge.dataset, found)
