"""`bench judge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    iterations_argument,
    ledger_option,
    read_selection,
)
from bench.commands.terminal import make_console
from bench.figures import format_count
from bench.iterations import select_iterations
from bench.records import Answer
from bench.verdict import Verdict, judge_all

STYLES = {Answer.HOLDS: "bold green", Answer.FAILS: "bold red", Answer.UNDECIDED: "bold yellow"}
COLUMNS = ("iteration", "verdict", "why", "parameters", "conditions")


@click.command("judge")
@iterations_argument
@challenge_option
@ledger_option
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="A table for the terminal, or one for a README.",
)
def command(iterations: tuple[str, ...], dataset: str, ledger: Path | None, layout: str) -> None:
    """Say what the recorded runs show of each iteration, under each set of conditions.

    HOLDS: at least 90 % of seeds reach the target in every one of the last 3 epochs, and the budget
    is kept. FAILS: they do not. UNDECIDED: more seeds are needed; it says how many. The chance of a
    wrong HOLDS or FAILS is at most 5 %, however often you look.
    """
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    verdicts: list[Verdict] = []
    for iteration in select_iterations(iterations):
        selection = read_selection(folder, challenge, iteration)
        verdicts += judge_all(selection, iteration, challenge)
    if layout == "markdown":
        click.echo(write_markdown(verdicts))
    else:
        print_verdicts(make_console(), verdicts)


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print one row a verdict."""
    table = Table(*COLUMNS)
    for verdict in verdicts:
        name, answer, *rest = list_cells(verdict)
        table.add_row(name, f"[{STYLES[verdict.answer]}]{answer}[/]", *rest)
    console.print(table)


def write_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return a Markdown table with one row a verdict."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(list_cells, verdicts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def list_cells(verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict in the order of `COLUMNS`."""
    return (
        verdict.iteration,
        str(verdict.answer),
        verdict.why,
        format_count(verdict.budget.parameters) if verdict.budget else "-",
        str(verdict.evidence.conditions) if verdict.evidence else "-",
    )
