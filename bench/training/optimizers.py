"""torch's optimisers and weight averages, built from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from models.recipe import EMA, SGD, Adam, Averaging, Optimizer


def build_optimizer(
    recipe: Optimizer, parameters: Iterable[nn.Parameter], *, rate: float
) -> torch.optim.Optimizer:
    """Return torch's own optimiser, fused into one kernel for all parameters."""
    if isinstance(recipe, SGD):
        return torch.optim.SGD(
            parameters,
            lr=rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    kind = torch.optim.Adam if isinstance(recipe, Adam) else torch.optim.AdamW
    return kind(
        parameters,
        lr=rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


class WeightAverage:
    """The averaged copy of a network that a recipe asks for: one network, scored as it is."""

    def __init__(self, network: nn.Module, averaging: Averaging) -> None:
        self._averaging = averaging
        average = _choose_average(averaging)
        self._model = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    def update(self, network: nn.Module, *, epoch: int) -> None:
        """Take in the weights after a step of `epoch` (counted from 1)."""
        if isinstance(self._averaging, EMA) or epoch >= self._averaging.start:
            self._model.update_parameters(network)

    def network(self, trained: nn.Module) -> nn.Module:
        """Return the averaged network, or the trained one when no step was taken in yet."""
        module: nn.Module = self._model.module
        return module if int(self._model.n_averaged) > 0 else trained


_Tensors = tuple[Tensor, ...] | list[Tensor]
_Average = Callable[[_Tensors, _Tensors, Tensor | int], None]


def _choose_average(averaging: Averaging) -> _Average:
    """Return torch's average for floating-point tensors; integers are counters and are copied.

    torch's own equal average fails on the counters of batch normalisation (seen in 2.13).
    """
    average: _Average = (
        get_ema_multi_avg_fn(averaging.decay)
        if isinstance(averaging, EMA)
        else get_swa_multi_avg_fn()
    )

    def update(averaged: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            average(averaged, current, count)
        else:
            for counter, value in zip(averaged, current, strict=True):
                counter.copy_(value)

    return update
