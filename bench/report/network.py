"""The layers of a network, drawn together to the steps that a reader sees."""

from __future__ import annotations

from dataclasses import dataclass

from bench.figures import format_count
from bench.records import LayerCost
from bench.report.wording import format_number

PASSING = ("Norm", "ReLU", "GELU", "SiLU", "Dropout", "Identity", "Softmax", "Tanh", "Sigmoid")
"""Kinds of layers that are drawn with the one before them."""

SHORT_KIND = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One step: a layer with the normalisation, activation and dropout that follow it.

    `side` is that of the feature map in pixels, `field` what an output sees of the input.
    """

    kind: str
    shape: str
    channels: int
    side: int
    parameters: int
    field: int | None
    text: str


def group_layers(layers: tuple[LayerCost, ...]) -> tuple[Block, ...]:
    """Return the steps in calling order; every layer is in exactly one of them."""
    groups: list[list[LayerCost]] = []
    for layer in layers:
        if groups and any(word in layer.kind for word in PASSING):
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return tuple(map(_describe, groups))


def _describe(group: list[LayerCost]) -> Block:
    first, last = group[0], group[-1]
    channels, *sides = last.output_shape or (1,)
    parameters = sum(layer.parameters for layer in group)
    macs = sum(layer.macs for layer in group)
    kinds = ", ".join(layer.kind for layer in group)
    shape = "×".join(map(str, last.output_shape))
    return Block(
        kind=_shorten(first.kind),
        shape=shape,
        channels=channels,
        side=max(sides, default=1),
        parameters=parameters,
        field=last.receptive_field,
        text=f"{first.name}: {kinds}; output {shape}, {format_number(parameters, 'parameter')}, "
        f"{format_count(macs)} MACs"
        + (f", sees {last.receptive_field}×{last.receptive_field}" if last.receptive_field else ""),
    )


def _shorten(kind: str) -> str:
    kind = kind.removeprefix("Adaptive").removesuffix("2d")
    return kind if len(kind) <= SHORT_KIND else f"{kind[: SHORT_KIND - 1]}…"
