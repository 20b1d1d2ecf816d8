"""`bench report`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import (
    challenge_option,
    find_challenge,
    find_ledger,
    find_models,
    find_project,
    ledger_option,
    read_selection,
)
from bench.iterations import Iteration, list_iterations
from bench.ledger import read_scores
from bench.pictures import Pictures, load_pictures
from bench.records import Challenge
from bench.report.page import render_page, write_page
from bench.settings import locate
from bench.verdict import Verdict, judge_all

page_option = click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: reports/index.html]",
)


@click.command("report")
@models_argument
@model_options
@challenge_option
@ledger_option
@page_option
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the images (MNIST, or files like it), to show those that most seeds get wrong; "
    "nothing is downloaded.  [default: BENCH_DATA, else ./data, of MNIST alone]",
)
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
    page: Path | None,
    data: Path | None,
) -> None:
    """Write the page from the ledger alone: seconds, no torch, no model file is run.

    The page is one file that needs no other: charts, every run, and raw data to download. Where the
    images that the runs were scored on are at hand, it shows those that most seeds get wrong.
    Without names it shows all iterations.
    """
    chosen = choose_iterations(iterations, recipe, arguments)
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    click.echo(f"page: {write_report(folder, challenge, page, data, chosen)}")


def find_page(option: Path | None) -> Path:
    """Return the file given as an option, else the project's."""
    root, settings = find_project()
    return option or locate(root, settings.page)


def write_report(
    ledger: Path,
    challenge: Challenge,
    page: Path | None,
    data: Path | None = None,
    iterations: Sequence[Iteration] | None = None,
    at_hand: Mapping[str, Pictures] | None = None,
) -> Path:
    """Judge iterations, by default all, by the ledger, write the page and return its path.

    `at_hand` are images by the digest of their dataset, where they were opened before.
    """
    path = find_page(page)
    iterations = list_iterations(find_models()) if iterations is None else iterations
    verdicts: list[Verdict] = []
    for iteration in iterations:
        selection = read_selection(ledger, challenge, iteration, read=read_scores)
        verdicts += judge_all(selection, iteration, challenge)
    pictures = {**find_pictures(verdicts, data, challenge), **(at_hand or {})}
    write_page(path, render_page(verdicts, iterations, challenge, pictures))
    return path


def find_pictures(
    verdicts: Iterable[Verdict], data: Path | None, challenge: Challenge
) -> dict[str, Pictures]:
    """Return the validation images that are at hand, by the digest of their dataset."""
    digests = {verdict.evidence.dataset for verdict in verdicts if verdict.evidence}
    found = {digest: load_pictures(digest, data, challenge) for digest in digests}
    return {digest: pictures for digest, pictures in found.items() if pictures is not None}
