"""Brightness, contrast, saturation and hue of whole batches, each image with its own factors.

As `torchvision.transforms.functional` on tensors, whose values end at 0 and 1. Saturation and hue
leave images of one channel as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from models.recipe import ColorJitter
from models.recipe.transforms import widen

_GREY = (0.2989, 0.587, 0.114)
"""The weights of red, green and blue in torchvision's `rgb_to_grayscale`."""


@lru_cache(maxsize=256)
def keep_constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """Return float32 numbers on a device, copied there once: no step of a CUDA graph may copy."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def jitter_colours(transform: ColorJitter, images: Tensor, uniform: Tensor) -> Tensor:
    """Return images (N, C, S, S) changed in an order of their own, as draws (N, 8) say."""
    order, factors = order_and_factors(transform, uniform)
    active = _active(transform, channels=images.shape[1])
    for position in range(4):
        for number in active:
            changed = _CHANGES[number](images, factors[:, number, None, None, None])
            now = order[:, position] == number
            images = torch.where(now[:, None, None, None], changed, images)
    return images


def order_and_factors(transform: ColorJitter, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Return a permutation of the four changes, and the factor of each (N, 4)."""
    ranges = keep_constant(tuple(_range(transform, number) for number in range(4)), uniform.device)
    low, high = ranges.unbind(dim=1)
    return uniform[:, :4].argsort(dim=1), low + (high - low) * uniform[:, 4:]


def _range(transform: ColorJitter, number: int) -> tuple[float, float]:
    return widen(getattr(transform, _NAMES[number]), about=_NEUTRAL[number])


def _active(transform: ColorJitter, *, channels: int) -> list[int]:
    changing = [n for n in range(4) if _range(transform, n) != (_NEUTRAL[n], _NEUTRAL[n])]
    return changing if channels == 3 else [n for n in changing if n < 2]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1.0 - factor) * other).clamp(0.0, 1.0)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    weights = keep_constant(_GREY, images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def _brighten(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, torch.zeros_like(images), factor)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def _saturate(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _grey(images), factor)


def _turn(images: Tensor, turn: Tensor) -> Tensor:
    """Shift the hue by a part of a full turn, through hue, saturation and value."""
    most, least = images.amax(dim=1), images.amin(dim=1)
    spread = most - least
    red, green, blue = (
        (most - each) / torch.where(spread == 0, 1.0, spread) for each in images.unbind(1)
    )
    hue = torch.where(
        images[:, 0] == most,
        blue - green,
        torch.where(images[:, 1] == most, 2.0 + red - blue, 4.0 + green - red),
    )
    hue = (hue / 6.0 + 1.0).fmod(1.0)
    hue = torch.where(spread == 0, 0.0, hue) + turn[:, 0]
    # a channel of a colour is the value, less what the hue's distance from it takes (CSS Color 4)
    sixths = hue.remainder(1.0)[:, None] * 6.0
    offsets = keep_constant((5.0, 3.0, 1.0), images.device)[:, None, None]
    distance = (sixths + offsets).remainder(6.0)
    share = torch.minimum(distance, 4.0 - distance).clamp(0.0, 1.0)
    return (most[:, None] - spread[:, None] * share).clamp(0.0, 1.0)


_NAMES = ("brightness", "contrast", "saturation", "hue")
_NEUTRAL = (1.0, 1.0, 1.0, 0.0)
_CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brighten, _contrast, _saturate, _turn)
