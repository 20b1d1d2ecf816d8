"""`bench judge`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    ledger_option,
    read_selection,
)
from bench.commands.terminal import make_console
from bench.commands.verdicts import print_verdicts
from bench.evidence import Evidence
from bench.iterations import Iteration
from bench.judgement import FORMAT, Judgement, describe, encode_document, make_schema
from bench.ledger import read_outlines
from bench.records import Challenge
from bench.verdict import Verdict, judge_all
from bench.verdict_table import write_markdown


@click.command("judge")
@models_argument
@model_options
@challenge_option
@ledger_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="A table for the terminal or for a README, or a document for programs.",
)
@click.option("--paths", is_flag=True, help="Add both martingales after every run to the JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --format json and exit.")
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
    layout: str,
    paths: bool,
    schema: bool,
) -> None:
    """Say what the recorded runs show of each iteration, under each set of conditions.

    HOLDS: at least 90 % of seeds reach the target in every one of the last 3 epochs, and the budget
    is kept. FAILS: they do not. UNDECIDED: more seeds are needed; it says how many. The chance of a
    wrong HOLDS or FAILS is at most 5 %, however often you look.
    """
    if schema:
        click.echo(make_schema(), nl=False)
        return
    chosen = choose_iterations(iterations, recipe, arguments)
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    judged = judge_each(chosen, folder, challenge)
    if layout == "json":
        described = tuple(describe(*each, with_paths=paths) for each in judged)
        document = Judgement(format=FORMAT, challenge=challenge, verdicts=described)
        click.echo(encode_document(document), nl=False)
    elif layout == "markdown":
        click.echo(write_markdown(verdict for verdict, _, _ in judged))
    else:
        print_verdicts(make_console(), (verdict for verdict, _, _ in judged))


def judge_each(
    iterations: Iterable[Iteration], ledger: Path, challenge: Challenge
) -> Iterator[tuple[Verdict, Iteration, Evidence | None]]:
    """Yield every verdict with its iteration and evidence, reading one ledger file at a time."""
    for iteration in iterations:
        selection = read_selection(ledger, challenge, iteration, read=read_outlines)
        verdicts = judge_all(selection, iteration, challenge)
        for verdict, evidence in zip(verdicts, selection.evidence or (None,), strict=True):
            yield verdict, iteration, evidence
