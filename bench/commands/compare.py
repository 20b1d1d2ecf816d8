"""`bench compare`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct

from bench.commands.models import choose_iterations, model_options
from bench.commands.options import (
    challenge_option,
    complete_iterations,
    find_challenge,
    find_ledger,
    ledger_option,
    read_selection,
)
from bench.errors import EvidenceError
from bench.evidence import Evidence
from bench.figures import cut_points, format_percent
from bench.findings import Comparison, compare_iterations, summarise
from bench.iterations import Iteration
from bench.judgement import encode_document
from bench.ledger import read_outlines
from bench.records import Challenge
from bench.verdict import judge


class Side(Struct, frozen=True, kw_only=True):
    """One of two iterations; `mean` is over the `scored` runs, those with a whole final window."""

    iteration: str
    fingerprint: str
    runs: int
    scored: int
    mean: Fraction | None


class ComparisonDocument(Struct, frozen=True, kw_only=True):
    """A comparison for other programs, with the version of its form."""

    format: Literal[1]
    challenge: Challenge
    dataset: str
    earlier: Side
    later: Side
    comparison: Comparison


@click.command("compare")
@click.argument("first", metavar="ITERATION", shell_complete=complete_iterations)
@click.argument("second", metavar="ITERATION", shell_complete=complete_iterations)
@model_options
@challenge_option
@ledger_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for the terminal, or a document for programs.",
)
def command(
    first: str,
    second: str,
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
    layout: str,
) -> None:
    """Say how much better the seeds of the second iteration do than those of the first.

    Compares the mean accuracy in the last 3 epochs, over the seeds that count, under the conditions
    with the most runs of both. The interval and p are Welch's, for this one comparison; they
    describe and decide nothing. Unlike conditions or images are never compared.

    \b
    bench compare iteration_3 iteration_4
    bench compare iteration_4 model.py:Net --recipe iteration_4
    """  # noqa: D301
    chosen = choose_iterations((first, second), recipe, arguments)
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    earlier, later = _choose_evidence((chosen[0], chosen[-1]), folder, challenge)
    document = ComparisonDocument(
        format=1,
        challenge=challenge,
        dataset=earlier.dataset,
        earlier=_describe(earlier, challenge),
        later=_describe(later, challenge),
        comparison=compare_iterations(earlier, later, challenge),
    )
    if layout == "json":
        click.echo(encode_document(document), nl=False)
    else:
        click.echo("\n".join(write_lines(document)))


def write_lines(document: ComparisonDocument) -> list[str]:
    """Return a comparison as lines for the terminal."""
    earlier, later, comparison = document.earlier, document.later, document.comparison
    width = max(len(earlier.iteration), len(later.iteration))
    lines = [
        f"mean accuracy in the last {document.challenge.window} epochs ({comparison.conditions})",
        _write_side(earlier, width),
        _write_side(later, width),
        f"difference: {_write_difference(document)}",
    ]
    if comparison.improvement is not None:
        lines.append(
            f"probability of improvement: {format_percent(comparison.improvement)} (a seed of "
            f"{later.iteration} against one of {earlier.iteration}, a tie counts half)"
        )
    return lines


def _choose_evidence(
    iterations: tuple[Iteration, Iteration], ledger: Path, challenge: Challenge
) -> tuple[Evidence, Evidence]:
    """Return evidence under the conditions, and on the images, with the most runs of both.

    Raises:
        EvidenceError: an iteration has no runs that count, or they have nothing in common.
    """
    first, second = (_list_evidence(each, ledger, challenge) for each in iterations)
    pairs = [(one, other) for one in first for other in second]
    alike = [
        (one, other)
        for one, other in pairs
        if (one.conditions, one.dataset) == (other.conditions, other.dataset)
    ]
    if not alike:
        raise EvidenceError(_explain_unlike(*pairs[0]))
    return max(alike, key=lambda pair: min(len(each.runs) for each in pair))


def _list_evidence(iteration: Iteration, ledger: Path, challenge: Challenge) -> list[Evidence]:
    selection = read_selection(ledger, challenge, iteration, read=read_outlines)
    evidence = [each for each in selection.evidence if each.runs]
    if not evidence:
        raise EvidenceError(f"{iteration.name}: {judge(selection, iteration, challenge).why}")
    return evidence


def _explain_unlike(first: Evidence, second: Evidence) -> str:
    pair = f"{first.iteration} and {second.iteration} cannot be compared"
    if first.conditions != second.conditions:
        return (
            f"{pair}: unlike conditions ({first.conditions}; {second.conditions}); "
            "train both under the same ones"
        )
    return (
        f"{pair}: unlike images (digests {first.dataset[:12]} and {second.dataset[:12]}); "
        "train both on the same ones"
    )


def _describe(evidence: Evidence, challenge: Challenge) -> Side:
    summary = summarise(evidence, challenge)
    return Side(
        iteration=evidence.iteration,
        fingerprint=evidence.fingerprint,
        runs=summary.runs,
        scored=summary.scored,
        mean=summary.window_accuracy.mean if summary.window_accuracy else None,
    )


def _write_side(side: Side, width: int) -> str:
    mean = "-" if side.mean is None else format_percent(side.mean, decimals=3)
    left_out = side.runs - side.scored
    without = f", {left_out} more without a whole final window" if left_out else ""
    return f"{side.iteration:{width}}  {mean}  {side.scored} seeds{without}"


def _write_difference(document: ComparisonDocument) -> str:
    difference, p = document.comparison.difference, document.comparison.p
    if difference is None:
        return "none, a side has no seed with a whole final window"
    mean = cut_points(difference.mean)
    if difference.lower is None or difference.upper is None or p is None:
        return f"{mean} (no interval: it needs two seeds on either side)"
    return (
        f"{mean} ({float(document.challenge.confidence) * 100:g} % interval "
        f"{cut_points(difference.lower)} to {cut_points(difference.upper)}, p "
        f"{'< 0.0001' if p < 0.0001 else f'= {p:.4f}'})"
    )
