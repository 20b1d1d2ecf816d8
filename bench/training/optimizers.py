"""torch's optimisers and weight averages, built from a recipe."""

from __future__ import annotations

from collections.abc import Iterable

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


def _take_into_mean(
    averaged: list[Tensor] | tuple[Tensor, ...],
    current: list[Tensor] | tuple[Tensor, ...],
    count: Tensor | int,
) -> None:
    """Update torch's equal average; whole numbers, as BatchNorm's step counts, are copied."""
    if torch.is_floating_point(averaged[0]):
        get_swa_multi_avg_fn()(averaged, current, count)
        return
    for mean, value in zip(averaged, current, strict=True):
        mean.copy_(value)


class WeightAverage:
    """The averaged copy of a network that a recipe asks for: one network, scored as it is."""

    def __init__(self, network: nn.Module, averaging: Averaging) -> None:
        self._averaging = averaging
        average = (
            get_ema_multi_avg_fn(averaging.decay) if isinstance(averaging, EMA) else _take_into_mean
        )
        self._model = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    def update(self, network: nn.Module, *, epoch: int) -> None:
        """Take in the weights after a step of `epoch` (counted from 1)."""
        if isinstance(self._averaging, EMA) or epoch >= self._averaging.start:
            self._model.update_parameters(network)

    def network(self, trained: nn.Module) -> nn.Module:
        """Return the averaged network, or the trained one when no step was taken in yet."""
        module: nn.Module = self._model.module
        return module if int(self._model.n_averaged) > 0 else trained
