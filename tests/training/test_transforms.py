"""Each batched transform against torchvision's, image by image, with the same parameters."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench import transforms as batched
from bench.colours import order_and_factors
from bench.transforms import apply_transform, count_draws
from bench.vision import functional
from models.recipe import (
    CenterCrop,
    ColorJitter,
    GaussianBlur,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)
from models.recipe.transforms import Transform

COUNT = 12
MODE = functional.InterpolationMode
Reference = Callable[[Tensor, Tensor], Tensor]
"""torchvision's result for one image (C, S, S) and its draws (K)."""


def make_images(*, side: int = 28, channels: int = 1) -> Tensor:
    """Return smooth images, so that a sampling point that moves by rounding moves no value."""
    places = torch.linspace(0, 3, side)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    phases = torch.rand(COUNT, channels, 2, generator=torch.Generator().manual_seed(7)) * 6
    waves = torch.sin(rows + phases[..., :1, None]) * torch.cos(columns + phases[..., 1:, None])
    return 0.5 + 0.5 * waves


def draw(transform: Transform, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(COUNT, count_draws(transform), generator=generator)


def compare(
    transform: Transform, reference: Reference, seed: int, *, images: Tensor, tolerance: float
) -> None:
    uniform = draw(transform, seed)
    found = apply_transform(transform, images, uniform, white=1.0)
    expected = torch.stack([reference(*pair) for pair in zip(images, uniform, strict=True)])
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def between(uniform: Tensor, low: float, high: float) -> float:
    return low + (high - low) * float(uniform)


@settings(deadline=None, max_examples=20)
@given(
    low=st.floats(-180, 180),
    span=st.floats(0, 90),
    fill=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 2**31),
)
def test_rotation(low: float, span: float, fill: float, seed: int) -> None:
    """Counter-clockwise by an angle of the range, with torchvision's fill at the border."""
    transform = RandomRotation(degrees=(low, low + span), interpolation="bilinear", fill=fill)

    def reference(image: Tensor, uniform: Tensor) -> Tensor:
        angle = between(uniform[0], low, low + span)
        return functional.rotate(image, angle, MODE.BILINEAR, fill=[fill])

    compare(transform, reference, seed, images=make_images(), tolerance=3e-4)


def test_nearest_rotation_fills_with_a_value_but_for_ties() -> None:
    transform = RandomRotation(degrees=30, fill=1.0)
    images, uniform = make_images(), draw(transform, 3)
    found = apply_transform(transform, images, uniform, white=1.0)
    expected = torch.stack(
        [
            functional.rotate(image, between(u, -30, 30), MODE.NEAREST, fill=[1.0])
            for image, u in zip(images, uniform[:, 0], strict=True)
        ]
    )
    assert (found != expected).float().mean() < 2e-3


@settings(deadline=None, max_examples=20)
@given(
    degrees=st.floats(0, 90),
    translate=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)),
    scale=st.tuples(st.floats(0.5, 1), st.floats(1, 1.5)),
    shear=st.tuples(st.floats(-30, 0), st.floats(0, 30), st.floats(-30, 0), st.floats(0, 30)),
    fill=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 2**31),
)
def test_affine(
    degrees: float,
    translate: tuple[float, float],
    scale: tuple[float, float],
    shear: tuple[float, float, float, float],
    fill: float,
    seed: int,
) -> None:
    """Rotation, shift, scale and shear along both axes at once."""
    transform = RandomAffine(
        degrees=degrees,
        translate=translate,
        scale=scale,
        shear=shear,
        interpolation="bilinear",
        fill=fill,
    )

    def reference(image: Tensor, u: Tensor) -> Tensor:
        shift = torch.round(torch.tensor(translate) * 28 * (2 * u[1:3] - 1))
        return functional.affine(
            image,
            between(u[0], -degrees, degrees),
            [int(shift[0]), int(shift[1])],
            between(u[3], *scale),
            [between(u[4], *shear[:2]), between(u[5], *shear[2:])],
            MODE.BILINEAR,
            fill=[fill],
        )

    compare(transform, reference, seed, images=make_images(), tolerance=1e-3)


@pytest.mark.parametrize("fill", [0.0, 0.4])
@pytest.mark.parametrize("distortion", [0.2, 0.6])
def test_perspective(distortion: float, fill: float) -> None:
    """The same corners move the image as torchvision's solution of the eight equations does."""
    transform = RandomPerspective(distortion_scale=distortion, p=0.7, fill=fill)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        if u[0] >= 0.7:
            return image
        corners = batched.move_corners(u[None, 1:], side=28, distortion=distortion)[0]
        start = [[0, 0], [27, 0], [27, 27], [0, 27]]
        ends = corners.int().tolist()
        return functional.perspective(image, start, ends, MODE.BILINEAR, fill=[fill])

    compare(transform, reference, 5, images=make_images(), tolerance=1e-3)


