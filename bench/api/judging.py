"""Judge recorded runs, and write the page: no torch, no model file is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.models import Given, find_iteration
from bench.api.results import Result, write_results
from bench.challenges import CHALLENGES
from bench.commands.options import UNNAMED, find_challenge, find_ledger, read_selection
from bench.errors import SettingsError
from bench.records import Challenge, Conditions
from bench.verdict import judge as judge_selection
from models.recipe import Recipe

if TYPE_CHECKING:
    from bench.api.models import Model


def judge(
    model: Model,
    *,
    recipe: Recipe | str | Path | None = None,
    arguments: Given | None = None,
    challenge: Challenge | str | None = None,
    ledger: str | Path | None = None,
    conditions: Conditions | None = None,
) -> Result:
    """Judge the recorded runs of a network, as `bench judge` does.

    The arguments are those of `bench.run`. Evidence is that under `conditions`, by default those
    with the most runs.

    Raises:
        BenchError: a value is wrong, or the ledger cannot be read.
    """
    if not isinstance(conditions, Conditions | None):
        raise SettingsError(
            f"conditions={conditions!r}: not bench.Conditions; pass those of a result or of a run"
        )
    iteration = find_iteration(model, recipe, arguments)
    folder = find_ledger(Path(ledger) if ledger is not None else None)
    asked = resolve_challenge(challenge) or find_challenge(UNNAMED, folder)
    selection = read_selection(folder, asked, iteration)
    return Result(
        iteration=iteration, verdict=judge_selection(selection, iteration, asked, conditions)
    )


def write_page(results: Result | Iterable[Result], path: str | Path = "report.html") -> Path:
    """Write the page on one or more results, one file that needs no other, and return its path.

    Raises:
        BenchError: there is no result, they are of different challenges, or the file cannot be
            written.
    """
    listed = [results] if isinstance(results, Result) else list(results)
    if not listed:
        raise SettingsError("no results: a page needs one at least")
    if len({result.challenge.name for result in listed}) > 1:
        raise SettingsError("results of different challenges: write a page for each")
    return write_results(Path(path), listed)


def resolve_challenge(challenge: Challenge | str | None) -> Challenge | None:
    """Return a challenge that is given or named, `None` when it is left to the project."""
    if challenge is None or isinstance(challenge, Challenge):
        return challenge
    return CHALLENGES.get(challenge) or find_challenge(challenge, Path())
