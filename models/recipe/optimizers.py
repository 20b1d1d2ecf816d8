"""Optimisers of a recipe: torch's own, with torch's meaning of every argument.

The learning rate is the schedule's. Iteration files import these from `models.recipe`.
"""

from __future__ import annotations

from dataclasses import dataclass


def require(*, holds: bool, text: str) -> None:
    """Raise `ValueError` with `text`, which names the value, unless the condition holds."""
    if not holds:
        raise ValueError(text)


def _check_not_negative(**values: float) -> None:
    for name, value in values.items():
        require(holds=value >= 0, text=f"{name}={value}: must not be negative")


def _check_betas(**values: float) -> None:
    for name, value in values.items():
        require(holds=0 <= value < 1, text=f"{name}={value}: must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class SGD:
    """`torch.optim.SGD`."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    dampening: float = 0.0

    def __post_init__(self) -> None:
        _check_not_negative(momentum=self.momentum, weight_decay=self.weight_decay)
        require(
            holds=not self.nesterov or (self.momentum > 0 and self.dampening == 0),
            text="nesterov=True: needs a momentum above 0 and no dampening",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam:
    """`torch.optim.Adam`: weight decay is added to the gradient."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def __post_init__(self) -> None:
        _check_betas(beta1=self.beta1, beta2=self.beta2)
        _check_not_negative(epsilon=self.epsilon, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamW:
    """`torch.optim.AdamW`: weight decay is decoupled from the gradient; torch's default is 0.01."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def __post_init__(self) -> None:
        _check_betas(beta1=self.beta1, beta2=self.beta2)
        _check_not_negative(epsilon=self.epsilon, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSprop:
    """`torch.optim.RMSprop`."""

    alpha: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        _check_not_negative(
            alpha=self.alpha,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Adagrad:
    """`torch.optim.Adagrad`."""

    rate_decay: float = 0.0
    epsilon: float = 1e-10
    weight_decay: float = 0.0
    initial_accumulator: float = 0.0

    def __post_init__(self) -> None:
        _check_not_negative(
            rate_decay=self.rate_decay,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            initial_accumulator=self.initial_accumulator,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Adadelta:
    """`torch.optim.Adadelta`."""

    rho: float = 0.9
    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require(holds=0 <= self.rho <= 1, text=f"rho={self.rho}: must be from 0 to 1")
        _check_not_negative(epsilon=self.epsilon, weight_decay=self.weight_decay)


Optimizer = SGD | Adam | AdamW | RMSprop | Adagrad | Adadelta
