"""Options and look-ups that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.commands.challenges import (
    UNNAMED,
    challenge_option,
    choose_challenge,
    find_challenge,
    find_project,
    offer,
)
from bench.errors import BenchError, SettingsError
from bench.evidence import Selection, select_evidence
from bench.iterations import MODELS, Iteration
from bench.ledger import LedgerFile, ledger_path, read_ledger
from bench.records import Challenge
from bench.settings import find_settings, locate

__all__ = [
    "ENGINES",
    "UNNAMED",
    "challenge_option",
    "choose_challenge",
    "complete_iterations",
    "data_option",
    "engine_option",
    "find_challenge",
    "find_ledger",
    "find_models",
    "find_project",
    "iterations_argument",
    "ledger_option",
    "read_selection",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
ENGINES = ("auto", "plain", "eager", "native", "stacked")

ledger_option: Decorator = click.option(
    "--ledger",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the ledger.  [default: reports/ledger]",
)
data_option: Decorator = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the images: with MNIST/raw/*-ubyte.gz, FashionMNIST/raw/*-ubyte.gz, or that of "
    "the challenge's own.  [default: the challenge's, else $BENCH_DATA, else ./data]",
)


def complete_iterations(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Return the project's iterations that a name may become, else have the shell look for files.

    Their files are listed, not read.
    """
    try:
        files = list(find_models().glob("iteration_*.py"))
    except (BenchError, OSError):
        files = []
    names = [file.stem for file in files if re.fullmatch(r"iteration_\d+", file.stem)]
    names.sort(key=lambda name: int(name.rpartition("_")[2]))
    return offer(names, incomplete)


device_option: Decorator = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto takes CUDA where there is one.",
)
engine_option: Decorator = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="How to train: auto takes the fastest that can; plain is the usual loop of a notebook, "
    "eager trains every network, native is for CPUs, stacked trains seeds side by side on a GPU.",
)
iterations_argument: Decorator = click.argument(
    "iterations", nargs=-1, metavar="[ITERATION]...", shell_complete=complete_iterations
)


def find_ledger(option: Path | None) -> Path:
    """Return the folder given as an option, else the project's."""
    if option is not None:
        return option
    root, settings = find_project()
    return locate(root, settings.ledger)


def find_models() -> Path:
    """Return the folder of the project's iterations: its own, or the harness's where it has none.

    Raises:
        SettingsError: the project names a folder that is not there.
    """
    found = find_settings(Path.cwd())
    if found is None:
        return MODELS
    root, settings = found
    if settings.models is None and not (root / MODELS.name).is_dir():
        return MODELS
    folder = locate(root, settings.models or MODELS.name, otherwise="")
    if any(re.fullmatch(r"iteration_\d+", file.stem) for file in folder.glob("iteration_*.py")):
        return MODELS if folder.resolve() == MODELS.resolve() else folder
    if settings.models is not None:
        raise SettingsError(
            f"{folder}: no iterations there; add iteration_1.py (`bench init --iteration`), or "
            f"correct models = {settings.models!r} in {root / 'pyproject.toml'}"
        )
    return MODELS


def read_selection(
    ledger: Path,
    challenge: Challenge,
    iteration: Iteration,
    *,
    read: Callable[[Path], LedgerFile] = read_ledger,
) -> Selection:
    """Read an iteration's runs and sort them into evidence; a torn last line is reported.

    With `read_outlines` the runs are without what a verdict does not need.
    """
    file = read(ledger_path(ledger, challenge.name, iteration.name))
    if file.torn:
        click.echo(
            f"bench: {file.path}: the last line is torn (an interrupted write) and was ignored",
            err=True,
        )
    return select_evidence(file.runs, iteration)
