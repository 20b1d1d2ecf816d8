"""The option that chooses a challenge, and what it stands for; needs no model file to be read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.challenge_tables import (
    AUTO,
    build_challenge,
    is_challenge_name,
    load_challenge_file,
)
from bench.challenges import CHALLENGES, DIGITS, MNIST
from bench.errors import BenchError, LedgerError, SettingsError
from bench.records import Challenge
from bench.settings import Settings, load_settings

UNNAMED = ""
"""Neither --challenge nor --dataset was given: the project's challenge, or `auto`."""

_FILE = re.compile(r"(.+\.toml)(?::(.*))?", re.IGNORECASE)


def offer(names: Iterable[str], incomplete: str) -> list[CompletionItem[str]]:
    """Return the names that begin so; where none does, what makes a shell complete a file."""
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def complete_challenges(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Return the challenges of ours and of the project that a name may become, else files."""
    try:
        tables = find_project()[1].challenges
    except BenchError:
        tables = {}
    return offer(_name_challenges(tables), incomplete)


def _name_challenges(tables: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((AUTO, *CHALLENGES, *filter(is_challenge_name, tables))))


def challenge_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --challenge and --dataset, and give the command one of them as its `dataset`.

    --dataset is --challenge for the challenges of ours.
    """

    @click.option(
        "--challenge",
        metavar="NAME|FILE.toml[:NAME]",
        shell_complete=complete_challenges,
        help="Of ours (mnist, digits), of the project's [tool.bench.challenges], or of a file.  "
        "[default: that of [tool.bench] challenge, else auto]",
    )
    @click.option(
        "--dataset",
        type=click.Choice([AUTO, *CHALLENGES]),
        help="The same for ours alone; auto is mnist, or digits where there is no MNIST and no run "
        "on it.",
    )
    @functools.wraps(function)
    def command(*arguments: Any, challenge: str | None, dataset: str | None, **others: Any) -> Any:
        if challenge is not None and dataset is not None:
            raise SettingsError(
                f"--dataset {dataset}: --challenge {challenge} is given too; leave out one of them"
            )
        asked = challenge if challenge is not None else dataset
        if asked == "":
            raise SettingsError("--challenge '': not a name; write --challenge mnist, say")
        return function(*arguments, dataset=asked or UNNAMED, **others)

    return command


def find_project() -> tuple[Path, Settings]:
    """Return the folder and settings of the project around the working directory."""
    return load_settings(Path.cwd())


def choose_challenge(asked: str) -> tuple[Challenge, bool]:
    """Return the challenge to train for, and whether digits may stand in for its images.

    Raises:
        SettingsError: there is no such challenge, or its table is wrong.
    """
    challenge = _look_up(asked)
    return challenge or MNIST, challenge is None


def find_challenge(asked: str, ledger: Path) -> Challenge:
    """Return the challenge to judge by; `auto` is MNIST unless the ledger knows only digits.

    Raises:
        SettingsError: there is no such challenge, or its table is wrong.
        LedgerError: the folder cannot be looked at.
    """
    challenge = _look_up(asked)
    if challenge is not None:
        return challenge
    try:
        only_digits = any((ledger / DIGITS.name).glob("*.jsonl")) and not any(
            (ledger / MNIST.name).glob("*.jsonl")
        )
    except OSError as error:
        raise LedgerError(
            f"{ledger}: cannot be read ({error.strerror}); name another folder with --ledger"
        ) from error
    return DIGITS if only_digits else MNIST


def _look_up(asked: str) -> Challenge | None:
    """Return the challenge that is asked for, `None` for `auto`."""
    root, settings = (None, None) if asked in (AUTO, *CHALLENGES) else find_project()
    if asked == UNNAMED and settings is not None:
        asked = settings.challenge if settings.challenge is not None else AUTO
    if asked in (AUTO, *CHALLENGES):
        return CHALLENGES.get(asked)
    tables = settings.challenges if settings is not None else {}
    if asked in tables:
        where = (root or Path()) / "pyproject.toml"
        return build_challenge(asked, tables[asked], where=where)
    file = _FILE.fullmatch(asked)
    if file is not None:
        return load_challenge_file(file[1], name=file[2])
    known = ", ".join(_name_challenges(tables))
    raise SettingsError(
        f"--challenge {asked}: no such challenge; choose from {known}, or name a TOML file"
    )
