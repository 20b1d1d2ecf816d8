"""Images that the tests make: small, of few classes, and easy enough to learn in a few epochs."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.challenges import DATASETS

CLASSES = DATASETS["fashion-mnist"].classes
IDX_FILES = {
    "train-images-idx3-ubyte": "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte": "t10k-labels-idx1-ubyte",
}


def draw_images(count: int, *, side: int = 28, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Return grey images of ten kinds, a bright bar at a height of its own each, and labels."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    images = generator.integers(0, 60, (count, side, side), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top = int(label) * side // 10
        image[top : top + max(2, side // 10)] = 230
    return images, labels


def encode_idx(array: NDArray) -> bytes:
    """Return an array as the format of MNIST has it (yann.lecun.com/exdb/mnist)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, *, training: int = 400, validation: int = 100, packed: bool = True):
    """Write the four files of a dataset of FashionMNIST's shape."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = zip(IDX_FILES.items(), (training, validation), strict=True)
    for seed, ((images_name, labels_name), count) in enumerate(sizes):
        arrays = draw_images(count, seed=seed)
        for name, array in zip((images_name, labels_name), arrays, strict=True):
            content = encode_idx(array)
            place = folder / (f"{name}.gz" if packed else name)
            place.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return folder


def write_pictures(
    folder: Path,
    *,
    classes: tuple[str, ...] = ("circle", "square"),
    parts: tuple[str, str] = ("training", "validation"),
    counts: tuple[int, int] = (40, 12),
    size: tuple[int, int] = (20, 14),
) -> Path:
    """Write PNG files of so many pictures a class: each class has a colour and a place."""
    generator = np.random.default_rng(3)
    for part, count in zip(parts, counts, strict=True):
        for place, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
                width = size[0] // len(classes)
                pixels[:, place * width : (place + 1) * width, place % 3] = 220
                Image.fromarray(pixels).save(folder / part / name / f"{number:03}.png")
    return folder
