"""The transforms of a pipeline on whole batches, each image with its own draw, on their device.

Each is a function of images (N, C, S, S) and of uniform numbers (N, K) in [0, 1), K as many as
`count_draws` says, so that an engine may draw them when and where it likes. For one image and its
draw the result is that of `torchvision.transforms.functional` on a tensor (the tests compare them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from bench.colours import jitter_colours, keep_constant
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
from models.recipe.transforms import Transform, widen

ATTEMPTS = 10
"""Rectangles that torchvision draws before it leaves an image whole."""


def count_draws(transform: Transform) -> int:
    """Return how many uniform numbers a transform takes for an image."""
    if isinstance(transform, RandomApply):
        return 1 + sum(map(count_draws, transform.transforms))
    return _DRAWS[type(transform)]


def apply_transform(
    transform: Transform, images: Tensor, uniform: Tensor, *, white: float
) -> Tensor:
    """Return images (N, C, S, S) after a transform with draws (N, K).

    A fill of `white` stands for a value of 1.
    """
    if isinstance(transform, RandomApply):
        changed = apply_all(transform.transforms, images, uniform[:, 1:], white=white)
        return _choose(uniform[:, 0] < transform.p, changed, images)
    function: Callable[..., Tensor] = _FUNCTIONS[type(transform)]
    if hasattr(transform, "fill"):
        return function(transform, images, uniform, transform.fill / white)
    return function(transform, images, uniform)


def apply_all(
    transforms: tuple[Transform, ...], images: Tensor, uniform: Tensor, *, white: float
) -> Tensor:
    """Return images after several transforms, each with its columns of `uniform`."""
    start = 0
    for transform in transforms:
        end = start + count_draws(transform)
        images = apply_transform(transform, images, uniform[:, start:end], white=white)
        start = end
    return images


def _choose(chosen: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], changed, images)


def _within(uniform: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * uniform


def _whole(uniform: Tensor, most: Tensor | int) -> Tensor:
    """Return whole numbers from 0 to `most`, each as likely."""
    number = (uniform * (most + 1)).floor()
    return number.clamp(max=most)


def rotate(transform: RandomRotation, images: Tensor, uniform: Tensor, fill: float) -> Tensor:
    """Rotate counter-clockwise, as `functional.rotate` does."""
    angle = -torch.deg2rad(_within(uniform[:, 0], *widen(transform.degrees, about=0.0)))
    still = torch.zeros(len(images), 2, device=images.device)
    theta = invert_affine(angle, still, torch.ones_like(angle), still, side=images.shape[-1])
    return _warp(images, _affine_grid(theta, images), transform.interpolation, fill)


def move(transform: RandomAffine, images: Tensor, uniform: Tensor, fill: float) -> Tensor:
    """Rotate, shift by whole pixels, scale and shear, as `functional.affine` does."""
    side = images.shape[-1]
    most = keep_constant(transform.translate, images.device) * side
    low, high, *along_y = (
        transform.shear if isinstance(transform.shear, tuple) else widen(transform.shear, about=0.0)
    )
    bottom, top = along_y or (0.0, 0.0)
    shear = [_within(uniform[:, 4], low, high), _within(uniform[:, 5], bottom, top)]
    theta = invert_affine(
        torch.deg2rad(_within(uniform[:, 0], *widen(transform.degrees, about=0.0))),
        torch.round(most * (2.0 * uniform[:, 1:3] - 1.0)),
        _within(uniform[:, 3], *transform.scale),
        torch.deg2rad(torch.stack(shear, dim=1)),
        side=side,
    )
    return _warp(images, _affine_grid(theta, images), transform.interpolation, fill)


def invert_affine(
    angle: Tensor, shift: Tensor, scale: Tensor, shear: Tensor, *, side: int
) -> Tensor:
    """Return the maps (N, 2, 3) of output to input coordinates, both in [-1, 1].

    `angle`, `scale` (N,), `shift` in pixels and `shear` along x and y (N, 2); angles in radians. As
    `torchvision.transforms.functional._get_inverse_affine_matrix` about the centre.
    """
    along_x, along_y = shear.unbind(dim=1)
    cos, sin = (
        torch.cos(angle - along_y) / along_y.cos(),
        torch.sin(angle - along_y) / along_y.cos(),
    )
    forward_xy = -cos * along_x.tan() - angle.sin()
    forward_yy = -sin * along_x.tan() + angle.cos()
    rows = torch.stack([forward_yy, -forward_xy, -sin, cos], dim=1).view(-1, 2, 2)
    inverse = rows / scale[:, None, None]
    offset = -(inverse @ shift[:, :, None]) * (2.0 / side)
    return torch.cat([inverse, offset], dim=2)


def _affine_grid(theta: Tensor, images: Tensor) -> Tensor:
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _warp(images: Tensor, grid: Tensor, interpolation: str, fill: float) -> Tensor:
    """Return images sampled at a grid; outside is `fill`, blended at the border as torchvision."""
    extended = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    sampled = F.grid_sample(
        extended, grid, mode=interpolation, padding_mode="zeros", align_corners=False
    )
    found, mask = sampled[:, :-1], sampled[:, -1:]
    if interpolation == "nearest":
        return torch.where(mask < 0.5, fill, found)
    return found * mask + (1.0 - mask) * fill


def tilt(transform: RandomPerspective, images: Tensor, uniform: Tensor, fill: float) -> Tensor:
    """Move the corners of some images inwards by whole pixels, as `functional.perspective` does."""
    side = images.shape[-1]
    corners = move_corners(uniform[:, 1:], side=side, distortion=transform.distortion_scale)
    grid = perspective_grid(corners, side=side)
    return _choose(
        uniform[:, 0] < transform.p, _warp(images, grid, transform.interpolation, fill), images
    )


def move_corners(uniform: Tensor, *, side: int, distortion: float) -> Tensor:
    """Return where corners go (N, 4, 2): x and y of top left, top right, bottom right and left."""
    inwards = _whole(uniform, int(distortion * (side // 2))).view(-1, 4, 2)
    signs = keep_constant(((1, 1), (-1, 1), (-1, -1), (1, -1)), uniform.device)
    corners = keep_constant(((0, 0), (1, 0), (1, 1), (0, 1)), uniform.device) * (side - 1)
    return corners + signs * inwards


def perspective_grid(corners: Tensor, *, side: int) -> Tensor:
    """Return where each output pixel (N, S, S, 2) comes from when the image's corners go there.

    The projective map of the unit square to a quadrilateral in closed form (Heckbert 1989, section
    2.2.3), inverted; torchvision solves the same eight equations.
    """
    x, y = corners.double().unbind(dim=2)
    right, left = (x[:, 1] - x[:, 2], y[:, 1] - y[:, 2]), (x[:, 3] - x[:, 2], y[:, 3] - y[:, 2])
    skew = x[:, 0] - x[:, 1] + x[:, 2] - x[:, 3], y[:, 0] - y[:, 1] + y[:, 2] - y[:, 3]
    area = right[0] * left[1] - left[0] * right[1]
    g = (skew[0] * left[1] - left[0] * skew[1]) / area
    h = (right[0] * skew[1] - skew[0] * right[1]) / area
    a, b, c = x[:, 1] - x[:, 0] + g * x[:, 1], x[:, 3] - x[:, 0] + h * x[:, 3], x[:, 0]
    d, e, f = y[:, 1] - y[:, 0] + g * y[:, 1], y[:, 3] - y[:, 0] + h * y[:, 3], y[:, 0]
    inverse = torch.stack(
        [
            *(e - f * h, c * h - b, b * f - c * e),
            *(f * g - d, a - c * g, c * d - a * f),
            *(d * h - e * g, b * g - a * h, a * e - b * d),
        ],
        dim=1,
    ).view(-1, 3, 3)
    centres = torch.arange(side, device=corners.device, dtype=torch.float64) + 0.5
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1).view(1, -1, 3)
    projected = points @ inverse.transpose(1, 2)
    unit = projected[..., :2] / projected[..., 2:]
    grid = (unit * (2.0 * (side - 1) / side) - 1.0).view(-1, side, side, 2).float()
    return torch.nan_to_num(grid, nan=2.0)  # where corners lie on one line: outside


def crop_centre(transform: CenterCrop, images: Tensor, _uniform: Tensor) -> Tensor:
    """Crop the middle, or put a border of 0 around, as `functional.center_crop` does."""
    missing = max(transform.size - images.shape[-1], 0)
    before, after = missing // 2, (missing + 1) // 2
    images = F.pad(images, (before, after, before, after))
    start = round((images.shape[-1] - transform.size) / 2.0)
    chosen = slice(start, start + transform.size)
    return images[:, :, chosen, chosen]


def resize(transform: Resize, images: Tensor, _uniform: Tensor) -> Tensor:
    """Resize as `functional.resize` does, with antialiasing where it is bilinear."""
    if images.shape[-1] == transform.size:
        return images
    size = (transform.size, transform.size)
    if transform.interpolation == "nearest":
        return F.interpolate(images, size, mode="nearest")
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def crop(transform: RandomCrop, images: Tensor, uniform: Tensor, fill: float) -> Tensor:
    """Take a window of each image, with its border."""
    padded = F.pad(images, (transform.padding,) * 4, value=fill)
    start = _whole(uniform, padded.shape[-1] - transform.size).long()
    inside = start[:, :, None] + torch.arange(transform.size, device=images.device)
    count, channels, _, width = padded.shape
    rows = inside[:, 0, None, :, None].expand(count, channels, -1, width)
    columns = inside[:, 1, None, None, :].expand(count, channels, transform.size, -1)
    return padded.gather(2, rows).gather(3, columns)


def crop_and_resize(transform: RandomResizedCrop, images: Tensor, uniform: Tensor) -> Tensor:
    """Resize a window of each image, as `functional.resized_crop` does on tensors."""
    top, left, height, width = draw_window(transform, uniform, side=images.shape[-1])
    rows = _resampling(top, height, side=images.shape[-1], size=transform.size)
    columns = _resampling(left, width, side=images.shape[-1], size=transform.size)
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def draw_window(
    transform: RandomResizedCrop, uniform: Tensor, *, side: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return top, left, height and width (N,), as `RandomResizedCrop.get_params` draws them."""
    draws = uniform.view(-1, ATTEMPTS, 4)
    # the ratio is of width to height here, of height to width in `draw_rectangle`
    width, height = _draw_sides(draws, transform.scale, transform.ratio, side=side)
    valid = (width >= 1) & (width <= side) & (height >= 1) & (height <= side)
    low, high = transform.ratio
    fall_back = (
        float(side if low <= 1 else round(side / low)),
        float(side if high >= 1 else round(side * high)),
    )
    return _take_first(draws, valid, height, width, fall_back, side=side)


