"""Parameters and running statistics of K networks of one kind, in one flat tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from bench.training.programs import BatchNormalisation, Convolution, Dense, Program

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Name and shape of each parameter and each running statistic that a program uses."""

    parameters: Shapes
    statistics: Shapes


def lay_out(program: Program, network: nn.Module) -> Layout:
    """Return the layout of `network`, in the order in which the program uses its tensors."""
    tensors = dict(network.named_parameters(remove_duplicate=False)) | dict(network.named_buffers())

    def shapes(names: Iterable[str | None]) -> Shapes:
        once = dict.fromkeys(name for name in names if name is not None)
        return tuple((name, tuple(tensors[name].shape)) for name in once)

    operators = [operation.operator for operation in program.operations]
    weighted = [o for o in operators if isinstance(o, Convolution | Dense | BatchNormalisation)]
    normalised = [o for o in operators if isinstance(o, BatchNormalisation)]
    return Layout(
        parameters=shapes(name for o in weighted for name in (o.weight, o.bias)),
        statistics=shapes(n for o in normalised for n in (o.running_mean, o.running_variance)),
    )


class State:
    """Views (K, *shape) by name into `flat`, all parameters before all statistics.

    Each view is contiguous: the flat tensor has a segment (K, size) for each name rather than a row
    for each seed, so that a layer's weights are one operand of a batched product or a grouped
    convolution without a copy. For optimiser and averages, which go element by element, it is one
    long vector. Float32, zero until it is loaded.
    """

    def __init__(self, layout: Layout, *, width: int, device: torch.device) -> None:
        self._layout, self._width = layout, width
        named = [*layout.parameters, *layout.statistics]
        sizes = [width * math.prod(shape) for _, shape in named]
        ends = list(accumulate(sizes))
        self.flat = torch.zeros(ends[-1], device=device)
        self.views: dict[str, Tensor] = {
            name: self.flat[end - size : end].view(width, *shape)
            for (name, shape), size, end in zip(named, sizes, ends, strict=True)
        }
        self.parameter_count = sum(sizes[: len(layout.parameters)])

    def parameters(self) -> nn.Parameter:
        """Return all parameters as one vector that shares their memory."""
        return nn.Parameter(self.flat[: self.parameter_count].detach())

    def leaves(self) -> dict[str, Tensor]:
        """Return each parameter as a leaf that shares its memory."""
        return {
            name: self.views[name].detach().requires_grad_() for name, _ in self._layout.parameters
        }

    @torch.no_grad()
    def load(self, networks: Sequence[Mapping[str, Tensor]]) -> None:
        """Copy in the tensors of K networks, given by name; one transfer to the device."""
        names = [name for name, _ in (*self._layout.parameters, *self._layout.statistics)]
        stacked = [torch.stack([tensors[name] for tensors in networks]) for name in names]
        self.flat.copy_(torch.cat([tensor.flatten().float() for tensor in stacked]))