@pytest.mark.parametrize("side", [8, 27, 28])
@pytest.mark.parametrize("size", [6, 22, 28, 31])
def test_centre_crop_and_resize(side: int, size: int) -> None:
    images = make_images(side=side)
    compare(
        CenterCrop(size=size),
        lambda image, _: functional.center_crop(image, [size, size]),
        0,
        images=images,
        tolerance=0,
    )
    for interpolation in ("nearest", "bilinear"):
        compare(
            Resize(size=size, interpolation=interpolation),  # type: ignore[arg-type]
            lambda image, _: functional.resize(image, [size, size], MODE(interpolation)),  # noqa: B023
            0,
            images=images,
            tolerance=1e-6,
        )


def test_random_crop() -> None:
    transform = RandomCrop(size=24, padding=3, fill=0.3)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        padded = functional.pad(image, 3, fill=0.3)
        top, left = (u * (34 - 24 + 1)).int().tolist()
        return functional.crop(padded, top, left, 24, 24)

    compare(transform, reference, 1, images=make_images(channels=3), tolerance=0)


@pytest.mark.parametrize("size", [14, 28, 40])
@pytest.mark.parametrize("ratio", [(0.75, 4 / 3), (3.0, 9.0)])
def test_random_resized_crop(size: int, ratio: tuple[float, float]) -> None:
    """Windows of each shape, and the fallback for shapes that do not fit."""
    transform = RandomResizedCrop(size=size, scale=(0.3, 1.0), ratio=ratio)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        window = batched.draw_window(transform, u[None], side=28)
        top, left, height, width = (int(each) for each in window)
        return functional.resized_crop(
            image, top, left, height, width, [size, size], antialias=True
        )

    compare(transform, reference, 2, images=make_images(channels=3), tolerance=1e-5)


@pytest.mark.parametrize(
    ("transform", "flipped"),
    [
        (RandomHorizontalFlip(p=0.4), functional.hflip),
        (RandomVerticalFlip(p=0.4), functional.vflip),
    ],
)
def test_flips(transform: Transform, flipped: Callable[[Tensor], Tensor]) -> None:
    compare(
        transform,
        lambda image, u: flipped(image) if u[0] < 0.4 else image,
        1,
        images=make_images(),
        tolerance=0,
    )


@settings(deadline=None, max_examples=20)
@given(
    brightness=st.floats(0, 0.9),
    contrast=st.floats(0, 0.9),
    saturation=st.floats(0, 0.9),
    hue=st.floats(0, 0.5),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**31),
)
def test_colour_jitter(
    brightness: float, contrast: float, saturation: float, hue: float, channels: int, seed: int
) -> None:
    """Every change with its factor, in the image's own order."""
    transform = ColorJitter(
        brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
    )
    changes = [
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    ]

    def reference(image: Tensor, u: Tensor) -> Tensor:
        order, factors = order_and_factors(transform, u[None])
        for number in order[0].tolist():
            factor = float(factors[0, number])
            if number == 3:
                factor = min(max(factor, -0.5), 0.5)
            image = changes[number](image, factor)
        return image

    compare(transform, reference, seed, images=make_images(channels=channels), tolerance=2e-5)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_blur(kernel_size: int) -> None:
    transform = GaussianBlur(kernel_size=kernel_size)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        sigma = between(u[0], 0.1, 2.0)
        return functional.gaussian_blur(image, [kernel_size] * 2, [sigma, sigma])

    compare(transform, reference, 3, images=make_images(channels=3), tolerance=1e-5)


def test_erasing() -> None:
    transform = RandomErasing(p=0.6, value=0.7)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        if u[0] >= 0.6:
            return image
        rectangle = batched.draw_rectangle(transform, u[None, 1:], side=28)
        return functional.erase(image, *(int(each) for each in rectangle), torch.tensor(0.7))

    compare(transform, reference, 3, images=make_images(channels=3), tolerance=0)


def test_a_group_is_applied_whole_or_not_at_all() -> None:
    transform = RandomApply(transforms=(CenterCrop(size=22), Resize(size=28)), p=0.3)

    def reference(image: Tensor, u: Tensor) -> Tensor:
        if u[0] >= 0.3:
            return image
        return functional.resize(functional.center_crop(image, [22, 22]), [28, 28])

    compare(transform, reference, 3, images=make_images(), tolerance=1e-6)


def test_a_tensor_of_one_value_keeps_it_where_a_perspective_has_no_inverse() -> None:
    """Corners that meet in one point give no map: the image becomes the fill, not NaN."""
    corners = torch.full((1, 4, 2), 14.0)
    assert batched.perspective_grid(corners, side=28).isfinite().all()


def test_fills_are_counted_from_black_to_white() -> None:
    """A fill of 51 in a picture is 0.2 of white."""
    turned = apply_transform(
        RandomRotation(degrees=(45, 45), fill=51),
        torch.ones(1, 1, 28, 28),
        torch.zeros(1, 1),
        white=255,
    )
    assert turned[0, 0, 0, 0] == pytest.approx(0.2)
    assert math.isclose(float(turned[0, 0, 14, 14]), 1.0)
