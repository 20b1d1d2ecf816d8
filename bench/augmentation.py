"""Augmentation of whole batches, each image with its own draw, on the batch's device.

An `Affine` is equal to `torchvision.transforms.functional.affine` applied image by image (the tests
compare them); what a `Pipeline` is made of is in `bench.transforms`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from bench.transforms import apply_all, count_draws
from models.recipe import Affine, Augmentation, Pipeline

WHITE = 255
"""The value of white in a picture, where a transform stands before `ToTensor`."""


def count_uniform(augmentation: Augmentation | None) -> int:
    """Return how many uniform numbers an image's augmentation takes."""
    if augmentation is None:
        return 0
    if isinstance(augmentation, Affine):
        return 5
    parts = (augmentation.pictures, augmentation.tensors, augmentation.normalised)
    return sum(count_draws(transform) for part in parts for transform in part)


def augment(
    augmentation: Augmentation | None,
    pixels: Tensor,
    uniform: Tensor,
    *,
    normalise: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return pixels (N, C, S, S) in [0, 1] transformed and normalised, channels last.

    `uniform` (N, `count_uniform`) are numbers in [0, 1).
    """
    if isinstance(augmentation, Affine):
        draw = scale_draw(augmentation, uniform, side=pixels.shape[-1])
        pixels = apply_affine(pixels, draw, interpolation=augmentation.interpolation)
    if not isinstance(augmentation, Pipeline):
        return normalise(pixels)
    first = sum(map(count_draws, augmentation.pictures))
    second = first + sum(map(count_draws, augmentation.tensors))
    pixels = apply_all(augmentation.pictures, pixels, uniform[:, :first], white=WHITE)
    pixels = apply_all(augmentation.tensors, pixels, uniform[:, first:second], white=1.0)
    images = apply_all(augmentation.normalised, normalise(pixels), uniform[:, second:], white=1.0)
    return images.contiguous(memory_format=torch.channels_last)


class AffineDraw:
    """One draw per image: `angle`, `shear` (N,) in radians, `shift` (N, 2) in pixels, `scale`."""

    def __init__(self, *, angle: Tensor, shift: Tensor, scale: Tensor, shear: Tensor) -> None:
        self.angle, self.shift, self.scale, self.shear = angle, shift, scale, shear


def draw_affine(affine: Affine, *, count: int, side: int, generator: torch.Generator) -> AffineDraw:
    """Draw the parameters that `torchvision.transforms.RandomAffine.get_params` draws.

    Shifts are whole pixels, as there. Tensors are float32 on the generator's device.
    """
    uniform = torch.rand(count, 5, generator=generator, device=generator.device)
    return scale_draw(affine, uniform, side=side)


def scale_draw(affine: Affine, uniform: Tensor, *, side: int) -> AffineDraw:
    """Return the draw of numbers `uniform` (N, 5) in [0, 1): angle, shifts, scale and shear."""
    symmetric = 2.0 * uniform - 1.0
    low, high = affine.scale
    return AffineDraw(
        angle=torch.deg2rad(affine.degrees * symmetric[:, 0]),
        shift=torch.round(affine.translate * side * symmetric[:, 1:3]),
        scale=low + (high - low) * uniform[:, 3],
        shear=torch.deg2rad(affine.shear * symmetric[:, 4]),
    )


def apply_affine(images: Tensor, draw: AffineDraw, *, interpolation: str) -> Tensor:
    """Transform square `images` (N, 1, S, S) about their centres; outside is 0."""
    theta = invert_affine(draw, side=images.shape[-1])
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(
        images, grid, mode=interpolation, padding_mode="zeros", align_corners=False
    )


def invert_affine(draw: AffineDraw, *, side: int) -> Tensor:
    """Return the maps (N, 2, 3) of output to input coordinates, both in [-1, 1].

    The inverse map of `torchvision.transforms.functional._get_inverse_affine_matrix` with a shear
    along x only: rotation by -angle, shear, 1 / scale, after undoing the shift.
    """
    cos, sin, tan = torch.cos(draw.angle), torch.sin(draw.angle), torch.tan(draw.shear)
    # forward matrix without scale: [[cos, -cos tan - sin], [sin, -sin tan + cos]], determinant 1
    inverse = (
        torch.stack(
            [
                torch.stack([cos - sin * tan, cos * tan + sin], dim=1),
                torch.stack([-sin, cos], dim=1),
            ],
            dim=1,
        )
        / draw.scale[:, None, None]
    )
    offset = -(inverse @ draw.shift[:, :, None])
    # pixels to [-1, 1]: both axes have the same length, so only the offset is rescaled
    return torch.cat([inverse, offset * (2.0 / side)], dim=2)
