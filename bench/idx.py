"""Files in the format of MNIST, read into arrays: bytes behind a header of sizes, bounded.

The format is that of yann.lecun.com/exdb/mnist: two zero bytes, 8 for unsigned bytes, the number of
dimensions, and each dimension as four bytes, the most significant first.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.limits import MOST_DATASET_BYTES
from bench.records import MOST_IMAGES_AN_EPOCH

Bytes = NDArray[np.uint8]

FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
"""Training images and labels, validation images and labels; each ends in -ubyte or -ubyte.gz."""


def read_idx_files(folder: Path, *, side: int, classes: int) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return training images (N, side, side) and labels (N,), and those of validation.

    Raises:
        DataError: a file is missing, damaged, too large, or of other sizes, or a label is no class.
    """
    paths = [_find_file(folder, name) for name in FILES]
    pairs = []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images = _read_file(images_path, dimensions=3)
        labels = _read_file(labels_path, dimensions=1)
        _check_images(images, images_path, side=side)
        _check_labels(labels, labels_path, images=len(images), classes=classes)
        pairs.append((images, labels))
    return *pairs[0], *pairs[1]


def spread_classes(labels: Bytes) -> list[int]:
    """Return an order in which every part has its share of every class, as far as it goes.

    The last sixth of the training images is what tuning is scored on: pictures in the order of
    their folders would leave it one class.
    """
    of = {label: np.flatnonzero(labels == label).tolist() for label in np.unique(labels).tolist()}
    placed = [
        ((2 * place + 1) / (2 * len(members)), label, member)
        for label, members in of.items()
        for place, member in enumerate(members)
    ]
    return [member for _, _, member in sorted(placed)]


def _check_images(images: Bytes, path: Path, *, side: int) -> None:
    if images.shape[1:] != (side, side):
        sizes = " x ".join(map(str, images.shape[1:]))
        raise DataError(
            f"{path}: images of {sizes} pixels, and the challenge's side is {side}; correct side"
        )


def _check_labels(labels: Bytes, path: Path, *, images: int, classes: int) -> None:
    if len(labels) != images:
        raise DataError(
            f"{path}: {len(labels):,} labels for {images:,} images; replace one of the files"
        )
    if labels.max() >= classes:
        raise DataError(
            f"{path}: a label {labels.max()}, and the challenge names {classes} classes (0 to "
            f"{classes - 1}); name more in classes"
        )


def _find_file(folder: Path, name: str) -> Path:
    candidates = [folder / f"{name}-ubyte", folder / f"{name}-ubyte.gz"]
    try:
        found = [path for path in candidates if path.is_file()]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise DataError(
            f"{candidates[0]}: not there, nor as .gz; put the four files there "
            f"({', '.join(f'{each}-ubyte' for each in FILES)}), or correct folder, or name it with "
            "--data"
        )
    return found[0]


def _read_file(path: Path, *, dimensions: int) -> Bytes:
    try:
        with path.open("rb") as plain:
            if path.suffix != ".gz":
                return _read_array(plain, path, dimensions)
            with gzip.open(plain) as file:
                return _read_array(cast(BinaryIO, file), path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path}: cannot be read ({reason}); replace it") from error


def _read_array(file: BinaryIO, path: Path, dimensions: int) -> Bytes:
    magic = file.read(4)
    if magic != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{path}: not a file of unsigned bytes in {dimensions} dimensions (it starts with "
            f"{magic.hex()}, expected 000008{dimensions:02x}); is it in MNIST's format?"
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: ends within its header; replace it")
    sizes = struct.unpack(f">{dimensions}I", header)
    if 0 in sizes or sizes[0] > MOST_IMAGES_AN_EPOCH or math.prod(sizes) > MOST_DATASET_BYTES:
        raise DataError(
            f"{path}: {' x '.join(f'{size:,}' for size in sizes)}; from 1 to "
            f"{MOST_IMAGES_AN_EPOCH:,} images are taken, of {MOST_DATASET_BYTES:,} bytes in all"
        )
    content = file.read(math.prod(sizes) + 1)
    if len(content) != math.prod(sizes):
        raise DataError(f"{path}: not as long as its header says; replace it")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)
