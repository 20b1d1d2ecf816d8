"""What travels to the nodes: model files and images, once to each, and what proves them the same.

The code of bench and models itself travels in Ray's runtime environment.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct

import bench
from bench.datasets import Dataset, make_dataset
from bench.errors import ClusterError, DataError, IterationError
from bench.files import read_regular
from bench.foreign.sources import find_source, list_local_modules
from bench.iterations import MODELS, Iteration, list_sources
from bench.limits import MOST_NOTEBOOK_BYTES

CODE = (".py", ".hpp")
"""Suffixes of the files of bench and models that move numbers."""


class PackedIteration(Struct, frozen=True, kw_only=True):
    """An iteration with the files that its fingerprint covers, by their places below one folder.

    An iteration of the harness has none: it travels with the code. `place` is that of its own file.
    """

    iteration: Iteration
    place: str
    files: dict[str, bytes]


class PackedDataset(Struct, frozen=True, kw_only=True):
    """A dataset as arrays, which all workers of a node read in one place, and its digest."""

    name: str
    digest: str
    classes: tuple[str, ...]
    arrays: tuple[Any, ...]


def pack_iteration(iteration: Iteration) -> PackedIteration:
    """Read the files of an iteration.

    Raises:
        IterationError: one of them cannot be read.
    """
    if iteration.origin is None and iteration.path.parent.resolve() == MODELS.resolve():
        return PackedIteration(iteration=iteration, place=iteration.path.name, files={})
    try:
        if iteration.origin is None:
            base = iteration.path.parent
            paths = list_sources(iteration)
        else:
            base, paths = _list_foreign(iteration)
        own = paths[0].relative_to(base).as_posix()
        files = {
            path.relative_to(base).as_posix(): read_regular(
                path, inside=base, most_bytes=MOST_NOTEBOOK_BYTES
            )
            for path in paths
        }
    except OSError as error:
        raise IterationError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return PackedIteration(iteration=iteration, place=own, files=files)


def _list_foreign(iteration: Iteration) -> tuple[Path, list[Path]]:
    """Return the folder that a model file imports from, and the files of it that it needs."""
    source = find_source(iteration.path)
    base, own = source.folders[-1], iteration.path.resolve()
    inner = [folder for folder in own.parents if folder.is_relative_to(base) and folder != base]
    packages = [folder / "__init__.py" for folder in inner]
    beside = list_local_modules(source).values()
    return base, [own, *beside, *(path for path in packages if path.is_file())]


def unpack_iteration(packed: PackedIteration, folder: Path) -> Iteration:
    """Write an iteration's files below a folder and return it as it is there."""
    base = folder / packed.iteration.name if packed.files else MODELS
    for place, content in packed.files.items():
        path = base / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return replace(packed.iteration, path=base / packed.place)


def pack_dataset(dataset: Dataset) -> PackedDataset:
    """Return a dataset as arrays."""
    tensors = (
        dataset.training_images,
        dataset.training_labels,
        dataset.validation_images,
        dataset.validation_labels,
    )
    return PackedDataset(
        name=dataset.name,
        digest=dataset.digest,
        classes=dataset.classes,
        arrays=tuple(tensor.contiguous().numpy() for tensor in tensors),
    )


def unpack_dataset(packed: PackedDataset) -> Dataset:
    """Return the dataset, on the memory of the arrays.

    Raises:
        DataError: it is not what was sent.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of memory that cannot be written: nobody does
        tensors = [torch.from_numpy(array) for array in packed.arrays]
    dataset = make_dataset(packed.name, *tensors, classes=packed.classes)
    if dataset.digest != packed.digest:
        raise DataError(f"{packed.name}: the images that arrived are not those that were sent")
    return dataset


@cache
def digest_code() -> str:
    """Return the SHA-256 of the sources of bench and models that this process imports."""
    digest = hashlib.sha256()
    for folder in (Path(bench.__file__).parent, MODELS):
        for path in _list_code(folder):
            digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_code(expected: str) -> None:
    """Make sure that this process imports the code that was sent.

    Raises:
        ClusterError: it imports other code.
    """
    if digest_code() != expected:
        raise ClusterError(f"imports other code of bench or models ({Path(bench.__file__).parent})")


def _list_code(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in CODE and path.is_file())
