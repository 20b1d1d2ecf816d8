"""Random transforms of training images: torchvision's, with its meaning of every argument.

`Affine` alone is what the built-in iterations use. A `Pipeline` is torchvision's `Compose` in three
parts: what stands before `ToTensor`, between it and `Normalize`, and after that. Iteration files
import these from `models.recipe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.recipe.optimizers import require

Interpolation = Literal["nearest", "bilinear"]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """`torchvision.transforms.RandomAffine`, drawn anew for every image of every epoch.

    `degrees` and `shear` are half-ranges in degrees, `translate` a half-range as a fraction of the
    image's side, `scale` a range of factors. What lies outside the image is background (0).
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    interpolation: Literal["nearest", "bilinear"] = "nearest"


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomRotation:
    """Rotation by `degrees`: either way by at most that, or counter-clockwise from first to second.

    `fill` is what comes in from outside: 0 to 255 for pictures, else a value of the tensor.
    """

    degrees: float | Range
    interpolation: Interpolation = "nearest"
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_degrees(self.degrees)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomAffine:
    """Rotation, shift, scale and shear, all about the centre.

    `degrees` and `shear` are half-ranges or ranges in degrees, `translate` half-ranges along x and
    y as fractions of the side, `scale` a range of factors; a `shear` of four shears along y too.
    """

    degrees: float | Range
    translate: Range = (0.0, 0.0)
    scale: Range = (1.0, 1.0)
    shear: float | Range | tuple[float, float, float, float] = 0.0
    interpolation: Interpolation = "nearest"
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_degrees(self.degrees)
        inside = all(0 <= part <= 1 for part in self.translate)
        require(holds=inside, text=f"translate={self.translate}: each must be from 0 to 1")
        require(holds=self.scale[0] > 0, text=f"scale={self.scale}: must be above 0")
        _check_range("scale", self.scale)
        if isinstance(self.shear, tuple):
            _check_range("shear", self.shear[:2])
            _check_range("shear", self.shear[2:] or (0.0, 0.0))
        else:
            require(holds=self.shear >= 0, text=f"shear={self.shear}: one number is both ways")


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomPerspective:
    """With probability `p`, corners moved inwards by at most `distortion_scale` of half a side."""

    distortion_scale: float = 0.5
    p: float = 0.5
    interpolation: Interpolation = "bilinear"
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_probability(self.p)
        _check_probability(self.distortion_scale, name="distortion_scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class CenterCrop:
    """The middle `size` x `size` pixels; a smaller image gets a border of 0 around it."""

    size: int

    def __post_init__(self) -> None:
        _check_size(self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resize:
    """Resized to `size` x `size` pixels."""

    size: int
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        _check_size(self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrop:
    """A window of `size` x `size` pixels at random, of the image with a border of `fill`."""

    size: int
    padding: int = 0
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_size(self.size)
        require(
            holds=0 <= self.padding <= _MOST_SIDE,
            text=f"padding={self.padding}: must be from 0 to {_MOST_SIDE}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomResizedCrop:
    """A window of `scale` of the area and `ratio` of width to height, resized to `size`."""

    size: int
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        _check_size(self.size)
        _check_area(self.scale, self.ratio)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomHorizontalFlip:
    """Mirrored left to right with probability `p`: not for digits."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.p)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomVerticalFlip:
    """Mirrored top to bottom with probability `p`: not for digits."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.p)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColorJitter:
    """Brightness, contrast, saturation and hue, in an order drawn anew for each image.

    A number b is a factor from max(0, 1 - b) to 1 + b, for hue a shift from -b to b of a full turn.
    Saturation and hue leave images of one channel as they are.
    """

    brightness: float | Range = 0.0
    contrast: float | Range = 0.0
    saturation: float | Range = 0.0
    hue: float | Range = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            low, high = widen(getattr(self, name), about=1.0)
            require(holds=0 <= low <= high, text=f"{name}={getattr(self, name)}: not a range")
        low, high = widen(self.hue, about=0.0)
        require(holds=-0.5 <= low <= high <= 0.5, text=f"hue={self.hue}: beyond 0.5 of a turn")


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianBlur:
    """Blurred by a kernel of `kernel_size` with a deviation drawn from `sigma`, in pixels."""

    kernel_size: int
    sigma: Range = (0.1, 2.0)

    def __post_init__(self) -> None:
        odd = 1 <= self.kernel_size <= _MOST_KERNEL and self.kernel_size % 2 == 1
        text = f"kernel_size={self.kernel_size}: must be odd, from 1 to {_MOST_KERNEL}"
        require(holds=odd, text=text)
        require(holds=self.sigma[0] > 0, text=f"sigma={self.sigma}: must be above 0")
        _check_range("sigma", self.sigma)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomErasing:
    """With probability `p`, a rectangle of `scale` of the area replaced by `value`.

    `ratio` is of its height to its width. For tensors only, as in torchvision.
    """

    p: float = 0.5
    scale: Range = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)
    value: float = 0.0

    def __post_init__(self) -> None:
        _check_probability(self.p)
        _check_area(self.scale, self.ratio)


SimpleTransform = (
    RandomRotation
    | RandomAffine
    | RandomPerspective
    | CenterCrop
    | Resize
    | RandomCrop
    | RandomResizedCrop
    | RandomHorizontalFlip
    | RandomVerticalFlip
    | ColorJitter
    | GaussianBlur
    | RandomErasing
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomApply:
    """All of `transforms` with probability `p`, else none; the image keeps its size either way."""

    transforms: tuple[SimpleTransform, ...]
    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.p)


Transform = SimpleTransform | RandomApply


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """Transforms in their order, every image with its own draws; an image comes out at its size.

    `pictures` stand before `ToTensor`, where black is 0 and white is 255; `tensors` after it, where
    white is 1; `normalised` after `Normalize`, where 0 is the mean of all pixels, a grey.
    """

    pictures: tuple[Transform, ...] = ()
    tensors: tuple[Transform, ...] = ()
    normalised: tuple[Transform, ...] = ()

    def __post_init__(self) -> None:
        for transform in flatten(self.pictures):
            require(
                holds=not isinstance(transform, RandomErasing),
                text="pictures: RandomErasing works on tensors; move it to tensors or normalised",
            )
            fill = getattr(transform, "fill", 0.0)
            require(
                holds=0 <= fill <= 255 and fill == int(fill),
                text=f"pictures: fill={fill}: a picture's values are whole numbers from 0 to 255",
            )


Augmentation = Affine | Pipeline
_MOST_SIDE = 1_024
_MOST_KERNEL = 63


def flatten(transforms: tuple[Transform, ...]) -> list[SimpleTransform]:
    """Return all transforms in their order, those inside a `RandomApply` too."""
    return [
        each
        for transform in transforms
        for each in (transform.transforms if isinstance(transform, RandomApply) else (transform,))
    ]


def widen(value: float | Range, *, about: float) -> Range:
    """Return the range that a number means: around `about`, cut at 0 where that is a factor."""
    if isinstance(value, tuple):
        return value
    return (max(about - value, 0.0) if about else -value), about + value


def _check_degrees(degrees: float | Range) -> None:
    if isinstance(degrees, tuple):
        _check_range("degrees", degrees)
    else:
        require(holds=degrees >= 0, text=f"degrees={degrees}: one number is both ways")


def _check_range(name: str, pair: tuple[float, ...]) -> None:
    require(holds=pair[0] <= pair[1], text=f"{name}={pair}: the lower value comes first")


def _check_area(scale: Range, ratio: Range) -> None:
    _check_range("scale", scale)
    _check_range("ratio", ratio)
    inside = min(scale) >= 0 and max(scale) <= 1
    require(holds=inside, text=f"scale={scale}: parts of the area, each from 0 to 1")
    require(holds=ratio[0] > 0, text=f"ratio={ratio}: must be above 0")


def _check_size(size: int) -> None:
    require(holds=1 <= size <= _MOST_SIDE, text=f"size={size}: must be from 1 to {_MOST_SIDE}")


def _check_probability(p: float, name: str = "p") -> None:
    require(holds=0 <= p <= 1, text=f"{name}={p}: must be from 0 to 1")
