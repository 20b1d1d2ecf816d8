"""`bench gate`."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

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
from bench.gate import choose_conditions, exit_code
from bench.iterations import list_iterations
from bench.ledger import read_outlines
from bench.settings import GateConditions
from bench.verdict import judge


@click.command("gate")
@models_argument
@model_options
@challenge_option
@ledger_option
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
) -> int:
    """Exit 0 when every required iteration HOLDS; 1 FAILS; 3 UNDECIDED or stale evidence; 2 usage.

    Judges the iterations named, else those of [tool.bench.gate] require in pyproject.toml, else the
    latest one, under the conditions with the most runs that [tool.bench.gate.conditions] allows.
    Reads the ledger and the sources; runs no model file and needs no torch.

    \b
    bench gate              the required iterations
    bench gate iteration_3  another one
    """  # noqa: D301
    settings = find_project()[1].gate
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    names = iterations or settings.require or (list_iterations(find_models())[-1].name,)
    verdicts = []
    for iteration in choose_iterations(names, recipe, arguments):
        selection = read_selection(folder, challenge, iteration, read=read_outlines)
        conditions = choose_conditions(selection, settings.conditions)
        if conditions is None and settings.conditions != GateConditions():
            selection = replace(selection, evidence=())
        verdicts.append(judge(selection, iteration, challenge, conditions))
    for verdict in verdicts:
        under = f" ({verdict.evidence.conditions})" if verdict.evidence else ""
        click.echo(f"{verdict.answer:9} {verdict.iteration}{under}: {verdict.why}")
    return exit_code(verdicts)
