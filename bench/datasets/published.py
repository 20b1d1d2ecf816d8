"""MNIST and those made like it, read by torchvision and held against its checksums.

A folder of them may be read-only. It holds the original `.gz` files; of MNIST the extracted ones do
as well, since the digest of its tensors is known.
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
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torch import Tensor

from bench.challenges import DATASETS, MNIST_DIGEST
from bench.datasets.dataset import Dataset, make_dataset
from bench.errors import DataError, MnistMissingError
from bench.vision import datasets as vision_datasets

DOWNLOAD_TIMEOUT_SECONDS = 15
EXTRACTED_BYTES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}
"""A byte for a pixel or a label, behind a header of 16 or 8: a larger file is not read."""

READERS: dict[str, Any] = {
    "mnist": vision_datasets.MNIST,
    "fashion-mnist": vision_datasets.FashionMNIST,
    "kmnist": vision_datasets.KMNIST,
    "qmnist": vision_datasets.QMNIST,
}
"""torchvision's reader of each dataset; QMNIST's test set is the whole one, of 60,000 images."""


def find_mnist(data: Path | None) -> Path:
    """Return the folder that holds MNIST; see `find_published`."""
    return find_published("mnist", data)


def load_mnist(folder: Path) -> Dataset:
    """Read MNIST; see `load_published`."""
    return load_published("mnist", folder)


def find_published(name: str, data: Path | None) -> Path:
    """Return the folder that holds a dataset: `data`, else `BENCH_DATA`, else `./data`.

    Raises:
        DataError: the folder that was named has no such dataset in it, or nobody named a folder,
            `./data` has none, and downloading it failed; of MNIST that is a `MnistMissingError`.
    """
    named = data or (Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else None)
    folder = named or Path("data")
    if _stored_files(name, folder):
        return folder
    if named is not None:
        kinds = "*-ubyte.gz, or extracted" if name == "mnist" else "the .gz archives themselves"
        raise DataError(
            f"{named}: no {_title(name)} there; expected the four original files in "
            f"{named / _raw(name)} ({kinds}), a torchvision root"
        )
    _download(name, folder)
    return folder


def load_published(name: str, folder: Path) -> Dataset:
    """Read a dataset with torchvision's reader and checksums; the folder is not written to.

    Raises:
        DataError: a file is missing, truncated or altered.
    """
    place, title = folder / _raw(name), _title(name)
    files = _stored_files(name, folder)
    if not files:
        raise DataError(f"{folder}: no {title} there; expected its four files in {place}")
    _check_files(name, files)
    try:
        tensors = _read_files(name, files)
    except (RuntimeError, AssertionError, LookupError, ValueError, OSError, EOFError) as error:
        raise DataError(f"{place}: {title} cannot be read ({error}); replace its files") from error
    dataset = make_dataset(name, *tensors, folder=folder, classes=DATASETS[name].classes)
    if name == "mnist" and dataset.digest != MNIST_DIGEST:
        raise DataError(
            f"{place}: these files are not MNIST (SHA-256 {dataset.digest[:12]}, expected "
            f"{MNIST_DIGEST[:12]}); one was altered, replace them by the originals"
        )
    return dataset


def _title(name: str) -> str:
    return DATASETS[name].title


def _raw(name: str) -> Path:
    """Return where torchvision keeps the files of a dataset below its root."""
    return Path(READERS[name].__name__, "raw")


def _checksums(name: str) -> dict[str, str]:
    """Return the MD5 of every archive by its name, as torchvision knows them."""
    resources = READERS[name].resources
    if isinstance(resources, dict):  # of QMNIST, by part, with whole addresses
        resources = [*resources["train"], *resources["test"]]
    return {address.rpartition("/")[2]: md5 for address, md5 in resources}


def _read_files(name: str, files: list[Path]) -> tuple[Tensor, ...]:
    """Read copies of the files with torchvision's reader, since it writes beside what it reads."""
    with tempfile.TemporaryDirectory(prefix="bench-images-") as scratch:
        raw = Path(scratch) / _raw(name)
        raw.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, raw / file.name)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            parts = [READERS[name](scratch, train=t, download=True) for t in (True, False)]
        return tuple(t for part in parts for t in (part.data, _first_column(part.targets)))


def _first_column(targets: Tensor) -> Tensor:
    """Return the classes alone: QMNIST has seven more columns on who wrote a digit."""
    return targets if targets.dim() == 1 else targets[:, 0]


def _stored_files(name: str, folder: Path) -> list[Path]:
    archives = [folder / _raw(name) / file for file in _checksums(name)]
    extracted = [file.with_suffix("") for file in archives] if name == "mnist" else []
    try:
        for files in (archives, extracted):
            if files and all(file.is_file() for file in files):
                return files
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror}); correct its permissions, or name "
            "another folder with --data"
        ) from error
    return []


def _check_files(name: str, files: list[Path]) -> None:
    """Hold archives against torchvision's checksums; no extracted file may be too large."""
    checksums = _checksums(name)
    for file in files:
        try:
            if file.name in checksums:
                _check_archive(file, checksums[file.name])
            else:  # the digest of the decoded tensors is the check
                _check_size(file)
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


def _download(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-images-") as scratch:
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT_SECONDS), redirect_stdout(io.StringIO()):
                for train in (True, False):
                    READERS[name](scratch, train=train, download=True)
        except (RuntimeError, URLError, OSError) as error:
            kind = MnistMissingError if name == "mnist" else DataError
            raise kind(
                f"{folder / _raw(name)}: no {_title(name)} there, and it could not be downloaded; "
                "put its four original files there, or name their folder with --data or BENCH_DATA"
            ) from error
        try:
            part = READERS[name].__name__
            shutil.copytree(Path(scratch) / part, folder / part, dirs_exist_ok=True)
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
