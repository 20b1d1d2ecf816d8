"""Datasets: the documented search order, torchvision's checksums, and every way to be damaged."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
import torch

from bench.challenges import MNIST_DIGEST, MNIST_DIGITS
from bench.datasets import (
    find_mnist,
    load_embedded_digits,
    load_mnist,
    split_for_tuning,
)
from bench.errors import DataError, MnistMissingError

RAW = Path("MNIST", "raw")


@pytest.fixture
def copied(mnist_folder: Path, tmp_path: Path) -> Path:
    """Return a copy of MNIST that a test may damage."""
    (tmp_path / RAW).mkdir(parents=True)
    for file in (mnist_folder / RAW).glob("*-ubyte.gz"):
        shutil.copyfile(file, tmp_path / RAW / file.name)
    return tmp_path


@pytest.fixture
def closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every download to a port of this machine that nobody listens on."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_mnist_is_what_its_authors_published(mnist_folder: Path) -> None:
    """60,000 and 10,000 images; per-class counts of the training set are those LeCun lists.

    Those of the test set are what the rates per digit are taken of.
    """
    dataset = load_mnist(mnist_folder)
    assert dataset.training_images.shape == (60_000, 28, 28)
    assert dataset.validation_images.shape == (10_000, 28, 28)
    counts = torch.bincount(dataset.training_labels.long()).tolist()
    assert counts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    validation_counts = torch.bincount(dataset.validation_labels.long()).tolist()
    assert tuple(validation_counts) == MNIST_DIGITS
    assert (dataset.mean, dataset.deviation) == (0.1307, 0.3081)
    assert dataset.digest == MNIST_DIGEST


def test_a_folder_is_read_without_being_written_to(copied: Path) -> None:
    """Loading leaves the folder's files as they were, with nothing added."""
    before = sorted(copied.rglob("*"))
    load_mnist(copied)
    assert sorted(copied.rglob("*")) == before


def test_extracted_files_are_the_same_dataset(copied: Path) -> None:
    """A folder with extracted files alone gives the digest that the archives give."""
    for file in (copied / RAW).glob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert load_mnist(copied).digest == MNIST_DIGEST


def test_a_truncated_archive_is_named(copied: Path) -> None:
    """The error names the file and what to do."""
    file = copied / RAW / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: truncated.*replace"):
        load_mnist(copied)


def test_an_altered_extracted_file_is_noticed(copied: Path) -> None:
    """One changed pixel in an extracted file, which has no checksum of its own, is an error."""
    for file in (copied / RAW).glob("*.gz"):
        content = bytearray(gzip.decompress(file.read_bytes()))
        if "images" in file.name:
            content[5000] ^= 1
        file.with_suffix("").write_bytes(content)
        file.unlink()
    with pytest.raises(DataError, match="not MNIST"):
        load_mnist(copied)


def test_a_truncated_extracted_file_is_an_error(copied: Path) -> None:
    """An extracted file that ends early cannot be read."""
    for file in (copied / RAW).glob("*.gz"):
        content = gzip.decompress(file.read_bytes())
        file.with_suffix("").write_bytes(content[: len(content) // 2])
        file.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_mnist(copied)


def test_the_named_folder_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--data, else BENCH_DATA, else ./data; a named folder without MNIST is an error."""
    folders = {name: tmp_path / name for name in ("option", "environment", "data")}
    monkeypatch.chdir(tmp_path)
    for folder in folders.values():
        (folder / RAW).mkdir(parents=True)
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3"):
            (folder / RAW / f"{name}-ubyte").touch()
        (folder / RAW / "t10k-labels-idx1-ubyte").touch()
    monkeypatch.setenv("BENCH_DATA", str(folders["environment"]))
    assert find_mnist(folders["option"]) == folders["option"]
    assert find_mnist(None) == folders["environment"]
    monkeypatch.delenv("BENCH_DATA")
    assert find_mnist(None) == Path("data")
    with pytest.raises(DataError, match="no MNIST there; expected the four original files"):
        find_mnist(tmp_path)


@pytest.mark.usefixtures("closed_network")
def test_without_a_network_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed download says what to put where, and creates no folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    with pytest.raises(MnistMissingError, match="could not be downloaded; put its four"):
        find_mnist(None)
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_digits_are_scikit_learns() -> None:
    """1,797 images, every fifth for validation, grey levels 0 to 16 stretched to 0 to 255."""
    digits = load_embedded_digits()
    assert len(digits.training_labels) == 1438
    assert len(digits.validation_labels) == 359
    assert digits.training_images.shape[1:] == (28, 28)
    assert digits.training_images.max() == 255
    assert digits.digest == "0fe79f6fd964eeeea88d62968a6d9d1bf037ca6d70c6417635cdff475d97cfe8"


def test_tuning_sees_the_training_set_alone() -> None:
    """The split's images are the training images in order, and its digest is its own."""
    digits = load_embedded_digits()
    split = split_for_tuning(digits)
    both = torch.cat([split.training_images, split.validation_images])
    assert torch.equal(both, digits.training_images)
    assert len(split.validation_images) == len(both) - len(both) * 5 // 6
    assert split.digest != digits.digest
