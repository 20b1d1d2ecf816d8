"""What a network is made of, as instructors mark it: facts without torch, and sentences on them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from bench.figures import format_count

TIERS = (10_000, 8_000)
"""Limits that courses set; a network is in the tier of the smallest that it is strictly below."""

NEAR_THE_OUTPUT = 2
"""A max-pooling with fewer convolutions than this behind it is said to be near the output.

Counted are convolutions of more than one pixel, which can still make something of what is left.
"""

Field = tuple[int, int]
"""Rows and columns of input pixels."""

Head = Literal[
    "global average pooling",
    "global max pooling",
    "global sum pooling",
    "dense",
    "convolution over the whole map",
    "none",
    "unknown",
]
"""What brings the last map down to one position: "none" when the scores still have positions."""


class LayerParameters(Struct, frozen=True, kw_only=True, gc=False):
    """A module with parameters of its own, or any that is never called."""

    name: str
    kind: str
    parameters: int
    called: bool


class Dropout(Struct, frozen=True, kw_only=True, gc=False):
    """One dropout, as a module or a function: its rate, and the layer with weights before it.

    `always` when it is on in evaluation too, where `training` was left out.
    """

    after: str | None
    rate: float
    always: bool


class Cropping(Struct, frozen=True, kw_only=True, gc=False):
    """A pooling whose windows leave the last rows or columns of its map out."""

    kind: str
    side: Field
    kernel: Field
    covered: Field


class Structure(Struct, frozen=True, kw_only=True, gc=False):
    """Structural facts of a network, found while it scores two images.

    Convolutions and depth count calls, so that a module used twice counts twice; parameters count
    once. `depth` is the number of layers with weights on the longest way to the scores.

    Of the convolutions, `normalised` are followed by batch normalisation, of which
    `normalised_before` before and the others after an activation. `idle_biases` are layers whose
    bias goes straight into batch normalisation, which subtracts it again.

    `receptive_field` is the side of the input that one score sees (Araujo, Norris and Sim, Distill
    2019), `local_field` what one position of the last map with positions sees; branches that join
    have the larger one. Both may exceed the image, and are `None` when an operation (`unclear`)
    has no such side. `after_max_pooling` are the convolutions of more than one pixel behind the
    last max-pooling, `None` without one.
    """

    parameters: int
    tier: int | None
    layers: tuple[LayerParameters, ...]
    input_side: Field
    depth: int
    convolutions: int
    pointwise_convolutions: int
    batch_norms: int
    normalised: int
    normalised_before: int
    other_normalisations: int
    idle_biases: tuple[str, ...]
    idle_parameters: int
    dropouts: tuple[Dropout, ...]
    head: Head
    dense_layers: int
    dense_parameters: int
    receptive_field: Field | None
    local_field: Field | None
    unclear: str | None
    score_activation: str | None
    after_max_pooling: int | None
    cropping: tuple[Cropping, ...]

    @property
    def uncalled(self) -> tuple[LayerParameters, ...]:
        """Modules that are built and never called."""
        return tuple(layer for layer in self.layers if not layer.called)


def find_tier(parameters: int, tiers: tuple[int, ...] = TIERS) -> int | None:
    """Return the smallest limit that a number of parameters is strictly below, if any."""
    return min((limit for limit in tiers if parameters < limit), default=None)


def explain(structure: Structure) -> tuple[str, ...]:
    """Return the facts as sentences: what each course asks first, then what is unusual."""
    facts = (
        _explain_parameters(structure),
        _explain_depth(structure),
        _explain_normalisation(structure),
        _explain_dropout(structure),
        _explain_head(structure),
        _explain_field(structure),
    )
    return (*facts, *list_remarks(structure))


def list_remarks(structure: Structure) -> tuple[str, ...]:
    """Return what an instructor would remark on: usual mistakes, and nothing else."""
    remarks = (
        _remark_activation(structure),
        _remark_biases(structure),
        _remark_uncalled(structure),
        _remark_dropout(structure),
        _remark_max_pooling(structure),
        *map(_remark_cropping, structure.cropping),
    )
    return tuple(remark for remark in remarks if remark is not None)


def name_field(field: Field) -> str:
    """Return `28 x 28`."""
    return f"{field[0]} x {field[1]}"


def name_rates(structure: Structure) -> str:
    """Return the rates of all dropouts, each once: `0.05, 0.1`."""
    return ", ".join(f"{rate:g}" for rate in sorted({each.rate for each in structure.dropouts}))


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{format_count(number)} {noun if number == 1 else plural or noun + 's'}"


def _explain_parameters(structure: Structure) -> str:
    tier = (
        "in no tier"
        if structure.tier is None
        else f"below {format_count(structure.tier)}, the smallest tier that it is in"
    )
    return f"{_count(structure.parameters, 'parameter')}: {tier}."


def _explain_depth(structure: Structure) -> str:
    return (
        f"{_count(structure.depth, 'layer')} with weights from image to scores; "
        f"{_count(structure.convolutions, 'convolution')}, "
        f"{structure.pointwise_convolutions} of them 1 x 1."
    )


def _explain_normalisation(structure: Structure) -> str:
    others = (
        f" {_count(structure.other_normalisations, 'normalisation')} of another kind."
        if structure.other_normalisations
        else ""
    )
    if not structure.batch_norms:
        return f"No batch normalisation.{others}"
    before = structure.normalised_before
    after = structure.normalised - before
    return (
        f"{_count(structure.batch_norms, 'batch normalisation')}, behind {structure.normalised} of "
        f"{_count(structure.convolutions, 'convolution')}: {before} before the activation, "
        f"{after} after it.{others}"
    )


def _explain_dropout(structure: Structure) -> str:
    if not structure.dropouts:
        return "No dropout."
    places = ", ".join(each.after or "the image" for each in structure.dropouts)
    rates = name_rates(structure)
    return f"{_count(len(structure.dropouts), 'dropout')} of rate {rates}, after {places}."


def _explain_head(structure: Structure) -> str:
    dense = (
        f"{_count(structure.dense_layers, 'dense layer')} with "
        f"{format_count(structure.dense_parameters)} of {format_count(structure.parameters)} "
        "parameters"
        if structure.dense_layers
        else "no dense layer"
    )
    return f"Head: {structure.head}; {dense}."


def _explain_field(structure: Structure) -> str:
    if structure.receptive_field is None or structure.local_field is None:
        return f"Receptive field unclear: {structure.unclear}."
    return (
        f"One score sees {name_field(structure.receptive_field)} pixels of "
        f"{name_field(structure.input_side)}; one position of the last map before the head sees "
        f"{name_field(structure.local_field)}."
    )


def _remark_activation(structure: Structure) -> str | None:
    if structure.score_activation is None:
        return None
    return (
        f"{structure.score_activation} on the scores: it follows the last layer with weights, and "
        "what it flattens cannot be learnt from."
    )


def _remark_biases(structure: Structure) -> str | None:
    if not structure.idle_biases:
        return None
    return (
        f"Biases straight before batch normalisation, which subtracts them again: "
        f"{', '.join(structure.idle_biases)} ({_count(structure.idle_parameters, 'parameter')})."
    )


def _remark_uncalled(structure: Structure) -> str | None:
    if not structure.uncalled:
        return None
    names = ", ".join(layer.name for layer in structure.uncalled)
    wasted = sum(layer.parameters for layer in structure.uncalled)
    return f"Built and never called: {names} ({_count(wasted, 'parameter')})."


def _remark_dropout(structure: Structure) -> str | None:
    always = sum(each.always for each in structure.dropouts)
    if not always:
        return None
    return (
        f"{_count(always, 'dropout')} on in evaluation too: a function without "
        "`training=self.training`."
    )


def _remark_max_pooling(structure: Structure) -> str | None:
    behind = structure.after_max_pooling
    if behind is None or behind >= NEAR_THE_OUTPUT:
        return None
    return (
        f"Max-pooling near the output: {_count(behind, 'convolution')} of more than one pixel "
        "behind the last one."
    )


def _remark_cropping(cropping: Cropping) -> str:
    return (
        f"{cropping.kind} of {name_field(cropping.kernel)} crops its map of "
        f"{name_field(cropping.side)} to {name_field(cropping.covered)}."
    )
