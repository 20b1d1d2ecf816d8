"""A network as a flat list of operations, for engines that do not call its modules one by one.

The operations name the network's own parameters and buffers, so that an engine trains the very
tensors that the modules hold. `bench.training.tracing` makes a program of a network.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, int, int]
"""Channels, height and width of one image's value; features are (F, 1, 1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """`nn.Conv2d` without dilation; `weight` (O, I / groups, K, K) and `bias` (O) by name.

    Several operations of one name are calls of one layer: its gradient is the sum of theirs.
    """

    weight: str
    bias: str | None
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense:
    """`nn.Linear` on features; `weight` (O, I) and `bias` (O) by name."""

    weight: str
    bias: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchNormalisation:
    """`nn.BatchNorm2d` with running statistics; parameters and buffers by name."""

    weight: str | None
    bias: str | None
    running_mean: str
    running_variance: str
    batches: str
    momentum: float
    epsilon: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rectification:
    """`max(x, 0)`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPooling:
    """Maximum over windows without padding, rows and columns left over dropped."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragePooling:
    """Mean over windows without padding, rows and columns left over dropped."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropout:
    """Zero each element with `probability` in training, or each whole map; scale the others up."""

    probability: float
    whole_maps: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Flattening:
    """Channels, rows and columns as features, in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sum:
    """The sum of two values of one shape."""


Operator = (
    Convolution
    | Dense
    | BatchNormalisation
    | Rectification
    | MaxPooling
    | AveragePooling
    | Dropout
    | Flattening
    | Sum
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One operator on earlier values; value 0 is the input, value i the i-th operation's result."""

    operator: Operator
    inputs: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Operations in the order of their execution; the last one's value is the class scores."""

    input_shape: Shape
    operations: tuple[Operation, ...]

    def shape(self, value: int) -> Shape:
        """Return the shape of a value."""
        return self.operations[value - 1].shape if value else self.input_shape
