"""The JSON document inside the page: what its charts draw and its buttons download.

An accuracy is a count of images in it, so that no float stands between a figure and the target.
"""

from __future__ import annotations

import msgspec
from markupsafe import Markup
from msgspec import Struct

from bench.findings import Confusion
from bench.report.network import Block

TAME = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028",
        0x2029: "\\u2029"}  # fmt: skip
"""Characters that could end a script element or a line of script, as JSON may write them too."""


class Band(Struct, frozen=True, kw_only=True):
    """What the seeds have in common in one epoch, in correct images and nats."""

    epoch: int
    runs: int
    median: float
    lower: float
    upper: float
    training: float
    validation_loss: float
    training_loss: float


class Step(Struct, frozen=True, kw_only=True):
    """The share of seeds at or above a threshold, with its bounds, and as text."""

    threshold: float
    share: float
    lower: float
    upper: float
    label: str
    of: str
    bounds: str


class Varied(Struct, frozen=True, kw_only=True):
    """What the rule says when one number of the challenge is another."""

    group: str
    label: str
    answer: str
    of: str
    asked: bool
    text: str


class Mean(Struct, frozen=True, kw_only=True):
    """The mean accuracy of the final window with its interval."""

    value: float
    lower: float | None
    upper: float | None
    text: str


class Martingales(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Natural logarithms of both evidence ratios after 1, 2, ... seeds, or of many after some."""

    holds: tuple[float, ...]
    fails: tuple[float, ...]
    threshold: float
    after: tuple[int, ...] | None = None


class Rate(Struct, frozen=True, kw_only=True):
    """The learning rate after so many epochs."""

    epoch: float
    rate: float


class SectionData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One verdict's runs, a column a quantity and a place a seed; errors are images got wrong.

    Of many seeds those that are shown one by one; `bands`, `thresholds`, `paths`, `sensitivity` and
    `confusions` are of all, and `runs` says how many those are.
    """

    anchor: str
    iteration: str
    name: str
    main: bool
    answer: str
    conditions: str
    fingerprint: str
    images: int
    training_images: int
    epochs: int
    window: int
    parameters: int
    macs: int
    mean: Mean | None
    worst: float | None
    seeds: tuple[int, ...]
    outcomes: tuple[str, ...]
    minima: tuple[float | None, ...]
    bests: tuple[float | None, ...]
    best_epochs: tuple[int | None, ...]
    firsts: tuple[int | None, ...]
    seconds: tuple[float, ...]
    commits: tuple[str, ...]
    commit_of: tuple[int, ...]
    commands: tuple[str, ...]
    validation_errors: tuple[tuple[float, ...], ...]
    training_errors: tuple[tuple[float, ...], ...]
    validation_loss: tuple[tuple[float, ...], ...]
    training_loss: tuple[tuple[float, ...], ...]
    bands: tuple[Band, ...]
    paths: Martingales | None
    thresholds: tuple[Step, ...]
    sensitivity: tuple[Varied, ...]
    rates: tuple[Rate, ...]
    rates_logarithmic: bool
    blocks: tuple[Block, ...]
    confusions: tuple[Confusion, ...]
    runs: int | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """One iteration against the one before, in percentage points."""

    name: str
    mean: float
    lower: float
    upper: float
    text: str


class Claimed(Struct, frozen=True, kw_only=True):
    """A single run that somebody reported."""

    name: str
    parameters: int
    accuracy: float
    text: str


class PageData(Struct, frozen=True, kw_only=True):
    """The whole document; `fronts` names the sections that no other beats at their cost.

    `classes` names the labels, `noun` what one of them is called.
    """

    challenge: str
    target: float
    reliability: float
    parameters: int
    floor: float
    sections: tuple[SectionData, ...]
    steps: tuple[Difference, ...]
    fronts: dict[str, tuple[str, ...]]
    claims: tuple[Claimed, ...]
    classes: tuple[str, ...]
    noun: str


def write_data(data: PageData) -> Markup:
    """Return the document as JSON that no text in it can end before its end."""
    return Markup(msgspec.json.encode(data).decode().translate(TAME))  # noqa: S704
