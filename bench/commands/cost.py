"""`bench cost`."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import (
    challenge_option,
    choose_challenge,
)
from bench.commands.structures import print_structure
from bench.commands.terminal import make_console
from bench.executors.startup import start_early
from bench.figures import format_count
from bench.records import Cost


@click.command("cost")
@models_argument
@model_options
@challenge_option
def command(
    iterations: tuple[str, ...], recipe: str | None, arguments: tuple[str, ...], dataset: str
) -> None:
    """Count parameters and multiply-accumulates (MACs) of one image, layer by layer.

    Executes the iterations' files, each in a process of its own. Counted by fvcore on an eval-mode
    copy; 1 MAC = 2 FLOPs. Operators without a formula are listed as uncounted. The receptive field
    is in input pixels. A challenge decides the size of the image. Below stands what instructors
    mark: normalisation, dropout, head, receptive field with branches and functions, usual mistakes.

    \b
    bench cost              all iterations
    bench cost iteration_4  one of them
    bench cost model.py:Net a model file, tried as `bench run` does
    """  # noqa: D301
    chosen = choose_iterations(iterations, recipe, arguments, trains=False)
    challenge = choose_challenge(dataset)[0]

    start_early()
    from torch import device  # once the names are known to be right

    from bench.executors.inspection import inspect_iteration

    console = make_console()
    for iteration in chosen:
        # the eager engine compiles nothing
        found = inspect_iteration(
            iteration,
            device("cpu"),
            engine="eager",
            shape=challenge.shape,
            classes=len(challenge.classes),
        )
        for note in found.notes:
            console.print(
                f"{iteration.name}: {note}", highlight=False, markup=False, soft_wrap=True
            )
        _print_cost(console, iteration.name, found.cost)
        if found.structure is not None:
            print_structure(console, found.structure)


def _print_cost(console: Console, name: str, cost: Cost) -> None:
    table = Table(title=f"{name}: {format_count(cost.parameters)} parameters")
    table.add_column("layer")
    table.add_column("kind")
    for column in ("output", "parameters", "MACs", "receptive field"):
        table.add_column(column, justify="right")
    for layer in cost.layers:
        table.add_row(
            layer.name,
            layer.kind,
            " x ".join(map(str, layer.output_shape)),
            format_count(layer.parameters),
            format_count(layer.macs),
            "-" if layer.receptive_field is None else str(layer.receptive_field),
        )
    table.add_section()
    table.add_row("total", "", "", format_count(cost.parameters), format_count(cost.macs), "")
    console.print(table)
    uncounted = ", ".join(f"{o.operator} ({o.calls})" for o in cost.uncounted) or "none"
    console.print(
        f"{format_count(cost.parameters)} parameters (about {round(cost.parameters / 1000)}k), "
        f"{format_count(cost.reached_parameters)} reached by a gradient; "
        f"{format_count(cost.macs)} MACs = {format_count(2 * cost.macs)} FLOPs an image; "
        f"uncounted operators: {uncounted}\n",
        highlight=False,
    )
