"""`bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
from msgspec import Struct

from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    ledger_option,
    read_selection,
)
from bench.comparison import Comparison, Side, compare
from bench.errors import EvidenceError
from bench.evidence import Evidence, Selection
from bench.figures import format_percent
from bench.iterations import select_iterations
from bench.judgement import encode_document
from bench.ledger import read_outlines
from bench.records import Challenge
from bench.verdict import judge


class ComparisonDocument(Struct, frozen=True, kw_only=True):
    """A comparison for other programs, with the version of its form."""

    format: Literal[1]
    challenge: Challenge
    comparison: Comparison


@click.command("compare")
@click.argument("first", metavar="ITERATION")
@click.argument("second", metavar="ITERATION")
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
def command(first: str, second: str, dataset: str, ledger: Path | None, layout: str) -> None:
    """Say how much better the seeds of the second iteration do than those of the first.

    Compares the mean accuracy in the last 3 epochs, over the seeds that count, under the conditions
    with the most runs of both. The interval and p are Welch's, for this one comparison; they
    describe and decide nothing. Unlike conditions or images are never compared.

    \b
    bench compare iteration_3 iteration_4
    """  # noqa: D301
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    comparison = compare(*_choose_evidence((first, second), folder, challenge), challenge)
    if layout == "json":
        document = ComparisonDocument(format=1, challenge=challenge, comparison=comparison)
        click.echo(encode_document(document), nl=False)
    else:
        click.echo("\n".join(write_lines(comparison, challenge)))


def write_lines(comparison: Comparison, challenge: Challenge) -> list[str]:
    """Return a comparison as lines for the terminal."""
    first, second = comparison.first, comparison.second
    width = max(len(first.iteration), len(second.iteration))
    lines = [
        f"mean accuracy in the last {challenge.window} epochs ({comparison.conditions})",
        _write_side(first, width),
        _write_side(second, width),
    ]
    if comparison.difference is None:
        return [*lines, "no difference: a side has no seed with a whole final window"]
    lines.append(
        f"difference: {_points(float(comparison.difference))} points{_write_interval(comparison)}"
    )
    if comparison.improvement is not None:
        lines.append(
            f"probability of improvement: {format_percent(comparison.improvement)} (a seed of "
            f"{second.iteration} against one of {first.iteration}, a tie counts half)"
        )
    return lines


def _choose_evidence(
    names: tuple[str, str], ledger: Path, challenge: Challenge
) -> tuple[Evidence, Evidence]:
    """Return evidence under the conditions, and on the images, with the most runs of both."""
    first, second = (_list_evidence(name, ledger, challenge) for name in names)
    pairs = [(one, other) for one in first for other in second]
    alike = [
        (one, other)
        for one, other in pairs
        if (one.conditions, one.dataset) == (other.conditions, other.dataset)
    ]
    return max(alike or pairs, key=lambda pair: min(len(each.runs) for each in pair))


def _list_evidence(name: str, ledger: Path, challenge: Challenge) -> list[Evidence]:
    (iteration,) = select_iterations((name,))
    selection: Selection = read_selection(ledger, challenge, iteration, read=read_outlines)
    evidence = [each for each in selection.evidence if each.runs]
    if not evidence:
        raise EvidenceError(f"{name}: {judge(selection, iteration, challenge).why}")
    return evidence


def _write_side(side: Side, width: int) -> str:
    mean = "-" if side.mean is None else format_percent(side.mean, decimals=3)
    left_out = side.runs - side.scored
    without = f", {left_out} more without a whole final window" if left_out else ""
    return f"{side.iteration:{width}}  {mean}  {side.scored} seeds{without}"


def _write_interval(comparison: Comparison) -> str:
    if comparison.lower is None or comparison.upper is None or comparison.p_value is None:
        return " (no interval: it needs two seeds a side, not all alike)"
    bounds = f"{_points(comparison.lower)} to {_points(comparison.upper)}"
    p = "< 0.0001" if comparison.p_value < 0.0001 else f"= {comparison.p_value:.4f}"
    return f" ({comparison.confidence * 100:g} % interval {bounds}, p {p})"


def _points(proportion: float) -> str:
    return f"{100 * proportion:+.3f}"
