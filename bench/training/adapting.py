"""What stands before and behind a network that nobody here wrote, and only where it is needed.

Hooks of the module, not layers of it: its parameters keep their names, and an engine that follows
`forward` itself sees the network as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.adaptation import Adaptation

LEAST_PROBABILITY = 1e-12
"""A probability below it counts as it: the logarithm of zero is no loss."""

CALLED = "network"
"""The name of a network inside the module that calls it."""


class Called(nn.Module):
    """A network that overrides `__call__`, which hooks and tracers would pass by."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        """Return what calling the network returns."""
        return self.network(images)


def adapt(network: nn.Module, adaptation: Adaptation) -> nn.Module:
    """Return a network that takes images (N, *shape) and returns scores (N, classes).

    Layers that wait for their first images to know their size are given some.
    """
    adapted = Called(network) if adaptation.calls else network
    before, behind = _Before(adaptation), _Behind(adaptation)
    if before.needed:
        adapted.register_forward_pre_hook(before)
    if behind.needed:
        adapted.register_forward_hook(behind)
    if any(is_lazy(parameter) for parameter in adapted.parameters()):
        with torch.no_grad():
            adapted.eval()(torch.zeros(2, *adaptation.shape))
            adapted.train()
    return adapted


def choose_memory_format(network: nn.Module) -> torch.memory_format:
    """Return how a network's maps are laid out: channels last, unless it cannot have it so."""
    hooks = network._forward_pre_hooks.values()
    contiguous = any(isinstance(h, _Before) and h.adaptation.contiguous for h in hooks)
    return torch.contiguous_format if contiguous else torch.channels_last


@dataclass(frozen=True, slots=True)
class _Before:
    adaptation: Adaptation

    @property
    def needed(self) -> bool:
        a = self.adaptation
        return a.contiguous or a.changes_images

    def __call__(self, _network: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        images, wanted = inputs[0], self.adaptation
        if wanted.side is not None:
            images = pad(images, wanted.side)
        if wanted.channels is not None:
            images = images.repeat(1, wanted.channels, 1, 1)
        if wanted.flat:
            images = images.flatten(1)
        if wanted.contiguous:
            images = images.contiguous()
        return (images,)


def pad(images: Tensor, side: int) -> Tensor:
    """Return images (N, C, H, W) in the middle of squares of background: their lowest value."""
    rows, columns = images.shape[2:]
    top, left = (side - rows) // 2, (side - columns) // 2
    lowest = images.amin(dim=(1, 2, 3), keepdim=True)
    padded = lowest.expand(len(images), images.shape[1], side, side).clone()
    padded[:, :, top : top + rows, left : left + columns] = images
    return padded


@dataclass(frozen=True, slots=True)
class _Behind:
    adaptation: Adaptation

    @property
    def needed(self) -> bool:
        a = self.adaptation
        return a.reshaped or a.element is not None or "probabilities" in (a.training, a.evaluation)

    def __call__(self, network: nn.Module, inputs: tuple[Tensor], output: Any) -> Tensor:
        given = self.adaptation
        if given.element is not None and not isinstance(output, Tensor):
            output = output[given.element]
        scores: Tensor = output
        if given.reshaped:
            scores = scores.reshape(len(inputs[0]), given.classes)
        if (given.training if network.training else given.evaluation) == "probabilities":
            scores = scores.clamp_min(LEAST_PROBABILITY).log()
        return scores
