"""`bench list`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    find_models,
    ledger_option,
    read_selection,
)
from bench.commands.terminal import make_console
from bench.iterations import list_iterations
from bench.ledger import read_outlines


@click.command("list")
@challenge_option
@ledger_option
def command(dataset: str, ledger: Path | None) -> None:
    """List the iterations, what each adds, and how many runs are recorded of it."""
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    table = Table("iteration", "adds", "epochs", "batch", "precision", "runs", "fingerprint")
    for iteration in list_iterations(find_models()):
        selection = read_selection(folder, challenge, iteration, read=read_outlines)
        runs = sum(len(e.runs) + len(e.waiting) for e in selection.evidence)
        stale = f" + {selection.stale} stale" if selection.stale else ""
        table.add_row(
            iteration.name,
            escape(iteration.narrative.title),
            str(iteration.recipe.epochs),
            str(iteration.recipe.batch_size),
            iteration.recipe.precision,
            f"{runs}{stale}",
            iteration.fingerprint[:12],
        )
    make_console().print(table)
