"""The type of every step between a trained run and a verdict.

Structs are frozen and keyword-only; `msgspec` checks every field when a ledger line is read, fifty
times faster than a hand-written check. `None` means "did not happen" or "does not apply".
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

FORMAT = 1
"""Version of the ledger's line format; see docs/ledger-format.md."""

FIRST_TUNING_SEED = 1_000_000
"""Seeds from here up are for tuning: trained on a split of the training set, never evidence."""

MOST_IMAGES_AN_EPOCH = 60_000
"""An epoch shows at most so many training images, drawn or repeated as the recipe likes."""


class Status(StrEnum):
    """How a run ended: `DIVERGED` when its loss stopped being finite."""

    FINISHED = "finished"
    DIVERGED = "diverged"


class Answer(StrEnum):
    """A verdict is one of three, never a boolean."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


class Challenge(Struct, frozen=True, kw_only=True):
    """What is asked of an iteration. The target is an exact fraction: a float never decides."""

    name: str
    dataset: str
    target: Fraction
    epochs: int
    parameters: int
    window: int
    reliability: Fraction
    confidence: Fraction
    demonstration: bool = False

    def required(self, total: int) -> int:
        """Return how many of `total` images must be right to be at the target, rounded up."""
        return -(-self.target.numerator * total // self.target.denominator)


class EpochScore(Struct, frozen=True, kw_only=True, gc=False):
    """One epoch: counts of images, mean losses in nats, wall seconds with validation.

    Training figures are the running ones of the epoch, in training mode, on augmented images.
    """

    training_correct: int
    training_total: int
    training_loss: float
    validation_correct: int
    validation_total: int
    validation_loss: float
    seconds: float


class LayerCost(Struct, frozen=True, kw_only=True, gc=False):
    """One leaf module in calling order, for one image; `receptive_field` in input pixels."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None


class UncountedOperator(Struct, frozen=True, kw_only=True, gc=False):
    """An operator that the counter has no formula for, and how often it is called."""

    operator: str
    calls: int


class Cost(Struct, frozen=True, kw_only=True, gc=False):
    """Parameters and multiply-accumulates of one image through an eval-mode network.

    `parameters` are all that the module declares, `reached_parameters` those that a gradient
    reaches. One multiply-accumulate (MAC) is two floating-point operations.
    """

    parameters: int
    reached_parameters: int
    macs: int
    layers: tuple[LayerCost, ...]
    uncounted: tuple[UncountedOperator, ...]


class Conditions(Struct, frozen=True, kw_only=True, order=True, gc=False, omit_defaults=True):
    """What may move the distribution of accuracies; runs under unlike ones are never pooled.

    `block` is the number of seeds that were trained side by side; one is not written down.
    """

    device: str
    precision: str
    engine: str
    torch: str
    block: int = 1

    def __str__(self) -> str:
        beside = f" ({self.block} seeds side by side)" if self.block > 1 else ""
        return f"{self.device}, {self.precision}, {self.engine} engine{beside}, torch {self.torch}"


class Machine(Struct, frozen=True, kw_only=True, gc=False):
    """Where a run was trained: what moves bits and seconds only."""

    device: str
    driver: str | None
    processor: str
    system: str
    torch: str
    python: str
    commit: str | None
    dirty: bool | None


class Mistake(Struct, frozen=True, array_like=True, gc=False):
    """A validation image that a network got wrong: index, true digit, digit it was taken for.

    Written as a list of these three numbers.
    """

    index: int
    label: int
    predicted: int


class Run(Struct, frozen=True, kw_only=True, gc=False):
    """One training of one iteration from one seed.

    `dataset` is the SHA-256 of the decoded tensors; `mistakes` holds those of each epoch of the
    final window, oldest first, by ascending index.
    """

    format: int
    challenge: str
    iteration: str
    fingerprint: str
    seed: int
    dataset: str
    conditions: Conditions
    machine: Machine
    cost: Cost
    status: Status
    epochs: tuple[EpochScore, ...]
    mistakes: tuple[tuple[Mistake, ...], ...]
    started: str
    wall_seconds: float


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
