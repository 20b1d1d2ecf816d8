"""Whether a recipe fits the images that it is to train on: their number and their size."""

from __future__ import annotations

import math

from bench.errors import RecipeError
from models.recipe import (
    CenterCrop,
    GaussianBlur,
    Pipeline,
    RandomApply,
    RandomCrop,
    RandomResizedCrop,
    Recipe,
    Resize,
)
from models.recipe.transforms import Transform


def check_fit(recipe: Recipe, *, images: int, side: int) -> int:
    """Return the steps of an epoch over so many images of so many pixels a side.

    Raises:
        RecipeError: the recipe does not fit them; the message names the field.
    """
    reason = explain_misfit(recipe, images=images, side=side)
    if reason is not None:
        raise RecipeError(reason)
    return math.ceil(images / recipe.batch_size)


def explain_misfit(recipe: Recipe, *, images: int, side: int) -> str | None:
    """Say why a recipe cannot train on so many images of this size, `None` when it can."""
    steps = math.ceil(images / recipe.batch_size)
    try:
        rates = recipe.rates(steps_per_epoch=steps)
        momenta = recipe.momenta(steps_per_epoch=steps) or []
        _check_sizes(recipe, side)
    except ValueError as error:
        return f"{error}"
    except ArithmeticError:
        rates, momenta = [math.nan], []
    fine = all(map(math.isfinite, (*rates, *momenta))) and min(rates) >= 0
    name = type(recipe.schedule).__name__
    return (
        None if fine else f"schedule: {name} gives learning rates that are negative or no numbers"
    )


def _check_sizes(recipe: Recipe, side: int) -> None:
    pipeline = recipe.augmentation
    if not isinstance(pipeline, Pipeline):
        return
    last = _follow((*pipeline.pictures, *pipeline.tensors, *pipeline.normalised), side)
    if last != side:
        raise ValueError(
            f"augmentation: images of {side} pixels a side come out with {last}; end with "
            f"Resize(size={side})"
        )


def _follow(transforms: tuple[Transform, ...], side: int) -> int:
    """Return the side of an image after transforms."""
    for transform in transforms:
        side = _resize(transform, side)
    return side


def _resize(transform: Transform, side: int) -> int:
    if isinstance(transform, RandomApply):
        inside = _follow(transform.transforms, side)
        if inside != side:
            raise ValueError(
                f"augmentation: RandomApply makes {side} pixels a side {inside}; put the Resize "
                "that follows it inside it: the others keep their size anyway"
            )
    if isinstance(transform, GaussianBlur) and transform.kernel_size // 2 >= side:
        raise ValueError(f"augmentation: kernel_size={transform.kernel_size}: too wide for {side}")
    if isinstance(transform, RandomCrop) and transform.size > side + 2 * transform.padding:
        raise ValueError(f"augmentation: RandomCrop of {transform.size} from {side} pixels a side")
    if isinstance(transform, CenterCrop | Resize | RandomCrop | RandomResizedCrop):
        return transform.size
    return side
