"""The types an iteration file is written in: narrative and recipe, as plain values.

Every value is a literal, so that a recipe can be read, fingerprinted and shown without running the
file that holds it. A default always means "this feature is absent", and no default ever changes:
the fingerprint leaves defaults out, so that a new field does not make old evidence stale.
Optimisers, schedules and transforms have files of their own and are imported from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.recipe.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    require,
)
from models.recipe.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Schedule,
    Step,
)
from models.recipe.transforms import (
    Affine,
    Augmentation,
    CenterCrop,
    ColorJitter,
    GaussianBlur,
    Pipeline,
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

__all__ = [
    "EMA",
    "SGD",
    "SWA",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Affine",
    "Augmentation",
    "Averaging",
    "CenterCrop",
    "Claim",
    "ColorJitter",
    "Constant",
    "Cosine",
    "Exponential",
    "GaussianBlur",
    "MultiStep",
    "Narrative",
    "OneCycle",
    "Optimizer",
    "PiecewiseLinear",
    "Pipeline",
    "RMSprop",
    "RandomAffine",
    "RandomApply",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Recipe",
    "Resize",
    "Says",
    "Schedule",
    "Statement",
    "Step",
]

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
class EMA:
    """Exponential moving average of weights and batch statistics, updated after every step."""

    decay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SWA:
    """Equal average of the weights after every step from epoch `start` (counted from 1) on."""

    start: int


Averaging = EMA | SWA


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained. `epochs` are passes over the training set."""

    optimizer: Optimizer
    schedule: Schedule
    batch_size: int
    epochs: int
    augmentation: Augmentation | None = None
    label_smoothing: float = 0.0
    averaging: Averaging | None = None
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs={self.epochs}, batch_size={self.batch_size}: at least 1 each")
        smoothing = self.label_smoothing
        require(holds=0 <= smoothing <= 1, text=f"label_smoothing={smoothing}: must be from 0 to 1")
        require(
            holds=not (self.cycles_momentum and isinstance(self.optimizer, Adagrad | Adadelta)),
            text=f"schedule: {type(self.optimizer).__name__} has no momentum that could cycle; "
            "leave it constant",
        )

    @property
    def cycles_momentum(self) -> bool:
        """Whether the schedule sets the momentum too."""
        return isinstance(self.schedule, OneCycle) and self.schedule.momentum != "constant"

    def rates(self, *, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of every step.

        Raises:
            ValueError: the schedule ends before the run.
        """
        return self.schedule.table(epochs=self.epochs, steps_per_epoch=steps_per_epoch)

    def momenta(self, *, steps_per_epoch: int) -> list[float] | None:
        """Return the momentum (for Adam `beta1`) of every step, `None` where it never changes.

        Raises:
            ValueError: the schedule ends before the run.
        """
        if not isinstance(self.schedule, OneCycle):
            return None
        return self.schedule.momenta(epochs=self.epochs, steps_per_epoch=steps_per_epoch)
