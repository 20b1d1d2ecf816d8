"""`bench budget`."""

from __future__ import annotations

import click

from bench.commands.gate import choose_required
from bench.commands.models import model_options, models_argument
from bench.commands.options import challenge_option, choose_challenge
from bench.executors.startup import start_early
from bench.figures import format_count, make_printable
from bench.iterations import Iteration
from bench.records import Challenge

OVER_BUDGET = 1


@click.command("budget")
@models_argument
@model_options
@challenge_option
def command(
    iterations: tuple[str, ...], recipe: str | None, arguments: tuple[str, ...], dataset: str
) -> int:
    """Count the parameters alone, in seconds: exit 1 when an iteration is over the budget.

    For a commit hook: no images, no training, no ledger. Counts the iterations named, else those
    that the gate requires, else the latest one. To count a network is to build it: executes the
    iterations' files, each in a process of its own.

    \b
    bench budget              what the gate requires
    bench budget model.py:Net a model file
    """  # noqa: D301
    chosen = choose_required(iterations, recipe, arguments, trains=False)
    challenge = choose_challenge(dataset)[0]

    start_early()
    from torch import device  # once the names are known to be right

    from bench.executors.inspection import inspect_iteration

    over = False
    for iteration in chosen:
        found = inspect_iteration(
            iteration,
            device("cpu"),
            engine="eager",  # compiles nothing
            shape=challenge.shape,
            classes=len(challenge.classes),
        )
        excess = list_excess(iteration, found.cost.parameters, challenge)
        over = over or bool(excess)
        click.echo(make_printable(write_line(iteration, found.cost.parameters, challenge, excess)))
    return OVER_BUDGET if over else 0


def list_excess(iteration: Iteration, parameters: int, challenge: Challenge) -> list[str]:
    """Return what is over the budget: parameters are strictly fewer, epochs at most so many."""
    excess = []
    if parameters >= challenge.parameters:
        allowed = format_count(challenge.parameters)
        excess.append(f"{format_count(parameters)} parameters, not fewer than {allowed}")
    if iteration.recipe.epochs > challenge.epochs:
        excess.append(f"{iteration.recipe.epochs} epochs, at most {challenge.epochs} allowed")
    return excess


def write_line(
    iteration: Iteration, parameters: int, challenge: Challenge, excess: list[str]
) -> str:
    """Return the one line on an iteration."""
    if excess:
        return f"OVER    {iteration.name}: {'; '.join(excess)}; `bench cost` shows its layers"
    allowed = format_count(challenge.parameters)
    return f"WITHIN  {iteration.name}: {format_count(parameters)} parameters, fewer than {allowed}"
