"""Datasets of one's own: a folder of pictures by class, and files in the format of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.challenges import TRAINING, VALIDATION
from bench.datasets.dataset import Dataset, make_dataset
from bench.errors import DataError
from bench.idx import read_idx_files, spread_classes
from bench.limits import MOST_DATASET_BYTES, MOST_PICTURE_BYTES, MOST_PICTURE_PIXELS
from bench.records import MOST_IMAGES_AN_EPOCH, Challenge
from bench.vision import datasets as vision_datasets

_DEEP_MODES = ("I", "F")
"""Pillow's modes of more than eight bits start so."""


def load_idx_files(challenge: Challenge, folder: Path) -> Dataset:
    """Read four files in the format of MNIST.

    Raises:
        DataError: a file is missing, damaged, or of other sizes than the challenge says.
    """
    images, labels, *validation = read_idx_files(
        folder, side=challenge.side, classes=len(challenge.classes)
    )
    order = spread_classes(labels)
    arrays = [images[order], labels[order], *validation]
    return _make(challenge, folder, [torch.from_numpy(array.copy()) for array in arrays])


def load_picture_folder(challenge: Challenge, folder: Path) -> Dataset:
    """Read pictures below `training/CLASS/` and `validation/CLASS/` with torchvision's ImageFolder.

    Each is made grey or RGB and resized to the challenge's side, whatever its proportions.

    Raises:
        DataError: a folder or a class is missing, there are too many pictures, or one cannot be
            read.
    """
    training, validation = (
        _list_pictures(challenge, _choose(folder, names)) for names in (TRAINING, VALIDATION)
    )
    bytes_each = challenge.channels * challenge.side**2
    if (size := (len(training) + len(validation)) * bytes_each) > MOST_DATASET_BYTES:
        raise DataError(
            f"{folder}: {size:,} bytes of pixels, more than the {MOST_DATASET_BYTES:,} that are "
            "taken; write a smaller side"
        )
    order = spread_classes(np.array([label for _, label in training], dtype=np.uint8))
    parts = ([training[place] for place in order], validation)
    return _make(challenge, folder, [t for part in parts for t in _decode(part, challenge)])


def _make(challenge: Challenge, folder: Path, tensors: list[Tensor]) -> Dataset:
    dataset = make_dataset(challenge.dataset, *tensors, folder=folder, classes=challenge.classes)
    if not dataset.deviation:
        raise DataError(
            f"{folder}: the pixels of all training images are alike, there is nothing to learn; "
            "is it the right folder?"
        )
    return dataset


def _choose(folder: Path, names: tuple[str, ...]) -> Path:
    try:
        found = [folder / name for name in names if (folder / name).is_dir()]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise DataError(
            f"{folder / names[0]}: no such folder (nor {', '.join(names[1:])}); put the pictures "
            "there, a folder for each class, or correct folder, or name it with --data"
        )
    return found[0]


def _list_pictures(challenge: Challenge, part: Path) -> list[tuple[Path, int]]:
    """Return every picture and its label; the labels are those of the sorted folder names."""
    try:
        pictures: Any = vision_datasets.ImageFolder(str(part))
    except OSError as error:
        reason = error.strerror or str(error).partition(". Supported")[0]
        raise DataError(f"{part}: {reason}; put pictures there, a folder a class") from error
    found = tuple(pictures.classes)
    if found != challenge.classes:
        unlike = sorted(set(found) ^ set(challenge.classes))
        raise DataError(
            f"{part}: its folders are not the challenge's classes ({_name_unlike(unlike)}); write "
            f"classes = {list(found)[:20]}, or correct the folders"
        )
    if len(pictures.samples) > MOST_IMAGES_AN_EPOCH:
        raise DataError(
            f"{part}: {len(pictures.samples):,} pictures, more than the {MOST_IMAGES_AN_EPOCH:,} "
            "of an epoch; leave some out"
        )
    return [(Path(path), label) for path, label in pictures.samples]


def _name_unlike(names: list[str]) -> str:
    if not names:
        return "the same in another order, which must be sorted"
    return f"on one side alone: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"


def _decode(pictures: list[tuple[Path, int]], challenge: Challenge) -> tuple[Tensor, Tensor]:
    shape = (challenge.side,) * 2 if challenge.channels == 1 else (challenge.side,) * 2 + (3,)
    pixels = np.empty((len(pictures), *shape), dtype=np.uint8)
    for place, (path, _) in enumerate(pictures):
        pixels[place] = _decode_one(path, challenge)
    images = torch.from_numpy(pixels)
    if challenge.channels == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor([label for _, label in pictures], dtype=torch.uint8)


def _decode_one(path: Path, challenge: Challenge) -> NDArray[np.uint8]:
    side, mode = challenge.side, "L" if challenge.channels == 1 else "RGB"
    try:
        if (size := path.stat().st_size) > MOST_PICTURE_BYTES:
            raise DataError(f"{path}: {size:,} bytes, more than {MOST_PICTURE_BYTES:,}; shrink it")
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > MOST_PICTURE_PIXELS:
                raise DataError(
                    f"{path}: {width:,} x {height:,} pixels, more than {MOST_PICTURE_PIXELS:,}; "
                    "shrink it"
                )
            if picture.mode.startswith(_DEEP_MODES):
                raise DataError(
                    f"{path}: more than 8 bits a pixel (mode {picture.mode}); save it with 8"
                )
            shown = picture.convert(mode)
            if shown.size != (side, side):
                shown = shown.resize((side, side), Image.Resampling.BILINEAR)
            return np.asarray(shown)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a picture that can be read ({error}); replace it") from error
