"""Datasets of one's own: files in MNIST's format, and folders of pictures."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from challenges.samples import (
    CLASSES,
    IDX_FILES,
    draw_images,
    encode_idx,
    write_idx,
    write_pictures,
)
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from bench.challenges import DATASETS, MNIST
from bench.datasets import find_images, load_dataset, published, split_for_tuning
from bench.errors import DataError
from bench.idx import spread_classes
from bench.records import Challenge
from bench.vision import datasets as vision_datasets

IDX = replace(MNIST, name="mine", dataset="idx", target=Fraction(9, 10), classes=CLASSES)
SHAPES = replace(
    MNIST, name="shapes", dataset="folder", channels=3, side=16, classes=("circle", "square")
)


@pytest.mark.parametrize("packed", [True, False])
def test_files_like_mnists_are_read_as_they_are(tmp_path: Path, packed: bool):
    """Packed or not, the validation images are those that were written, in their order."""
    dataset = load_dataset(IDX, write_idx(tmp_path, packed=packed))
    images, labels = draw_images(100, seed=1)
    assert dataset.shape == (1, 28, 28)
    assert dataset.classes == CLASSES
    assert np.array_equal(dataset.validation_images.numpy(), images)
    assert np.array_equal(dataset.validation_labels.numpy(), labels)
    assert dataset.training_images.shape == (400, 28, 28)


def test_another_order_of_files_is_the_same_dataset(tmp_path: Path):
    """Packed and extracted files have one digest: their evidence belongs together."""
    packed = load_dataset(IDX, write_idx(tmp_path / "a"))
    assert load_dataset(IDX, write_idx(tmp_path / "b", packed=False)).digest == packed.digest


def damage(content: bytes, how: str) -> bytes:
    return {
        "short": content[:-1],
        "long": content + b"\0",
        "header": content[:7],
        "empty": b"",
        "magic": b"\x89PNG" + content[4:],
        "huge": content[:4] + struct.pack(">I", 2**32 - 1) + content[8:],
        "none": content[:4] + struct.pack(">I", 0) + content[8:],
        "side": content[:8] + struct.pack(">2I", 14, 56) + content[16:],
    }[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("short", "not as long as its header says"),
        ("long", "not as long as its header says"),
        ("header", "ends within its header"),
        ("empty", "not a file of unsigned bytes in 3 dimensions"),
        ("magic", r"it starts with 89504e47, expected 00000803"),
        ("huge", "images are taken"),
        ("none", "from 1 to 60,000 images are taken"),
        ("side", "images of 14 x 56 pixels, and the challenge's side is 28"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, how: str, message: str):
    """Nothing is read beyond what the header says, and that is bounded."""
    file = write_idx(tmp_path, packed=False) / "t10k-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes(), how))
    with pytest.raises(DataError, match=rf"t10k-images-idx3-ubyte: .*{message}"):
        load_dataset(IDX, tmp_path)


def test_a_damaged_archive_is_named(tmp_path: Path):
    """A gzip file that ends early, and one that is none."""
    file = write_idx(tmp_path) / "train-labels-idx1-ubyte.gz"
    for content in (file.read_bytes()[:-9], b"no archive"):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: cannot be read"):
            load_dataset(IDX, tmp_path)


def test_labels_are_classes_of_as_many_images(tmp_path: Path):
    """A label beyond the classes, and fewer labels than images."""
    write_idx(tmp_path, packed=False)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    with pytest.raises(DataError, match="a label 9, and the challenge names 3 classes"):
        load_dataset(replace(IDX, classes=("a", "b", "c")), tmp_path)
    labels.write_bytes(encode_idx(np.zeros(99)))
    with pytest.raises(DataError, match="99 labels for 100 images"):
        load_dataset(IDX, tmp_path)


def test_a_missing_file_is_told_with_what_is_expected(tmp_path: Path):
    """And where it was looked for."""
    (write_idx(tmp_path) / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: not there, nor as \.gz"):
        load_dataset(IDX, tmp_path)


@pytest.mark.parametrize("parts", [("training", "validation"), ("train", "val"), ("train", "test")])
def test_pictures_are_resized_and_labelled_by_their_folders(tmp_path: Path, parts: tuple[str, str]):
    """As Pillow does it to each picture by itself: RGB, bilinear, to a square."""
    dataset = load_dataset(SHAPES, write_pictures(tmp_path, parts=parts))
    assert dataset.shape == (3, 16, 16)
    assert dataset.training_images.shape == (80, 3, 16, 16)
    assert dataset.validation_labels.tolist() == [0] * 12 + [1] * 12
    first = Image.open(tmp_path / parts[1] / "circle" / "000.png").convert("RGB")
    expected = np.asarray(first.resize((16, 16), Image.Resampling.BILINEAR))
    found = dataset.validation_images[0].permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected)


def test_grey_pictures_have_one_channel(tmp_path: Path):
    """The same folder, asked for with one channel."""
    dataset = load_dataset(replace(SHAPES, channels=1), write_pictures(tmp_path))
    assert dataset.shape == (1, 16, 16)
    assert dataset.validation_images.shape == (24, 16, 16)


def test_a_folder_is_the_same_dataset_every_time(tmp_path: Path):
    """Its digest does not depend on the order in which files were written."""
    folder = write_pictures(tmp_path / "a")
    digest = load_dataset(SHAPES, folder).digest
    for file in sorted((folder / "training" / "square").iterdir(), reverse=True):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    assert load_dataset(SHAPES, folder).digest == digest


def test_tuning_has_every_class_on_both_sides(tmp_path: Path):
    """Pictures lie in the order of their classes; the last sixth of them would be of one alone."""
    split = split_for_tuning(load_dataset(SHAPES, write_pictures(tmp_path, counts=(36, 3))))
    assert torch.bincount(split.training_labels).tolist() == [30, 30]
    assert torch.bincount(split.validation_labels).tolist() == [6, 6]
    assert split.shape == (3, 16, 16)


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=60), part=st.fractions(0, 1))
def test_every_part_of_the_order_has_its_share_of_every_class(labels: list[int], part: Fraction):
    """Of the first images as many are of a class as its share of all, to one image."""
    order = spread_classes(np.array(labels, dtype=np.uint8))
    assert sorted(order) == list(range(len(labels)))
    for label in set(labels):
        places = [place for place, member in enumerate(order) if labels[member] == label]
        cut = sum((2 * k + 1) / (2 * len(places)) < part for k in range(len(places)))
        assert abs(cut - float(part) * len(places)) <= 1


def add_a_class(folder: Path) -> None:
    (folder / "validation" / "triangle").mkdir()
    shutil.copy(first_picture(folder), folder / "validation" / "triangle")


def empty_a_class(folder: Path) -> None:
    for file in (folder / "training" / "circle").iterdir():
        file.unlink()


def paint_all_alike(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        Image.new("RGB", (9, 9), (7, 7, 7)).save(file)


def first_picture(folder: Path) -> Path:
    return folder / "validation" / "square" / "000.png"


SPOILS: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: first_picture(folder).write_text("no picture"),
    "cut": lambda folder: first_picture(folder).write_bytes(
        first_picture(folder).read_bytes()[:60]
    ),
    "bomb": lambda folder: Image.new("1", (10_000, 9_000)).save(first_picture(folder)),
    "deep": lambda folder: Image.fromarray(np.zeros((9, 9), np.uint16)).save(first_picture(folder)),
    "class": add_a_class,
    "empty": empty_a_class,
    "part": lambda folder: (folder / "validation").rename(folder / "other"),
    "alike": paint_all_alike,
}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("text", r"000\.png: not a picture that can be read"),
        ("cut", r"000\.png: not a picture that can be read"),
        ("bomb", r"000\.png: .*pixels"),
        ("deep", r"000\.png: more than 8 bits a pixel"),
        ("class", r"its folders are not the challenge's classes \(on one side alone: triangle\)"),
        ("empty", r"training: Found no valid file for the classes circle"),
        ("part", r"validation: no such folder \(nor val, test\)"),
        ("alike", r"the pixels of all training images are alike"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, how: str, message: str):
    """The file or the folder, and what to do; a bomb is not unpacked."""
    folder = write_pictures(tmp_path)
    SPOILS[how](folder)
    with pytest.raises(DataError, match=message):
        load_dataset(SHAPES, folder)


def test_a_folder_of_too_many_bytes_is_told_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every worker holds the images."""
    monkeypatch.setattr("bench.datasets.own.MOST_DATASET_BYTES", 100_000)
    folder = write_pictures(tmp_path)
    load_dataset(replace(SHAPES, side=8), folder)
    with pytest.raises(DataError, match="write a smaller side"):
        load_dataset(replace(SHAPES, side=64), folder)


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "qmnist"])
def test_published_datasets_are_read_by_torchvision(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Archives of this test's images, whose MD5 stand for the published ones, are taken."""
    kind = published.READERS[name]
    folder = tmp_path / kind.__name__ / "raw"
    folder.mkdir(parents=True)
    if name == "qmnist":
        write_qmnist(folder, monkeypatch)
    else:
        write_idx(folder)
        sums = [(file.name, md5_of(file)) for file in sorted(folder.iterdir(), reverse=True)]
        monkeypatch.setattr(kind, "resources", sums)
    before = sorted(tmp_path.rglob("*"))
    challenge = replace(MNIST, dataset=name, classes=DATASETS[name].classes)

    dataset = load_dataset(challenge, find_images(challenge, tmp_path, base=Path()))

    assert dataset.shape == (1, 28, 28)
    assert (len(dataset.training_images), len(dataset.validation_images)) == (400, 100)
    assert np.array_equal(dataset.validation_labels.numpy(), draw_images(100, seed=1)[1])
    assert dataset.classes == challenge.classes
    assert sorted(tmp_path.rglob("*")) == before


def md5_of(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def write_qmnist(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write images, and labels of eight integers each, of which the first is the class."""
    sums: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for seed, (part, count) in enumerate({"train": 400, "test": 100}.items()):
        images, labels = draw_images(count, seed=seed)
        table = np.zeros((count, 8), dtype=">i4")
        table[:, 0] = labels
        header = struct.pack(">HBBII", 0, 12, 2, count, 8)
        for kind, content in (
            ("images-idx3-ubyte", encode_idx(images)),
            ("labels-idx2-int", header + table.tobytes()),
        ):
            file = folder / f"qmnist-{part}-{kind}.gz"
            file.write_bytes(gzip.compress(content, mtime=0))
            sums[part].append((f"https://example.org/{file.name}", md5_of(file)))
    monkeypatch.setattr(vision_datasets.QMNIST, "resources", sums)


def test_other_files_are_not_fashion_mnist(tmp_path: Path):
    """Torchvision's checksums decide: images of one's own are `idx`."""
    folder = write_idx(tmp_path / "FashionMNIST" / "raw")
    challenge = replace(MNIST, dataset="fashion-mnist", classes=CLASSES)
    with pytest.raises(DataError, match=r"truncated or altered.*replace it by the original"):
        load_dataset(challenge, tmp_path)
    for file in folder.iterdir():
        file.rename(file.with_suffix(""))
    with pytest.raises(DataError, match=r"no FashionMNIST there.*the \.gz archives themselves"):
        find_images(challenge, tmp_path, base=Path())


def test_own_images_are_looked_for_beside_their_file(tmp_path: Path):
    """--data comes before the challenge's own folder, which its file sees from where it is."""
    challenge: Challenge = replace(IDX, folder="images/mine")
    assert find_images(challenge, None, base=tmp_path) == tmp_path / "images" / "mine"
    assert find_images(challenge, tmp_path / "x", base=tmp_path) == tmp_path / "x"


def test_all_files_have_names_of_their_own():
    """The names that docs/challenges.md gives are those that are read."""
    from bench.idx import FILES

    assert [f"{name}-ubyte" for name in FILES] == [n for pair in IDX_FILES.items() for n in pair]
