"""Options and look-ups that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.challenges import CHALLENGES, DIGITS, MNIST
from bench.errors import LedgerError
from bench.evidence import Selection, select_evidence
from bench.iterations import Iteration
from bench.ledger import LedgerFile, ledger_path, read_ledger
from bench.records import Challenge
from bench.settings import Settings, load_settings, locate

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

ledger_option: Decorator = click.option(
    "--ledger",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the ledger.  [default: reports/ledger]",
)
challenge_option: Decorator = click.option(
    "--dataset",
    type=click.Choice(["auto", *CHALLENGES]),
    default="auto",
    show_default=True,
    help="Whose runs to read; auto takes mnist, or digits when the ledger has only those.",
)
iterations_argument: Decorator = click.argument("iterations", nargs=-1, metavar="[ITERATION]...")


def find_project() -> tuple[Path, Settings]:
    """Return the folder and settings of the project around the working directory."""
    return load_settings(Path.cwd())


def find_ledger(option: Path | None) -> Path:
    """Return the folder given as an option, else the project's."""
    if option is not None:
        return option
    root, settings = find_project()
    return locate(root, settings.ledger)


def find_challenge(name: str, ledger: Path) -> Challenge:
    """Return the challenge of a name; `auto` is MNIST unless the ledger knows only digits.

    Raises:
        LedgerError: the folder cannot be looked at.
    """
    if name != "auto":
        return CHALLENGES[name]
    try:
        only_digits = any((ledger / DIGITS.name).glob("*.jsonl")) and not any(
            (ledger / MNIST.name).glob("*.jsonl")
        )
    except OSError as error:
        raise LedgerError(
            f"{ledger}: cannot be read ({error.strerror}); name another folder with --ledger"
        ) from error
    return DIGITS if only_digits else MNIST


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
