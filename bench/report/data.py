"""From verdicts and findings to the document inside the page: nothing is computed but units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from bench.challenges import MNIST, name_kind
from bench.consistency import Decision
from bench.figures import format_percent
from bench.findings import (
    Comparison,
    EpochSummary,
    Interval,
    Sensitivity,
    ThresholdShare,
    Variation,
)
from bench.public_claims import PUBLIC_CLAIMS, PublicClaim
from bench.records import Challenge, Run
from bench.report.commands import Commands, write_commands
from bench.report.document import (
    Band,
    Claimed,
    Difference,
    Martingales,
    Mean,
    PageData,
    Rate,
    SectionData,
    Step,
    Varied,
)
from bench.report.judged import Judged
from bench.report.network import group_layers
from bench.report.wording import (
    format_exact_percent,
    format_gap,
    format_interval,
    format_number,
)
from bench.run_table import tabulate
from models.recipe import Recipe, schedules

LOSS_DECIMALS = 5
MOST_RATIOS = 1_000
"""Points of the chart of how the evidence decides."""

RATES_AN_EPOCH = 8
"""Points of the learning-rate curve in an epoch."""

MOST_STEPS = 1_000_000
"""Steps of which a curve is made: MNIST image by image. Beyond, as if batches were larger."""


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
        claims=(*_own_claims(judged), *_public_claims(challenge)),
        classes=challenge.classes,
        noun=name_kind(challenge),
    )


def _compose_section(judged: Judged, challenge: Challenge) -> SectionData:
    evidence, findings = judged.evidence, judged.findings
    table, runs, cost = tabulate(evidence.runs), judged.shown, evidence.runs[0].cost
    images = int(table.epochs("validation_total").max(initial=1))
    training = int(table.epochs("training_total").max(initial=1))
    recipe = judged.iteration.recipe
    rates = _list_rates(recipe, training)
    commands = write_commands(judged.iteration, evidence, challenge, runs)
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
        rates=rates,
        rates_logarithmic=_is_logarithmic(recipe, rates),
        blocks=group_layers(cost.layers),
        confusions=findings.difficulty.confusions,
        runs=None if judged.all_shown else len(evidence.runs),
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
    holds, fails, threshold = decision.log_holds, decision.log_fails, decision.log_threshold
    if decision.runs <= MOST_RATIOS:
        return Martingales(holds=holds, fails=fails, threshold=threshold)
    after = _choose_ratios(decision.runs, decision.decided_after)
    return Martingales(
        holds=tuple(holds[runs - 1] for runs in after),
        fails=tuple(fails[runs - 1] for runs in after),
        threshold=threshold,
        after=after,
    )


def _choose_ratios(runs: int, decided_after: int | None) -> tuple[int, ...]:
    """Return after how many runs the ratios are shown: denser where fewer have decided."""
    steps = (round(runs ** (step / MOST_RATIOS)) for step in range(MOST_RATIOS + 1))
    return tuple(sorted({*steps, decided_after or runs}))


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
    changed = {
        "window": f"last {format_number(variation.window, 'epoch')}",
        "reliability": f"{label} of seeds",
    }
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


def _is_logarithmic(recipe: Recipe, rates: tuple[Rate, ...]) -> bool:
    """Say whether rates are drawn by their ratios: where the schedule multiplies them."""
    multiplies = isinstance(
        recipe.schedule, schedules.Step | schedules.MultiStep | schedules.Exponential
    )
    return multiplies and all(each.rate > 0 for each in rates)


def _list_rates(recipe: Recipe, training: int) -> tuple[Rate, ...]:
    """Return the learning rate at some steps of each epoch, and where the last one ends."""
    steps = max(1, min(-(-training // recipe.batch_size), MOST_STEPS // recipe.epochs))
    try:
        table = recipe.rates(steps_per_epoch=steps)
    except (ValueError, ArithmeticError):  # no run can have been trained so
        return ()
    every = max(1, steps // RATES_AN_EPOCH)
    shown = [step for step in range(len(table)) if step % steps % every == 0]
    points = [(step / steps, table[step]) for step in shown]
    points.append((float(recipe.epochs), table[-1]))
    return tuple(
        Rate(epoch=round(epoch, 4), rate=rate) for epoch, rate in points if math.isfinite(rate)
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
        if each.main and each.iteration.narrative.claim is not None and each.findings.claims
    ]


def _public_claims(challenge: Challenge) -> list[Claimed]:
    """Return what others report of MNIST, nothing on other images."""
    if challenge.dataset != MNIST.dataset:
        return []
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
