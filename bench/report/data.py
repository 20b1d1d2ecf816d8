"""What the page's charts draw and its buttons download, as one JSON document inside the page.

Everything here was recorded or found elsewhere; nothing is computed but units: an accuracy becomes
a count of images, so that no float stands between a figure and the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import msgspec
from markupsafe import Markup
from msgspec import Struct

from bench.consistency import Decision
from bench.evidence import Evidence
from bench.figures import format_percent
from bench.findings import (
    Comparison,
    Confusion,
    EpochSummary,
    Findings,
    Interval,
    Sensitivity,
    ThresholdShare,
    Variation,
)
from bench.iterations import Iteration
from bench.public_claims import PUBLIC_CLAIMS, PublicClaim
from bench.records import Challenge, Run
from bench.report.commands import Commands, write_commands
from bench.report.network import Block, group_layers
from bench.report.wording import (
    format_exact_percent,
    format_gap,
    format_interval,
    format_number,
    name_iteration,
)
from bench.verdict import Verdict
from models.recipe import MultiStep, Recipe

LOSS_DECIMALS = 5
RATES_AN_EPOCH = 8
"""Points of the learning-rate curve in an epoch."""

MOST_STEPS = 1_000_000
"""Steps of which a curve is made: MNIST image by image. Beyond, as if batches were larger."""

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


class Martingales(Struct, frozen=True, kw_only=True):
    """Natural logarithms of both evidence ratios after 1, 2, ... seeds."""

    holds: tuple[float, ...]
    fails: tuple[float, ...]
    threshold: float


class Rate(Struct, frozen=True, kw_only=True):
    """The learning rate after so many epochs."""

    epoch: float
    rate: float


class SectionData(Struct, frozen=True, kw_only=True):
    """One verdict's runs, a column a quantity and a place a seed; errors are images got wrong."""

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
    """The whole document; `fronts` names the sections that no other beats at their cost."""

    challenge: str
    target: float
    reliability: float
    parameters: int
    floor: float
    sections: tuple[SectionData, ...]
    steps: tuple[Difference, ...]
    fronts: dict[str, tuple[str, ...]]
    claims: tuple[Claimed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A verdict that rests on runs, with all that was found of them, and its place on the page.

    `main` says that no other conditions of this iteration have more runs.
    """

    anchor: str
    main: bool
    verdict: Verdict
    iteration: Iteration
    evidence: Evidence
    findings: Findings

    @property
    def name(self) -> str:
        """Return the iteration as a heading."""
        return name_iteration(self.iteration)


def compose_data(
    judged: Sequence[Judged],
    comparisons: Sequence[Comparison],
    fronts: dict[str, tuple[str, ...]],
    challenge: Challenge,
) -> PageData:
    """Compose the document of all verdicts that rest on runs."""
    sections = tuple(_compose_section(each, challenge) for each in judged)
    return PageData(
        challenge=challenge.name,
        target=float(challenge.target),
        reliability=float(challenge.reliability),
        parameters=challenge.parameters,
        floor=0.5 / max((section.images for section in sections), default=1),
        sections=sections,
        steps=_compose_steps(comparisons, challenge),
        fronts=fronts,
        claims=() if challenge.demonstration else (*_own_claims(judged), *_public_claims()),
    )


def write_data(data: PageData) -> Markup:
    """Return the document as JSON that no text in it can end before its end."""
    return Markup(msgspec.json.encode(data).decode().translate(TAME))  # noqa: S704


def _compose_section(judged: Judged, challenge: Challenge) -> SectionData:
    evidence, findings = judged.evidence, judged.findings
    runs, cost = evidence.runs, evidence.runs[0].cost
    images = max((e.validation_total for run in runs for e in run.epochs), default=1)
    training = max((e.training_total for run in runs for e in run.epochs), default=1)
    recipe = judged.iteration.recipe
    commands = write_commands(judged.iteration, evidence, challenge)
    scores = findings.runs
    worst = findings.summary.worst
    return SectionData(
        anchor=judged.anchor,
        iteration=evidence.iteration,
        name=judged.name,
        main=judged.main,
        answer=str(judged.verdict.answer),
        conditions=str(evidence.conditions),
        fingerprint=evidence.fingerprint,
        images=images,
        training_images=training,
        epochs=recipe.epochs,
        window=challenge.window,
        parameters=cost.parameters,
        macs=cost.macs,
        mean=_describe_mean(findings.summary.window_accuracy, challenge),
        worst=_scale(worst.correct, worst.total, images) if worst else None,
        seeds=tuple(run.seed for run in runs),
        outcomes=tuple(score.outcome for score in scores),
        minima=tuple(_count(score.window_minimum, images) for score in scores),
        bests=tuple(_count(score.best, images) for score in scores),
        best_epochs=tuple(score.best_epoch for score in scores),
        firsts=tuple(score.first_epoch for score in scores),
        seconds=tuple(round(run.wall_seconds, 1) for run in runs),
        **_list_commands(commands),
        **_list_epochs(runs, images, training),
        bands=tuple(_compose_band(each, images, training) for each in findings.epochs),
        paths=_compose_paths(judged.verdict.reliable),
        thresholds=tuple(_compose_step(each, challenge) for each in findings.thresholds),
        sensitivity=_compose_sensitivity(findings.sensitivity, challenge),
        rates=_list_rates(recipe, training),
        rates_logarithmic=isinstance(recipe.schedule, MultiStep),
        blocks=group_layers(cost.layers),
        confusions=findings.difficulty.confusions,
    )


def _list_commands(commands: Commands) -> dict[str, Any]:
    return {
        "commits": commands.commits,
        "commit_of": commands.commit_of,
        "commands": commands.templates,
    }


def _list_epochs(runs: Sequence[Run], images: int, training: int) -> dict[str, Any]:
    return {
        "validation_errors": tuple(
            tuple(_wrong(e.validation_correct, e.validation_total, images) for e in run.epochs)
            for run in runs
        ),
        "training_errors": tuple(
            tuple(_wrong(e.training_correct, e.training_total, training) for e in run.epochs)
            for run in runs
        ),
        "validation_loss": tuple(
            tuple(round(e.validation_loss, LOSS_DECIMALS) for e in run.epochs) for run in runs
        ),
        "training_loss": tuple(
            tuple(round(e.training_loss, LOSS_DECIMALS) for e in run.epochs) for run in runs
        ),
    }


def _wrong(correct: int, total: int, images: int) -> float:
    """Return the images got wrong; of another total than the section's, in proportion."""
    if total == images:
        return images - correct
    return images - float(Fraction(correct * images, total))


def _scale(correct: int | None, total: int | None, images: int) -> float | None:
    if correct is None or total is None:
        return None
    return _count(Fraction(correct, total), images)


def _count(accuracy: Fraction | None, images: int) -> float | None:
    """Return an accuracy as a count of images: whole where it is one."""
    if accuracy is None:
        return None
    count = accuracy * images
    return int(count) if count.denominator == 1 else float(count)


def _compose_band(summary: EpochSummary, images: int, training: int) -> Band:
    return Band(
        epoch=summary.epoch,
        runs=summary.runs,
        median=float(summary.validation_median * images),
        lower=float(summary.validation_lower * images),
        upper=float(summary.validation_upper * images),
        training=float(summary.training_median * training),
        validation_loss=round(summary.validation_loss_median, LOSS_DECIMALS),
        training_loss=round(summary.training_loss_median, LOSS_DECIMALS),
    )


def _compose_paths(decision: Decision | None) -> Martingales | None:
    if decision is None:
        return None
    return Martingales(
        holds=decision.log_holds, fails=decision.log_fails, threshold=decision.log_threshold
    )


def _compose_step(each: ThresholdShare, challenge: Challenge) -> Step:
    target = each.threshold == challenge.target
    share = each.share
    return Step(
        threshold=float(each.threshold),
        share=share.part / share.whole,
        lower=share.lower,
        upper=share.upper,
        label=(format_exact_percent if target else format_percent)(each.threshold)
        + (", the target" if target else ""),
        of=f"{share.part} of {format_number(share.whole, 'seed')}",
        bounds=f"{format_percent(share.lower, decimals=1)} to "
        f"{format_percent(share.upper, decimals=1)}",
    )


def _compose_sensitivity(sensitivity: Sensitivity, challenge: Challenge) -> tuple[Varied, ...]:
    return (
        *(_vary("window", str(v.window), v, challenge) for v in sensitivity.windows),
        *(
            _vary("reliability", format_exact_percent(v.reliability), v, challenge)
            for v in sensitivity.reliabilities
        ),
        *(
            _vary("target", format_exact_percent(v.target), v, challenge)
            for v in sensitivity.targets
        ),
    )


def _vary(group: str, label: str, variation: Variation, challenge: Challenge) -> Varied:
    asked = (variation.window, variation.reliability, variation.target) == (
        challenge.window,
        challenge.reliability,
        challenge.target,
    )
    changed = {"window": f"last {label} epochs", "reliability": f"{label} of seeds"}
    return Varied(
        group=group,
        label=label,
        answer=str(variation.answer),
        of=f"{variation.holding}/{variation.runs}",
        asked=asked,
        text=f"{changed.get(group, f'target {label}')}{' (as asked)' if asked else ''}: "
        f"{variation.holding} of {format_number(variation.runs, 'seed')} hold, {variation.answer}",
    )


def _describe_mean(interval: Interval | None, challenge: Challenge) -> Mean | None:
    if interval is None:
        return None
    return Mean(
        value=float(interval.mean),
        lower=interval.lower,
        upper=interval.upper,
        text=format_interval(interval, confidence=challenge.confidence),
    )


def _list_rates(recipe: Recipe, training: int) -> tuple[Rate, ...]:
    """Return the learning rate at some steps of each epoch, and where the last one ends."""
    steps = min(-(-training // recipe.batch_size), MOST_STEPS // recipe.epochs)
    table = recipe.schedule.table(epochs=recipe.epochs, steps_per_epoch=steps)
    every = max(1, steps // RATES_AN_EPOCH)
    shown = [step for step in range(len(table)) if step % steps % every == 0]
    return (
        *(Rate(epoch=round(step / steps, 4), rate=table[step]) for step in shown),
        Rate(epoch=float(recipe.epochs), rate=table[-1]),
    )


def _compose_steps(
    comparisons: Sequence[Comparison], challenge: Challenge
) -> tuple[Difference, ...]:
    several = len({comparison.conditions for comparison in comparisons}) > 1
    return tuple(
        Difference(
            name=f"{each.earlier.replace('_', ' ')} to {each.later.replace('_', ' ')}"
            + (f" ({each.conditions.engine} engine)" if several else ""),
            mean=100 * float(each.difference.mean),
            lower=100 * each.difference.lower,
            upper=100 * each.difference.upper,
            text=format_gap(each.difference, confidence=challenge.confidence),
        )
        for each in comparisons
        if each.difference
        and each.difference.lower is not None
        and each.difference.upper is not None
    )


def _own_claims(judged: Sequence[Judged]) -> list[Claimed]:
    return [
        Claimed(
            name=f"{each.name}, as its author claimed",
            parameters=each.evidence.runs[0].cost.parameters,
            accuracy=each.iteration.narrative.claim.validation_accuracy / 100,
            text=f"{each.iteration.narrative.claim.validation_accuracy:g} % in one run",
        )
        for each in judged
        if each.main and each.iteration.narrative.claim is not None
    ]


def _public_claims() -> list[Claimed]:
    return [
        Claimed(
            name=_name_claim(claim),
            parameters=claim.parameters,
            accuracy=float(claim.accuracy) / 100,
            text=f"{claim.accuracy} % in the best epoch of one run, "
            + (f"{claim.lowest} % in the worst of its last three" if claim.lowest else "no log"),
        )
        for claim in PUBLIC_CLAIMS
    ]


def _name_claim(claim: PublicClaim) -> str:
    source = claim.source.split("/", maxsplit=3)[-1] if claim.source else "source not known"
    return f"{claim.parameters:,} parameters ({source})"
