"""The types an iteration file is written in: narrative and recipe, as plain values.

Every value is a literal, so that a recipe can be read, fingerprinted and shown without running the
file that holds it. A default always means "this feature is absent", and no default ever changes:
the fingerprint leaves defaults out, so that a new field does not make old evidence stale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Says = Literal[
    "overfits",
    "does not overfit",
    "falls in later epochs",
    "does not fall in later epochs",
    "converges slowly",
    "does not converge slowly",
    "is consistent",
    "is not consistent",
    "is too heavy",
    "is light enough",
    "has many difficult digits",
    "has few difficult digits",
    "is close below the target",
    "is not close below the target",
    "could reach 0.1 points more",
    "could not reach 0.1 points more",
]
"""What a sentence can say that the runs can answer; docs/protocol.md has each criterion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What an author reported of one run: accuracies in per cent, parameters as written."""

    parameters: str
    training_accuracy: float
    validation_accuracy: float
    epoch: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A sentence of an analysis that the runs can confirm or contradict: it says the same."""

    text: str
    says: Says

    def __post_init__(self) -> None:
        if self.says not in get_args(Says):
            known = ", ".join(map(repr, get_args(Says)))
            raise ValueError(f"says={self.says!r} cannot be measured; choose from {known}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrative:
    """The three headings of an iteration: Target, Results (as claimed) and Analysis.

    A line of the analysis is text, or a `Statement` where the runs can tell whether it is so.
    `about` is the dataset, or the challenge, that claim and analysis speak of: on other images they
    are shown and not tested.
    """

    title: str
    target: tuple[str, ...]
    claim: Claim | None = None
    analysis: tuple[str | Statement, ...] = ()
    about: str = "mnist"


@dataclass(frozen=True, kw_only=True, slots=True)
class SGD:
    """`torch.optim.SGD`; dampening is 0."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam:
    """`torch.optim.Adam`: weight decay is added to the gradient."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamW:
    """`torch.optim.AdamW`: weight decay is decoupled from the gradient."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """One learning rate from the first step to the last."""

    rate: float

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        return [self.rate] * (epochs * steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiStep:
    """`MultiStepLR` stepped once an epoch: times `factor` after each epoch in `milestones`."""

    rate: float
    milestones: tuple[int, ...]
    factor: float = 0.1

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        rates = [
            self.rate * self.factor ** sum(epoch >= m for m in self.milestones)
            for epoch in range(epochs)
        ]
        return [rate for rate in rates for _ in range(steps_per_epoch)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cosine:
    """`CosineAnnealingLR` stepped once a batch, from `rate` towards `final` (Loshchilov 2017)."""

    rate: float
    final: float = 0.0

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        steps = epochs * steps_per_epoch
        return [_cosine(self.rate, self.final, step / steps) for step in range(steps)]


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycle:
    """`OneCycleLR` with cosine annealing and a constant momentum (`cycle_momentum=False`)."""

    peak: float
    warmup: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        steps = epochs * steps_per_epoch
        start = self.peak / self.start_divisor
        final = start / self.final_divisor
        top = self.warmup * steps - 1
        return [
            _cosine(start, self.peak, step / top if top else 1.0)
            if step <= top
            else _cosine(self.peak, final, (step - top) / (steps - 1 - top))
            for step in range(steps)
        ]


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * fraction))


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
class EMA:
    """Exponential moving average of weights and batch statistics, updated after every step."""

    decay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SWA:
    """Equal average of the weights after every step from epoch `start` (counted from 1) on."""

    start: int


Optimizer = SGD | Adam | AdamW
Schedule = Constant | MultiStep | Cosine | OneCycle
Averaging = EMA | SWA


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained. `epochs` are passes over the training set."""

    optimizer: Optimizer
    schedule: Schedule
    batch_size: int
    epochs: int
    augmentation: Affine | None = None
    label_smoothing: float = 0.0
    averaging: Averaging | None = None
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs={self.epochs}, batch_size={self.batch_size}: at least 1 each")
