"""Validation images as PNG, against Pillow's decoder and the readers that training uses."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tracemalloc
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench import pictures as module
from bench.challenges import DIGITS_DIGEST, MNIST_DIGEST
from bench.datasets import load_embedded_digits
from bench.pictures import Pictures, load_pictures
from bench.vision import datasets as vision_datasets

ROOT = Path(bench.__file__).parent.parent
IMAGES = Path("MNIST", "raw", "t10k-images-idx3-ubyte")
ARCHIVE = IMAGES.with_suffix(".gz")


@pytest.fixture
def gradient() -> Pictures:
    """Return two images in which every pixel is another than its neighbours."""
    return Pictures(pixels=bytes(n * 37 % 256 for n in range(2 * 28 * 28)))


@pytest.fixture(scope="session")
def extracted(mnist_folder: Path) -> bytes:
    """Return the real test images as the extracted file has them."""
    archive = mnist_folder / ARCHIVE
    return (
        gzip.decompress(archive.read_bytes())
        if archive.is_file()
        else (mnist_folder / IMAGES).read_bytes()
    )


def decode(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
        return np.array(image)


def place(folder: Path, file: Path, content: bytes) -> Path:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    return folder


def place_digits(folder: Path, monkeypatch: pytest.MonkeyPatch, table: bytes) -> None:
    """Let a folder pass for scikit-learn's, with this as its packed table."""
    place(folder, Path("datasets", "data", "digits.csv.gz"), table)
    spec = ModuleSpec("sklearn", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(module, "find_spec", lambda name: spec)


def packed_digits() -> bytes:
    import sklearn

    return (Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz").read_bytes()


def test_a_picture_is_dark_ink_on_white(gradient: Pictures):
    """Pillow decodes every pixel as 255 minus what the dataset has."""
    for index in (0, 1):
        pixels = gradient.pixels[index * 784 : (index + 1) * 784]
        expected = 255 - np.frombuffer(pixels, np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(decode(gradient.encode_png(index)), expected)


def test_a_picture_is_stored_and_not_compressed(gradient: Pictures):
    """By RFC 1950 and 1951: a final block of 28 lines, whose length and bytes stand as they are."""
    png = gradient.encode_png(1)
    start = png.index(b"IDAT") + 4
    lines = b"".join(b"\0" + row.tobytes() for row in decode(png))
    assert png[start:][:7] == b"\x78\x01\x01" + bytes([0x2C, 0x03, 0xD3, 0xFC])  # 28 * 29 = 0x032C
    assert png[start + 7 :].startswith(lines)
    assert len(png) == 8 + (12 + 13) + (12 + 7 + 28 * 29 + 4) + 12


def test_pillow_finds_every_checksum_right(gradient: Pictures):
    """`verify` reads the checksum of each chunk, and refuses a picture with a byte changed."""
    png = gradient.encode_png(0)
    Image.open(io.BytesIO(png)).verify()
    broken = png[:100] + bytes([png[100] ^ 1]) + png[101:]
    with pytest.raises(SyntaxError):
        Image.open(io.BytesIO(broken)).verify()


@pytest.mark.parametrize("index", [-1, 2, 10_000])
def test_there_is_no_picture_of_an_image_that_there_is_not(gradient: Pictures, index: int):
    """A negative index does not count from the end."""
    assert len(gradient) == 2
    with pytest.raises(IndexError, match=f"image {index} of 2"):
        gradient.encode_png(index)


def test_mnist_is_what_torchvision_reads(mnist_folder: Path, extracted: bytes, tmp_path: Path):
    """All 10,000 images are those of torchvision's reader, in its order."""
    found = load_pictures(MNIST_DIGEST, mnist_folder)
    assert found is not None
    copy = place(tmp_path, IMAGES, extracted) / IMAGES
    expected = vision_datasets.mnist.read_image_file(str(copy)).numpy()
    assert found.pixels == expected.tobytes()
    assert len(found) == 10_000
    for index in (0, 947, 9_999):
        np.testing.assert_array_equal(255 - decode(found.encode_png(index)), expected[index])


def test_mnist_may_be_packed_or_extracted(mnist_folder: Path, extracted: bytes, tmp_path: Path):
    """Both give the same images, and a whole extracted file makes up for a torn archive."""
    expected = load_pictures(MNIST_DIGEST, mnist_folder)
    place(tmp_path, IMAGES, extracted)
    assert load_pictures(MNIST_DIGEST, tmp_path) == expected
    place(tmp_path, ARCHIVE, b"torn")
    assert load_pictures(MNIST_DIGEST, tmp_path) == expected


def test_mnist_is_looked_for_where_training_looks(
    extracted: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The folder named, else BENCH_DATA, else ./data; a folder that is named is the only one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    assert load_pictures(MNIST_DIGEST, None) is None
    place(tmp_path / "data", IMAGES, extracted)
    assert load_pictures(MNIST_DIGEST, None) is not None
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "elsewhere"))
    assert load_pictures(MNIST_DIGEST, None) is None
    assert load_pictures(MNIST_DIGEST, tmp_path / "data") is not None


def test_altered_images_are_none(extracted: bytes, tmp_path: Path):
    """One pixel changed, one byte missing, one too many, or packed by someone else."""
    middle = len(extracted) // 2
    changed = extracted[:middle] + bytes([extracted[middle] ^ 1]) + extracted[middle + 1 :]
    for content in (changed, extracted[:-1], extracted + b"\0"):
        assert load_pictures(MNIST_DIGEST, place(tmp_path, IMAGES, content)) is None
    (tmp_path / IMAGES).unlink()
    packed = gzip.compress(extracted, 1)
    assert load_pictures(MNIST_DIGEST, place(tmp_path, ARCHIVE, packed)) is None


@pytest.mark.parametrize("file", [IMAGES, ARCHIVE], ids=["extracted", "archive"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not images",
        gzip.compress(b"other images"),
        gzip.compress(b"torn")[:-6],
        bytes(1 << 24),
    ],
    ids=["empty", "foreign", "packed", "torn", "too large"],
)
def test_foreign_files_are_none(file: Path, content: bytes, tmp_path: Path):
    """Whatever lies there, the page goes without pictures."""
    assert load_pictures(MNIST_DIGEST, place(tmp_path, file, content)) is None


def test_what_is_no_file_is_none(tmp_path: Path):
    """Neither a folder nor a pipe is read, which would wait forever."""
    (tmp_path / IMAGES).mkdir(parents=True)
    os.mkfifo(tmp_path / ARCHIVE)
    assert load_pictures(MNIST_DIGEST, tmp_path) is None
    assert load_pictures(MNIST_DIGEST, tmp_path / "missing") is None


def test_a_packed_file_is_not_unpacked_beyond_what_it_should_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An archive that passes for MNIST and unpacks to 64 MB takes up no more than MNIST does."""
    bomb = gzip.compress(bytes(1 << 26))
    digest = hashlib.md5(bomb, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(module, "MNIST_ARCHIVE_MD5", digest)
    place(tmp_path, ARCHIVE, bomb)
    tracemalloc.start()
    found = load_pictures(MNIST_DIGEST, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is None
    assert peak < 1 << 25


def test_digits_are_those_that_training_validates_on():
    """All 359 images are bench.datasets' own, and the digest is the one in the ledger."""
    dataset = load_embedded_digits()
    found = load_pictures(dataset.digest, None)
    assert dataset.digest == DIGITS_DIGEST
    assert found is not None
    assert len(found) == 359
    assert found.pixels == dataset.validation_images.numpy().tobytes()
    np.testing.assert_array_equal(
        255 - decode(found.encode_png(7)), dataset.validation_images[7].numpy()
    )


def test_digits_are_read_from_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same table packed in another way is good, one with a pixel or a line changed is not."""
    table = gzip.decompress(packed_digits())
    lines = table.splitlines(keepends=True)
    first = lines[0].replace(b"0", b"1", 1)
    for altered, is_good in (
        (table, True),
        (b"".join([first, *lines[1:]]), False),
        (b"".join(lines[:-1]), False),
        (b"".join([*lines, lines[0]]), False),
        (b"".join([b"256" + lines[0][1:], *lines[1:]]), False),
        (b"".join([b"nan" + lines[0][1:], *lines[1:]]), False),
        (b"", False),
    ):
        place_digits(tmp_path, monkeypatch, gzip.compress(altered, 1))
        assert (load_pictures(DIGITS_DIGEST, None) is not None) == is_good


@pytest.mark.parametrize("size", [0, 1, 20, 5_000, -1])
def test_a_torn_table_of_digits_is_none(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Cut anywhere, down to the last byte."""
    place_digits(tmp_path, monkeypatch, packed_digits()[:size])
    assert load_pictures(DIGITS_DIGEST, None) is None


def test_without_scikit_learn_there_are_no_pictures_of_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is not installed, or its folder lacks the table."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert load_pictures(DIGITS_DIGEST, None) is None
    place_digits(tmp_path, monkeypatch, b"")
    (tmp_path / "datasets" / "data" / "digits.csv.gz").unlink()
    assert load_pictures(DIGITS_DIGEST, None) is None


@pytest.mark.parametrize("dataset", ["", "mnist", "d" * 64, MNIST_DIGEST.upper()])
def test_other_datasets_have_no_pictures(dataset: str, tmp_path: Path):
    """A digest that is not known is of images that are not known."""
    assert load_pictures(dataset, tmp_path) is None


def test_pictures_import_nothing_that_training_needs():
    """Digits are found without scikit-learn, Pillow or torch being imported."""
    program = f"""
import sys
from bench.pictures import load_pictures
print(len(load_pictures({DIGITS_DIGEST!r}, None).encode_png(0)))
print(*{{"torch", "torchvision", "sklearn", "PIL"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("880\n\n", "")
