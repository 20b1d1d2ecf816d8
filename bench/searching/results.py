"""What a search has found, from its files alone: configurations in order, and how many were tried.

Needs neither torch nor Optuna.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.figures import cut_points, format_count, format_percent, format_seconds
from bench.ledger import ledger_path, read_outlines
from bench.markdown import render_table
from bench.records import Run
from bench.searching.spaces import Space, describe_changes
from bench.searching.studies import Study, Trial
from bench.searching.values import average, value_run

VERSION = 1


class Standing(Struct, frozen=True, kw_only=True):
    """A configuration that was trained: `values` are those of its seeds, in their order."""

    number: int
    iteration: str
    fingerprint: str
    parameters: int
    changes: dict[str, Any]
    seeds: tuple[int, ...]
    values: tuple[Fraction, ...]

    @property
    def mean(self) -> Fraction:
        """Return the mean of its values."""
        return average(self.values)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation of its values, `None` of a single one."""
        return statistics.stdev(map(float, self.values)) if len(self.values) > 1 else None


class Tally(Struct, frozen=True, kw_only=True):
    """What was tried: configurations `drawn` are `trained`, or one of the three after it.

    `repeated` are the same as an earlier one. `seconds` is the time that the runs took, each for
    itself, however many went on at once.
    """

    drawn: int
    trained: int
    over_budget: int
    refused: int
    repeated: int
    waiting: int
    runs: int
    seconds: float


class Results(Struct, frozen=True, kw_only=True):
    """Configurations that were trained, those with the most seeds and then the best first."""

    standings: tuple[Standing, ...]
    tally: Tally
    every: int
    """Seeds that a configuration is trained with at most."""


def collect_results(space: Space, study: Study, challenge: str, *, window: int) -> Results:
    """Return the results of a study as its files are.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    standings: dict[str, Standing] = {}
    kinds: Counter[str] = Counter()
    seconds: list[float] = []
    for trial in study.trials:
        if trial.refused is not None or trial.iteration is None:
            kinds["over budget" if trial.over_budget else "refused"] += 1
        elif trial.iteration in standings:
            kinds["repeated"] += 1
        elif runs := _read_runs(study.ledger, challenge, space, trial):
            standings[trial.iteration] = _stand(space, trial, runs, window)
            seconds += [run.wall_seconds for run in runs]
        else:
            kinds["waiting"] += 1
    ordered = sorted(standings.values(), key=lambda each: (-len(each.seeds), -each.mean))
    return Results(
        standings=tuple(ordered),
        tally=Tally(
            drawn=len(study.trials),
            trained=len(standings),
            over_budget=kinds["over budget"],
            refused=kinds["refused"],
            repeated=kinds["repeated"],
            waiting=kinds["waiting"],
            runs=len(seconds),
            seconds=sum(seconds),
        ),
        every=len(space.seeds),
    )


def _read_runs(ledger: Path, challenge: str, space: Space, trial: Trial) -> list[Run]:
    runs = read_outlines(ledger_path(ledger, challenge, trial.iteration or "")).runs
    wanted = trial.fingerprint, trial.conditions
    mine = {r.seed: r for r in runs if (r.fingerprint, r.conditions) == wanted}
    return [mine[seed] for seed in space.seeds if seed in mine]


def _stand(space: Space, trial: Trial, runs: list[Run], window: int) -> Standing:
    return Standing(
        number=trial.number,
        iteration=trial.iteration or "",
        fingerprint=trial.fingerprint or "",
        parameters=trial.parameters or 0,
        changes=space.describe(trial.drawn),
        seeds=tuple(run.seed for run in runs),
        values=tuple(value_run(run, window=window, objective=space.objective) for run in runs),
    )


def describe_tally(tally: Tally) -> str:
    """Return how many configurations and runs were tried, as one sentence."""
    kinds = (
        (tally.over_budget, "over the budget of parameters"),
        (tally.refused, "could not be built"),
        (tally.repeated, "drawn before"),
        (tally.waiting, "without a finished run"),
    )
    others = "".join(f", {format_count(count)} {what}" for count, what in kinds if count)
    return (
        f"{format_count(tally.drawn)} configurations drawn: {format_count(tally.trained)} "
        f"trained{others}; {format_count(tally.runs)} runs, {format_seconds(tally.seconds)} of "
        "training"
    )


HEADER = ("configuration", "parameters", "seeds", "mean", "deviation", "lowest", "highest")


def list_cells(standing: Standing, every: int) -> tuple[str, ...]:
    """Return the cells of a configuration's row under `HEADER`."""
    spread = standing.deviation
    return (
        f"{standing.number}: {describe_changes(standing.changes)}",
        format_count(standing.parameters),
        f"{len(standing.seeds)} of {every}",
        format_percent(standing.mean),
        "" if spread is None else cut_points(spread, lift=True).lstrip("+"),
        format_percent(min(standing.values)),
        format_percent(max(standing.values)),
    )


def write_markdown(results: Results, *, best: int) -> str:
    """Return the sentence of what was tried and the table of the best, as Markdown."""
    rows = (list_cells(each, results.every) for each in results.standings[:best])
    return f"{describe_tally(results.tally)}.\n\n{render_table(HEADER, rows)}\n"


def write_json(results: Results, identity: dict[str, Any], *, best: int) -> bytes:
    """Return the results as a JSON document; values are proportions."""
    document = {
        "version": VERSION,
        **identity,
        "tally": results.tally,
        "configurations": list(map(_write_standing, results.standings[:best])),
    }
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _write_standing(standing: Standing) -> dict[str, Any]:
    return {
        "number": standing.number,
        "iteration": standing.iteration,
        "fingerprint": standing.fingerprint,
        "parameters": standing.parameters,
        "changes": standing.changes,
        "seeds": standing.seeds,
        "values": [float(value) for value in standing.values],
        "mean": float(standing.mean),
        "deviation": standing.deviation,
    }


def find_standing(standings: Iterable[Standing], number: int) -> Standing | None:
    """Return a configuration by its number."""
    return next((each for each in standings if each.number == number), None)