def _draw_sides(
    draws: Tensor, scale: tuple[float, float], ratio: tuple[float, float], *, side: int
) -> tuple[Tensor, Tensor]:
    """Return the sides (N, ATTEMPTS) of rectangles; `ratio` is of the first to the second."""
    area = side * side * _within(draws[..., 0], *scale)
    shape = _within(draws[..., 1], *map(math.log, ratio)).exp()
    return (area * shape).sqrt().round(), (area / shape).sqrt().round()


def _take_first(
    draws: Tensor,
    valid: Tensor,
    height: Tensor,
    width: Tensor,
    fall_back: tuple[float, float],
    *,
    side: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the first valid attempt's top, left, height and width, or a centred one."""
    first = valid.to(torch.uint8).argmax(dim=1, keepdim=True)
    found = valid.any(dim=1)
    chosen = [each.gather(1, first)[:, 0] for each in (height, width, draws[..., 2], draws[..., 3])]
    height, width = (
        torch.where(found, size, other) for size, other in zip(chosen[:2], fall_back, strict=True)
    )
    middles = [torch.div(side - size, 2, rounding_mode="floor") for size in (height, width)]
    top, left = (
        torch.where(found, _whole(uniform, side - size), middle)
        for uniform, size, middle in zip(chosen[2:], (height, width), middles, strict=True)
    )
    return top, left, height, width


def _resampling(start: Tensor, length: Tensor, *, side: int, size: int) -> Tensor:
    """Return the matrices (N, size, side) that resize a stretch bilinearly, antialiased."""
    ratio = (length / size)[:, None, None]
    targets = torch.arange(size, device=start.device)[None, :, None] + 0.5
    sources = torch.arange(side, device=start.device)[None, None, :] - start[:, None, None]
    inside = (sources >= 0) & (sources < length[:, None, None])
    distance = (sources + 0.5 - targets * ratio) / ratio.clamp(min=1.0)
    weights = (1.0 - distance.abs()).clamp(min=0.0) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def flip(
    transform: RandomHorizontalFlip | RandomVerticalFlip, images: Tensor, uniform: Tensor
) -> Tensor:
    """Mirror some images."""
    axis = 3 if isinstance(transform, RandomHorizontalFlip) else 2
    return _choose(uniform[:, 0] < transform.p, images.flip(axis), images)


def blur(transform: GaussianBlur, images: Tensor, uniform: Tensor) -> Tensor:
    """Blur each image with its own deviation, reflected at the border."""
    count, channels, side, _ = images.shape
    reach = transform.kernel_size // 2
    sigma = _within(uniform[:, :1], *transform.sigma)
    places = torch.arange(-reach, reach + 1, device=images.device)
    weights = (-0.5 * (places / sigma) ** 2).exp()
    weights = weights / weights.sum(dim=1, keepdim=True)
    kernels = weights.repeat_interleave(channels, dim=0)[:, None]
    padded = F.pad(images, (reach,) * 4, mode="reflect").reshape(
        1, count * channels, -1, side + 2 * reach
    )
    across = F.conv2d(padded, kernels[:, :, None, :], groups=count * channels)
    blurred = F.conv2d(across, kernels[:, :, :, None], groups=count * channels)
    return blurred.view_as(images)


def erase(transform: RandomErasing, images: Tensor, uniform: Tensor) -> Tensor:
    """Replace a rectangle of some images."""
    side = images.shape[-1]
    top, left, height, width = draw_rectangle(transform, uniform[:, 1:], side=side)
    place = torch.arange(side, device=images.device)
    rows = (place >= top[:, None]) & (place < (top + height)[:, None])
    columns = (place >= left[:, None]) & (place < (left + width)[:, None])
    inside = (rows[:, None, :, None] & columns[:, None, None, :]) & (
        uniform[:, 0, None, None, None] < transform.p
    )
    return torch.where(inside, transform.value, images)


def draw_rectangle(
    transform: RandomErasing, uniform: Tensor, *, side: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return top, left, height and width (N,), 0 for none, as torchvision's `get_params` draws."""
    draws = uniform.view(-1, ATTEMPTS, 4)
    height, width = _draw_sides(draws, transform.scale, transform.ratio, side=side)
    valid = (height < side) & (width < side)
    return _take_first(draws, valid, height, width, (0.0, 0.0), side=side)


_DRAWS: dict[type, int] = {
    RandomRotation: 1,
    RandomAffine: 6,
    RandomPerspective: 9,
    CenterCrop: 0,
    Resize: 0,
    RandomCrop: 2,
    RandomResizedCrop: 4 * ATTEMPTS,
    RandomHorizontalFlip: 1,
    RandomVerticalFlip: 1,
    ColorJitter: 8,
    GaussianBlur: 1,
    RandomErasing: 1 + 4 * ATTEMPTS,
}
_FUNCTIONS: dict[type, Callable[..., Any]] = {
    RandomRotation: rotate,
    RandomAffine: move,
    RandomPerspective: tilt,
    CenterCrop: crop_centre,
    Resize: resize,
    RandomCrop: crop,
    RandomResizedCrop: crop_and_resize,
    RandomHorizontalFlip: flip,
    RandomVerticalFlip: flip,
    ColorJitter: jitter_colours,
    GaussianBlur: blur,
    RandomErasing: erase,
}
