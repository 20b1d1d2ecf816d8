"""The type of every step between a trained run and a verdict.

Structs are frozen and keyword-only; `msgspec` checks every field when a ledger line is read, fifty
times faster than a hand-written check. `None` means "did not happen" or "does not apply".
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from msgspec import Meta, Struct

from bench import limits

FORMAT = 1
"""Version of the ledger's line format; see docs/ledger-format.md."""

FIRST_TUNING_SEED = 1_000_000
"""Seeds from here up are for tuning: trained on a split of the training set, never evidence."""

MOST_IMAGES_AN_EPOCH = 60_000
"""An epoch shows at most so many training images, drawn or repeated as the recipe likes."""

Text = Annotated[str, Meta(max_length=limits.MOST_CHARACTERS)]
Label = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*(?![\s\S])")]
"""Text that is printed in a terminal: nothing in it may move the cursor."""

Name = Annotated[str, Meta(pattern=r"^\w[\w.-]{0,99}(?![\s\S])")]
"""A part of a path: no separator, and so no way out of a folder."""

Digest = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=limits.MOST_OPERATIONS)]
Images = Annotated[int, Meta(ge=0, le=limits.MOST_IMAGES)]
Class = Annotated[int, Meta(ge=0, lt=limits.MOST_CLASSES)]
Loss = Annotated[float, Meta(ge=0, le=limits.MOST_LOSS)]
Seconds = Annotated[float, Meta(ge=0, le=limits.MOST_SECONDS)]
"""Types of a ledger's fields. `msgspec` holds what it decodes to the bounds of bench/limits.py."""


class Status(StrEnum):
    """How a run ended: `DIVERGED` when its loss stopped being finite."""

    FINISHED = "finished"
    DIVERGED = "diverged"


class Answer(StrEnum):
    """A verdict is one of three, never a boolean."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

DIGIT_NAMES = tuple("0123456789")


class Challenge(Struct, frozen=True, kw_only=True):
    """What is asked of an iteration. The target is an exact fraction: a float never decides.

    Images are `side` x `side` pixels of so many channels; `classes` names their classes in the
    order of the labels. `file` is the TOML file that was named for the challenge, `None` for one of
    the project or of the harness; `folder` is where its own images lie, as that file has it.
    """

    name: str
    dataset: str
    target: Fraction
    epochs: int
    parameters: int
    window: int
    reliability: Fraction
    confidence: Fraction
    demonstration: bool = False
    channels: int = 1
    side: int = 28
    classes: tuple[str, ...] = DIGIT_NAMES
    folder: str | None = None
    file: str | None = None

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image."""
        return self.channels, self.side, self.side

    def required(self, total: int) -> int:
        """Return how many of `total` images must be right to be at the target, rounded up."""
        return -(-self.target.numerator * total // self.target.denominator)


class EpochScore(Struct, frozen=True, kw_only=True, gc=False):
    """One epoch: counts of images, mean losses in nats, wall seconds with validation.

    Training figures are the running ones of the epoch, in training mode, on augmented images.
    """

    training_correct: Images
    training_total: Images
    training_loss: Loss
    validation_correct: Images
    validation_total: Images
    validation_loss: Loss
    seconds: Seconds


class LayerCost(Struct, frozen=True, kw_only=True, gc=False):
    """One leaf module in calling order, for one image; `receptive_field` in input pixels."""

    name: Text
    kind: Text
    output_shape: Annotated[tuple[Count, ...], Meta(max_length=limits.MOST_DIMENSIONS)]
    parameters: Count
    macs: Count
    receptive_field: Count | None


class UncountedOperator(Struct, frozen=True, kw_only=True, gc=False):
    """An operator that the counter has no formula for, and how often it is called."""

    operator: Text
    calls: Count


class Cost(Struct, frozen=True, kw_only=True, gc=False):
    """Parameters and multiply-accumulates of one image through an eval-mode network.

    `parameters` are all that the module declares, `reached_parameters` those that a gradient
    reaches. One multiply-accumulate (MAC) is two floating-point operations.
    """

    parameters: Count
    reached_parameters: Count
    macs: Count
    layers: Annotated[tuple[LayerCost, ...], Meta(max_length=limits.MOST_LAYERS)]
    uncounted: Annotated[tuple[UncountedOperator, ...], Meta(max_length=limits.MOST_LAYERS)]


class Conditions(Struct, frozen=True, kw_only=True, order=True, gc=False, omit_defaults=True):
    """What may move the distribution of accuracies; runs under unlike ones are never pooled.

    `block` is the number of seeds that were trained side by side; one is not written down.
    """

    device: Label
    precision: Label
    engine: Label
    torch: Label
    block: Annotated[int, Meta(ge=1, le=limits.MOST_BLOCK)] = 1

    def __str__(self) -> str:
        beside = f" ({self.block} seeds side by side)" if self.block > 1 else ""
        return f"{self.device}, {self.precision}, {self.engine} engine{beside}, torch {self.torch}"


class Machine(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Where a run was trained: what moves bits and seconds only.

    A processor's name may hide its generation: `instructions` tells it, and what the processor can
    do. `compiler` is the one that the native engine uses. Older lines have neither.
    """

    device: Text
    driver: Text | None
    processor: Text
    system: Text
    torch: Text
    python: Text
    commit: Text | None
    dirty: bool | None
    instructions: Text | None = None
    compiler: Text | None = None


class Mistake(Struct, frozen=True, array_like=True, gc=False):
    """A validation image that a network got wrong: index, true digit, digit it was taken for.

    Written as a list of these three numbers.
    """

    index: Images
    label: Class
    predicted: Class


class Run(Struct, frozen=True, kw_only=True, gc=False):
    """One training of one iteration from one seed.

    `dataset` is the SHA-256 of the decoded tensors; `mistakes` holds those of each epoch of the
    final window, oldest first, by ascending index.
    """

    format: int
    challenge: Name
    iteration: Name
    fingerprint: Digest
    seed: Annotated[int, Meta(ge=0, le=limits.MOST_SEED)]
    dataset: Digest
    conditions: Conditions
    machine: Machine
    cost: Cost
    status: Status
    epochs: Annotated[tuple[EpochScore, ...], Meta(max_length=limits.MOST_EPOCHS)]
    mistakes: Annotated[tuple[tuple[Mistake, ...], ...], Meta(max_length=limits.MOST_EPOCHS)]
    started: Text
    wall_seconds: Seconds


class CostOutline(
    Cost,
    frozen=True,
    kw_only=True,
    gc=False,
    rename={"layers": "layers, not read", "uncounted": "uncounted, not read"},
):
    """A cost whose layers were not read, though its line may have them."""

    layers: tuple[LayerCost, ...] = ()
    uncounted: tuple[UncountedOperator, ...] = ()


class RunOutline(
    Run, frozen=True, kw_only=True, gc=False, rename={"mistakes": "mistakes, not read"}
):
    """What a verdict and its summary need of a run: all but its mistakes and its cost by layer.

    These are nine tenths of a line. The names given to the fields that are not read keep an
    outline from passing for a run: written as a line, it cannot be read again.
    """

    cost: CostOutline
    mistakes: tuple[tuple[Mistake, ...], ...] = ()
