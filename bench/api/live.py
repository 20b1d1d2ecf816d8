"""The network as the caller's process has it, beside the one that workers build from its source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from bench.api.models import unwrap
from bench.errors import IterationError
from bench.executors.inspection import Inspection, Shapes, list_shapes
from bench.figures import format_count

if TYPE_CHECKING:
    from bench.api.models import Model


def check_live(model: Model, arguments: Mapping[str, Any] | None, found: Inspection) -> None:
    """Make sure that a class or a function builds here what its source builds in workers.

    Raises:
        IterationError: names or shapes of their parameters differ.
    """
    model, given = unwrap(model, dict(arguments or {}))
    if isinstance(model, str | Path):
        return
    with torch.random.fork_rng(devices=[]):
        network = model(**given)
    if not isinstance(network, nn.Module) or any(map(is_lazy, network.parameters())):
        return
    here, there = list_shapes(network), found.shapes
    if not _is_same(here, there):
        raise IterationError(
            f"{found.iteration.label}: workers build it from its source, and there it has other "
            f"parameters than here ({_describe(there)}, not {_describe(here)}): something was set "
            "while the program ran; pass it as arguments={...}"
        )


def _is_same(here: Shapes, there: Shapes) -> bool:
    """Compare networks; modules around one put their names before its own."""
    return len(here) == len(there) and all(
        shape == other and f".{name}".endswith(f".{own}")
        for (own, shape), (name, other) in zip(here, there, strict=True)
    )


def _describe(shapes: Shapes) -> str:
    return f"{format_count(sum(math.prod(shape) for _, shape in shapes))} in {len(shapes)} tensors"
