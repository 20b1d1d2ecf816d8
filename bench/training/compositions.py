"""A recipe's augmentation as a notebook writes it: torchvision's own transforms, composed.

Pictures are Pillow's, transformed by Pillow, whose values are whole numbers; the other engines work
on their values as floating-point numbers (docs/recipes.md says where that is seen).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from bench.training.loop import ResidentImages
from bench.vision import transforms
from models.recipe import Affine, Augmentation, RandomApply
from models.recipe.transforms import Transform


def make_transform(
    data: ResidentImages, augmentation: Augmentation | None = None
) -> Callable[[Any], Tensor]:
    """Return the usual composition: random transforms if any, to a tensor, normalised."""
    before: list[Any] = []
    between: list[Any] = []
    after: list[Any] = []
    if isinstance(augmentation, Affine):
        before = [_make_affine(augmentation)]
    elif augmentation is not None:
        before = [compose(each) for each in augmentation.pictures]
        between = [compose(each) for each in augmentation.tensors]
        after = [compose(each) for each in augmentation.normalised]
    statistics = [(value,) * data.channels for value in (data.mean, data.deviation)]
    normalise = transforms.Normalize(*statistics)
    composed: Callable[[Any], Tensor] = transforms.Compose(
        [*before, transforms.ToTensor(), *between, normalise, *after]
    )
    return composed


def compose(transform: Transform) -> Any:
    """Return torchvision's transform of that name with those arguments."""
    name = type(transform).__name__
    if isinstance(transform, RandomApply):
        return transforms.RandomApply([compose(each) for each in transform.transforms], transform.p)
    arguments = {
        field.name: _translate(field.name, getattr(transform, field.name))
        for field in dataclasses.fields(transform)
    }
    if name in _SQUARE:
        arguments["size"] = (transform.size, transform.size)  # type: ignore[union-attr]
    return getattr(transforms, name)(**arguments)


_SQUARE = {"CenterCrop", "Resize", "RandomCrop", "RandomResizedCrop"}


def _translate(name: str, value: Any) -> Any:
    if name == "interpolation":
        return transforms.InterpolationMode(value)
    # Pillow takes whole numbers
    return int(value) if name == "fill" and value == int(value) else value


def _make_affine(affine: Affine) -> Any:
    interpolation = transforms.InterpolationMode(affine.interpolation)
    if affine == Affine(degrees=affine.degrees, interpolation=affine.interpolation):
        return transforms.RandomRotation(affine.degrees, interpolation=interpolation)
    return transforms.RandomAffine(
        affine.degrees,
        translate=(affine.translate, affine.translate),
        scale=affine.scale,
        shear=affine.shear,
        interpolation=interpolation,
    )
