"""Pictures of a challenge's own images on the page: the very ones, or none."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from challenges.samples import CLASSES, draw_images, write_idx, write_pictures
from msgspec.structs import replace
from PIL import Image

from bench.challenges import MNIST
from bench.datasets import load_dataset
from bench.pictures import load_pictures, shrink
from bench.session import show_images

IDX = replace(MNIST, name="mine", dataset="idx", target=Fraction(9, 10), classes=CLASSES)
SHAPES = replace(
    MNIST, name="shapes", dataset="folder", channels=3, side=16, classes=("circle", "square")
)


def decode(png: bytes) -> np.ndarray:
    """Return the pixels that Pillow reads from a PNG."""
    return np.asarray(Image.open(io.BytesIO(png)))


def test_files_like_mnists_are_shown_without_torch(tmp_path: Path) -> None:
    """Each validation image, ink dark on white as MNIST's, where the digest is that of the runs."""
    dataset = load_dataset(IDX, write_idx(tmp_path))
    pictures = load_pictures(dataset.digest, tmp_path, IDX)
    assert pictures is not None
    assert len(pictures) == 100
    assert np.array_equal(255 - decode(pictures.encode_png(7)), draw_images(100, seed=1)[0][7])


@pytest.mark.parametrize("change", ["digest", "folder", "none"])
def test_other_images_are_not_shown(tmp_path: Path, change: str) -> None:
    """Of another digest, of a folder without files, and where no folder was named."""
    digest = load_dataset(IDX, write_idx(tmp_path / "a")).digest
    digest = "0" * 64 if change == "digest" else digest
    folder = {"digest": tmp_path / "a", "folder": tmp_path, "none": None}[change]
    named = replace(IDX, folder=str(tmp_path / "a"))
    assert load_pictures(digest, folder, named) is None


def test_a_challenges_own_folder_is_not_followed(tmp_path: Path) -> None:
    """A stranger's pyproject.toml does not choose what a report reads: --data alone does."""
    digest = load_dataset(IDX, write_idx(tmp_path / "a")).digest
    assert load_pictures(digest, None, replace(IDX, folder=str(tmp_path / "a"))) is None


def test_colours_are_shown_as_they_are(tmp_path: Path) -> None:
    """Three channels, not inverted, as the training sees them."""
    dataset = load_dataset(SHAPES, write_pictures(tmp_path))
    pictures = show_images(dataset)[dataset.digest]
    shown = decode(pictures.encode_png(13))
    assert np.array_equal(shown, dataset.validation_images[13].permute(1, 2, 0).numpy())


def test_large_images_are_shown_small() -> None:
    """Every third pixel of 150: a page with forty of them stays small."""
    images = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    pictures = shrink(images, ink=False)
    assert np.array_equal(decode(pictures.encode_png(1)), images[1, ::3, ::3])
