"""A program cut into the stages that the kernels run: a layer and what follows it up to the next.

A stage is `layer, ReLU, normalisation, ReLU, max-pooling, dropout`, each part optional and in this
order. ReLU and max-pooling commute, and so do an increasing scale and max-pooling, which is why
conv-ReLU-pool, conv-norm-ReLU-pool and conv-ReLU-norm-pool each are one stage.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench.training.programs import (
    AveragePooling,
    BatchNormalisation,
    Convolution,
    Dense,
    Dropout,
    Flattening,
    MaxPooling,
    Operation,
    Program,
    Rectification,
    Shape,
    Sum,
)


@dataclass(kw_only=True, slots=True)
class Stage:
    """A layer, or none, and what follows it; `map_shape` is what the layer gives."""

    layer: Convolution | Dense | None
    source: int
    value: int
    source_shape: Shape
    map_shape: Shape
    shape: Shape
    rectifies: bool = False
    normalisation: BatchNormalisation | None = None
    rectifies_late: bool = False
    pooling: tuple[int, int] = (1, 1)
    dropout: Dropout | None = None

    @property
    def pools(self) -> bool:
        """Whether the stage takes maxima over windows."""
        return self.pooling != (1, 1)

    @property
    def finishes(self) -> bool:
        """Whether the stage's result is another tensor than what leaves its first ReLU."""
        return bool(self.normalisation or self.rectifies_late or self.pools or self.dropout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Junction:
    """An operation between stages: average pooling, or the sum of two values."""

    operation: Operation
    sources: tuple[int, ...]
    source_shape: Shape
    value: int


@dataclass(kw_only=True, slots=True)
class Plan:
    """Stages and junctions in the order of their execution; values are numbered as the program's.

    `aliases` maps the value of a flattening to the value that it renames.
    """

    steps: list[Stage | Junction] = field(default_factory=list)
    aliases: dict[int, int] = field(default_factory=dict)

    def resolve(self, value: int) -> int:
        """Return the value that holds the numbers."""
        while value in self.aliases:
            value = self.aliases[value]
        return value


def explain_unkerneled(program: Program) -> str | None:
    """Return the first operation that the kernels do not do, `None` when they do them all."""
    for number, operation in enumerate(program.operations, start=1):
        operator = operation.operator
        if isinstance(operator, Convolution):
            reason = _explain_convolution(operator, program.shape(operation.inputs[0]), operation)
            if reason:
                return f"{operator.weight.removesuffix('.weight')}: {reason}"
        if isinstance(operator, MaxPooling) and operator.kernel != operator.stride:
            return f"operation {number}: max-pooling with overlapping windows"
    return None


_MOST_WEIGHTS = 1 << 18  # a convolution's, lane by lane: 16 MiB of sums


def _explain_convolution(operator: Convolution, source: Shape, result: Operation) -> str | None:
    if operator.groups != 1:
        return "a grouped convolution"
    if any(p >= k for p, k in zip(operator.padding, operator.kernel, strict=True)):
        return "padding as wide as the kernel"
    weights = source[0] * result.shape[0] * operator.kernel[0] * operator.kernel[1]
    if weights > _MOST_WEIGHTS or operator.kernel[1] > 8:
        return "so large a convolution"
    return None


def cut_stages(program: Program) -> Plan:
    """Return the stages of a program that the kernels can run."""
    plan = Plan()
    readers = Counter(value for operation in program.operations for value in operation.inputs)
    open_stage: Stage | None = None
    for number, operation in enumerate(program.operations, start=1):
        operator = operation.operator
        source = operation.inputs[0]
        if isinstance(operator, Flattening):
            plan.aliases[number] = source
            open_stage = None
        elif isinstance(operator, Sum | AveragePooling):
            plan.steps.append(
                Junction(
                    operation=operation,
                    sources=tuple(plan.resolve(value) for value in operation.inputs),
                    source_shape=program.shape(source),
                    value=number,
                )
            )
            open_stage = None
        elif (
            open_stage is not None
            and open_stage.value == source
            and readers[source] == 1
            and _extend(open_stage, operation)
        ):
            open_stage.value, open_stage.shape = number, operation.shape
        else:
            open_stage = _begin(operation, plan.resolve(source), program.shape(source), number)
            plan.steps.append(open_stage)
    return plan


def _begin(operation: Operation, source: int, source_shape: Shape, number: int) -> Stage:
    operator = operation.operator
    layer = operator if isinstance(operator, Convolution | Dense) else None
    stage = Stage(
        layer=layer,
        source=source,
        value=number,
        source_shape=source_shape,
        map_shape=operation.shape if layer else source_shape,
        shape=operation.shape,
    )
    if layer is None:
        _extend(stage, operation)
    return stage


def _extend(stage: Stage, operation: Operation) -> bool:
    """Take an operation into the stage where the order of its parts allows it."""
    operator = operation.operator
    if stage.dropout is not None:
        return False
    if isinstance(operator, Rectification):
        stage.rectifies |= stage.normalisation is None  # max-pooling before it commutes with it
        stage.rectifies_late |= stage.normalisation is not None
        return True
    if isinstance(operator, BatchNormalisation) and not (stage.normalisation or stage.pools):
        stage.normalisation = operator
        return True
    if isinstance(operator, MaxPooling) and not stage.pools:
        stage.pooling = operator.kernel
        return True
    if isinstance(operator, Dropout):
        stage.dropout = operator
        return True
    return False
