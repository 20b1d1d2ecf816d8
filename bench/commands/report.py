"""`bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    find_project,
    ledger_option,
    read_selection,
)
from bench.iterations import list_iterations
from bench.records import Challenge
from bench.report.page import render_page, write_page
from bench.verdict import Verdict, judge_all

page_option = click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: reports/index.html]",
)


@click.command("report")
@challenge_option
@ledger_option
@page_option
def command(dataset: str, ledger: Path | None, page: Path | None) -> None:
    """Write the page from the ledger alone: seconds, no torch, no model file is run."""
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    click.echo(f"page: {write_report(folder, challenge, page)}")


def find_page(option: Path | None) -> Path:
    """Return the file given as an option, else the project's."""
    root, settings = find_project()
    return option or root / settings.page


def write_report(ledger: Path, challenge: Challenge, page: Path | None) -> Path:
    """Judge every iteration by the ledger, write the page and return its path."""
    path = find_page(page)
    iterations = list_iterations()
    verdicts: list[Verdict] = []
    for iteration in iterations:
        selection = read_selection(ledger, challenge, iteration)
        verdicts += judge_all(selection, iteration, challenge)
    write_page(path, render_page(verdicts, iterations, challenge))
    return path
