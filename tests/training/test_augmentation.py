"""Batched augmentation against torchvision's own transform, image by image."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.augmentation import AffineDraw, apply_affine, draw_affine
from bench.vision import functional
from models.recipe import Affine


def make_images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(7))


def transform_one_by_one(
    images: torch.Tensor, draw: AffineDraw, interpolation: str
) -> torch.Tensor:
    """Call torchvision's functional transform on each image with its own parameters."""
    mode = functional.InterpolationMode(interpolation)
    transformed = [
        functional.affine(
            image,
            angle=math.degrees(float(draw.angle[i])),
            translate=[int(draw.shift[i, 0]), int(draw.shift[i, 1])],
            scale=float(draw.scale[i]),
            shear=[math.degrees(float(draw.shear[i])), 0.0],
            interpolation=mode,
        )
        for i, image in enumerate(images)
    ]
    return torch.stack(transformed)


@settings(deadline=None, max_examples=25)
@given(
    degrees=st.floats(0, 180),
    translate=st.floats(0, 0.3),
    low=st.floats(0.5, 1.0),
    high=st.floats(1.0, 1.5),
    shear=st.floats(0, 40),
    seed=st.integers(0, 2**31),
)
def test_bilinear_batches_equal_torchvision_image_by_image(
    degrees: float, translate: float, low: float, high: float, shear: float, seed: int
) -> None:
    """Every pixel of every image is the one that torchvision.transforms.functional gives."""
    affine = Affine(degrees=degrees, translate=translate, scale=(low, high), shear=shear)
    generator = torch.Generator().manual_seed(seed)
    images = make_images(8)
    draw = draw_affine(affine, count=8, side=28, generator=generator)
    expected = transform_one_by_one(images, draw, "bilinear")
    found = apply_affine(images, draw, interpolation="bilinear")
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_nearest_batches_equal_torchvision_but_for_ties() -> None:
    """Nearest-neighbour picks torchvision's pixel, save where two are equally near."""
    images = make_images(64)
    draw = draw_affine(
        Affine(degrees=30.0, translate=0.1, scale=(0.9, 1.1), shear=10.0),
        count=64,
        side=28,
        generator=torch.Generator().manual_seed(1),
    )
    found = apply_affine(images, draw, interpolation="nearest")
    expected = transform_one_by_one(images, draw, "nearest")
    assert (found != expected).float().mean() < 1e-3


def test_no_transform_leaves_every_pixel() -> None:
    """With all ranges at zero the images come back unchanged."""
    images = make_images(16)
    draw = draw_affine(Affine(), count=16, side=28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        apply_affine(images, draw, interpolation="bilinear"), images, atol=1e-5, rtol=0
    )


def test_parameters_fill_their_ranges_evenly() -> None:
    """10,000 draws stay inside the recipe's ranges, reach their ends and centre on the middle."""
    affine = Affine(degrees=10.0, translate=0.1, scale=(0.8, 1.4), shear=5.0)
    draw = draw_affine(affine, count=10_000, side=28, generator=torch.Generator().manual_seed(3))
    degrees = torch.rad2deg(draw.angle)
    assert degrees.abs().max() <= 10.0
    assert degrees.min() < -9.9
    assert degrees.max() > 9.9
    assert abs(float(degrees.mean())) < 0.2
    assert torch.equal(draw.shift, draw.shift.round())
    assert draw.shift.abs().max() == 3  # 10 % of 28 pixels, rounded
    assert 0.8 <= draw.scale.min() < 0.81
    assert 1.39 < draw.scale.max() <= 1.4
    assert torch.rad2deg(draw.shear).abs().max() <= 5.0


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_each_image_gets_its_own_draw(interpolation: str) -> None:
    """Copies of one image come back different, but for two angles that are nearly the same."""
    images = make_images(1).repeat(32, 1, 1, 1)
    draw = draw_affine(
        Affine(degrees=20.0), count=32, side=28, generator=torch.Generator().manual_seed(5)
    )
    transformed = apply_affine(images, draw, interpolation=interpolation)
    assert len({tuple(image.flatten().tolist()) for image in transformed}) >= 30
