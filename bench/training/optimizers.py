"""torch's optimisers and weight averages, built from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from models.recipe import EMA, SGD, Adadelta, Adagrad, Adam, Averaging, Optimizer, RMSprop


def build_optimizer(
    recipe: Optimizer, parameters: Iterable[nn.Parameter], *, rate: float
) -> torch.optim.Optimizer:
    """Return torch's own optimiser, fused into one kernel for all parameters where torch can."""
    fused = {} if isinstance(recipe, RMSprop | Adadelta) else {"fused": True}
    return make_optimizer(recipe, parameters, rate=rate, **fused)


def make_optimizer(
    recipe: Optimizer, parameters: Iterable[nn.Parameter], *, rate: float, **options: bool
) -> torch.optim.Optimizer:
    """Return torch's own optimiser, in torch's default implementation or as `options` say."""
    kind, arguments = _translate(recipe)
    return kind(parameters, lr=rate, weight_decay=recipe.weight_decay, **arguments, **options)


def _translate(recipe: Optimizer) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    """Return torch's class and its arguments beside the rate and the weight decay."""
    if isinstance(recipe, SGD):
        return torch.optim.SGD, {
            "momentum": recipe.momentum,
            "nesterov": recipe.nesterov,
            "dampening": recipe.dampening,
        }
    if isinstance(recipe, RMSprop):
        return torch.optim.RMSprop, {
            "alpha": recipe.alpha,
            "eps": recipe.epsilon,
            "momentum": recipe.momentum,
            "centered": recipe.centered,
        }
    if isinstance(recipe, Adagrad):
        return torch.optim.Adagrad, {
            "lr_decay": recipe.rate_decay,
            "eps": recipe.epsilon,
            "initial_accumulator_value": recipe.initial_accumulator,
        }
    if isinstance(recipe, Adadelta):
        return torch.optim.Adadelta, {"rho": recipe.rho, "eps": recipe.epsilon}
    kind = torch.optim.Adam if isinstance(recipe, Adam) else torch.optim.AdamW
    return kind, {
        "betas": (recipe.beta1, recipe.beta2),
        "eps": recipe.epsilon,
        "amsgrad": recipe.amsgrad,
    }


def set_step(optimizer: torch.optim.Optimizer, *, rate: float, momentum: float | None) -> None:
    """Set the learning rate of the next step, and its momentum, beta1 for Adam, unless `None`."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


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
