"""torch's SGD, Adam and AdamW with a momentum that changes at every step of a CUDA graph.

torch's own fused optimisers take the momentum as a number, which a graph would keep for ever. The
stack's parameters are one vector, so that a step is a few operations on it. The tests compare them
with torch's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.recipe import SGD, Adam, AdamW


class CyclingOptimizer:
    """Steps one parameter by its gradient; `rate` and `momentum` are read from the device."""

    def __init__(
        self, recipe: SGD | Adam | AdamW, parameter: nn.Parameter, *, rate: Tensor, momentum: Tensor
    ) -> None:
        self._recipe, self._parameter = recipe, parameter
        self._rate, self._momentum = rate, momentum
        self._mean = torch.zeros_like(parameter.data)
        adaptive = not isinstance(recipe, SGD)
        self._squares = torch.zeros_like(parameter.data) if adaptive else None
        largest = isinstance(recipe, Adam | AdamW) and recipe.amsgrad
        self._largest = torch.zeros_like(parameter.data) if largest else None
        self._steps = torch.zeros((), device=parameter.device)

    def reset(self) -> None:
        """Forget all steps."""
        for tensor in (self._mean, self._squares, self._largest, self._steps):
            if tensor is not None:
                tensor.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameter."""
        gradient = self._parameter.grad
        assert gradient is not None  # noqa: S101  (the stack makes one)
        if isinstance(self._recipe, SGD):
            self._step_sgd(self._recipe, gradient)
        else:
            self._step_adam(self._recipe, gradient)

    def _step_sgd(self, recipe: SGD, gradient: Tensor) -> None:
        decayed = gradient.add(self._parameter, alpha=recipe.weight_decay)
        self._mean.mul_(self._momentum).add_(decayed)
        move = decayed.addcmul(self._mean, self._momentum) if recipe.nesterov else self._mean
        self._parameter.addcmul_(move, self._rate, value=-1.0)

    def _step_adam(self, recipe: Adam | AdamW, gradient: Tensor) -> None:
        assert self._squares is not None  # noqa: S101
        self._steps += 1
        if isinstance(recipe, AdamW):
            self._parameter.mul_(1.0 - self._rate * recipe.weight_decay)
        else:
            gradient = gradient.add(self._parameter, alpha=recipe.weight_decay)
        self._mean.lerp_(gradient, 1.0 - self._momentum)
        self._squares.mul_(recipe.beta2).addcmul_(gradient, gradient, value=1.0 - recipe.beta2)
        squares = self._squares
        if self._largest is not None:
            squares = torch.maximum(self._largest, squares, out=self._largest)
        # the corrections in double precision, as torch has them on the CPU
        steps = self._steps.double()
        first = 1.0 - self._momentum.double() ** steps
        second = (1.0 - recipe.beta2**steps).sqrt()
        denominator = (squares.sqrt() / second).add_(recipe.epsilon)
        self._parameter.addcmul_(self._mean / denominator, self._rate / first, value=-1.0)
