"""What a network returns: class scores, log-probabilities or probabilities, in which shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.adaptation import Scores

TOLERANCE = 1e-3
"""How far the sum of an image's probabilities may be from one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where a network's output has the scores, and whether their shape is another than (N, C)."""

    element: int | str | None
    reshaped: bool


def read_outputs(outputs: Sequence[object], sizes: Sequence[int], classes: int) -> Reading | str:
    """Return where class scores are in a network's outputs, or what is wrong with them.

    `sizes` are the numbers of images that gave the outputs.
    """
    element = _find_element(outputs[0], sizes[0], classes)
    tensors = [pick(output, element) for output in outputs]
    for tensor, size in zip(tensors, sizes, strict=True):
        problem = _find_problem(tensor, size, classes)
        if problem is not None:
            return problem
    shapes = [tuple(tensor.shape) for tensor in tensors]
    return Reading(element=element, reshaped=shapes != [(size, classes) for size in sizes])


def pick(output: object, element: int | str | None) -> Any:
    """Return the scores of an output that may hold more."""
    if element is None or isinstance(output, Tensor):
        return output
    return output[element]  # type: ignore[index]


def _find_element(output: object, size: int, classes: int) -> int | str | None:
    """Return the place of the first tensor that has scores for each image, of several values."""
    if isinstance(output, dict):
        places: list[Any] = list(output)
    elif isinstance(output, list | tuple) and output:
        places = list(range(len(output)))
    else:
        return None
    fitting = [p for p in places if _find_problem(pick(output, p), size, classes) is None]
    return next(iter([*fitting, *places]))  # type: ignore[no-any-return]


def _find_problem(tensor: object, size: int, classes: int) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"returns {type(tensor).__name__}, no tensor of class scores; return one"
    if not tensor.is_floating_point():
        return "returns whole numbers, no class scores; return the scores before argmax"
    shape = tuple(tensor.shape)
    if shape[:1] == (size,) and tensor.numel() == size * classes:
        return None
    if len(shape) >= 2 and shape[0] == size and tensor.numel() == size * shape[1]:
        return (
            f"returns {shape[1]} scores an image, and there are {classes} classes; give its last "
            f"layer {classes} outputs"
        )
    return (
        f"returns values of shape {shape} for {size} images, no scores of {classes} classes each; "
        "correct its forward"
    )


def classify(scores: Tensor) -> Scores:
    """Say what scores (N, C) are: by their sign, and by what those of an image add up to."""
    values = scores.detach().double()
    if bool((values <= TOLERANCE).all()) and _is_one(values.exp().sum(dim=1)):
        return "log-probabilities"
    if bool((values >= 0).all()) and _is_one(values.sum(dim=1)):
        return "probabilities"
    return "class scores"


def _is_one(sums: Tensor) -> bool:
    return bool(((sums - 1).abs() < TOLERANCE).all())


class SoftmaxWatch(TorchDispatchMode):
    """Notices a softmax of what a softmax has returned already."""

    def __init__(self) -> None:
        super().__init__()
        self.doubled = False
        self._results: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Pass an operation on."""
        result = func(*args, **(kwargs or {}))
        if "softmax" in func.name():
            places = {each.data_ptr() for each in self._results}
            self.doubled |= args[0].data_ptr() in places
            self._results.append(result)
        return result
