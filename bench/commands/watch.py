"""`bench watch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import challenge_option, find_challenge, find_ledger, ledger_option
from bench.commands.terminal import make_console
from bench.commands.verdicts import (
    ABSENT,
    ASCII_SYMBOLS,
    count_holding,
    is_wide,
    make_table,
    say_what_would_decide,
    show_answer,
    show_conditions,
    show_epochs,
    show_text,
)
from bench.evidence import run_holds
from bench.figures import format_accuracy, format_count, format_seconds, make_printable
from bench.interruption import Interruption
from bench.records import FIRST_TUNING_SEED, Answer, Challenge, Run
from bench.report.wording import SYMBOLS
from bench.watching import Arrival, Watch, Watched

LAST_SEEDS_FROM, EPOCHS_FROM, CONDITIONS_FROM = 80, 100, 140
"""Columns of a terminal from which on the table has these."""


@click.command("watch")
@models_argument
@model_options
@challenge_option
@ledger_option
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the files.",
)
@click.option("--until-decided", is_flag=True, help="End once every iteration HOLDS or FAILS.")
@click.option("--once", is_flag=True, help="Print the table once and end.")
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
    interval: float,
    until_decided: bool,
    once: bool,
) -> None:
    """Follow a ledger that another `bench run` is filling, here or on another machine.

    In a terminal a table of verdicts so far, seeds that hold, how many more would decide, the last
    seeds and seeds a minute; in a pipe or a log, a line for each new run. An iteration is judged
    under the conditions of its newest run. Only what was appended is read, no torch is loaded, and
    nothing is written. Ctrl-C ends it, with exit code 130.

    \b
    bench watch                                  all iterations
    bench watch iteration_4 --until-decided      end, with exit code 0, when it is decided
    bench watch --ledger /net/reports/ledger     what another machine is training
    """  # noqa: D301
    chosen = choose_iterations(iterations, recipe, arguments)
    folder = find_ledger(ledger)

    def find() -> Challenge:
        return find_challenge(dataset, folder)

    console = make_console()
    watch = Watch(chosen, find(), folder)
    watch.look(first=True)
    if once:
        console.print(render(watch, console))
        return

    def look() -> tuple[Watch, list[Arrival]]:
        nonlocal watch
        challenge = find() if watch.is_empty else watch.challenge
        if challenge != watch.challenge:  # its files were not there when the watch began
            watch = Watch(chosen, challenge, folder)
        return watch, watch.look()

    with Interruption():
        if console.is_terminal and not console.is_dumb_terminal:
            _watch_in_table(console, watch, look, interval, until_decided)
        else:
            _watch_in_lines(watch, look, interval, until_decided)


Look = Callable[[], tuple[Watch, list[Arrival]]]


def _watch_in_table(
    console: Console, watch: Watch, look: Look, interval: float, until_decided: bool
) -> None:
    with Live(render(watch, console), console=console, auto_refresh=False) as live:
        live.refresh()
        while not (until_decided and watch.is_decided):
            time.sleep(interval)
            watch, _ = look()
            live.update(render(watch, console), refresh=True)


def _watch_in_lines(watch: Watch, look: Look, interval: float, until_decided: bool) -> None:
    for each in watch.iterations:
        verdict = each.verdict
        click.echo(make_printable(f"{verdict.iteration}: {verdict.answer}: {verdict.why}"))
    while not (until_decided and watch.is_decided):
        time.sleep(interval)
        watch, arrivals = look()
        for arrival in arrivals:
            click.echo(make_printable(describe_arrival(arrival)))


def describe_arrival(arrival: Arrival) -> str:
    """Return a new run as one line: how it ended, and what its iteration's runs show since then."""
    run, verdict = arrival.run, arrival.verdict
    window = run.epochs[-verdict.challenge.window :]
    final = " ".join(format_accuracy(e.validation_correct, e.validation_total) for e in window)
    holds = "holds" if run_holds(run, verdict.challenge) else "does not hold"
    ended = f"{run.iteration} seed {run.seed}: {run.status}, {holds}, final epochs {final or '-'}"
    if not arrival.counts:
        reason = "a tuning seed" if run.seed >= FIRST_TUNING_SEED else "of other code"
        return f"{ended}; {reason}, which does not count"
    return (
        f"{ended}; {verdict.answer}: {count_holding(verdict)} hold, "
        f"{say_what_would_decide(verdict)}"
    )


def render(watch: Watch, console: Console) -> Group:
    """Return the table of verdicts so far, and how fast runs come."""
    footer = [_describe_rate(watch)]
    if not is_wide(console, CONDITIONS_FROM):
        footer.append(_describe_conditions(watch))
    lines = [show_text(line, style="dim") for line in footer if line]
    return Group(_make_table(watch, console), *lines)


def _make_table(watch: Watch, console: Console) -> Table:
    columns = ["iteration", "verdict", "seeds hold", "to decide"]
    more = {"last seeds": LAST_SEEDS_FROM, "epochs": EPOCHS_FROM, "conditions": CONDITIONS_FROM}
    columns += [column for column, width in more.items() if is_wide(console, width)]
    table = make_table(*columns, show_lines=False)
    for each in watch.iterations:
        cells = _list_cells(each, watch.challenge, ascii_only=console.options.ascii_only)
        table.add_row(*cells[: len(columns)])
    return table


def _list_cells(watched: Watched, challenge: Challenge, *, ascii_only: bool) -> tuple[Text, ...]:
    """Return the cells of all columns; a narrow terminal has the first of them."""
    verdict = watched.verdict
    return (
        show_text(verdict.iteration, style="bold"),
        show_answer(verdict.answer, ascii_only=ascii_only),
        Text(count_holding(verdict)),
        show_text(say_what_would_decide(verdict)),
        _show_last(watched.last_runs, challenge, ascii_only=ascii_only),
        show_epochs(watched.medians, challenge.target, ascii_only=ascii_only),
        show_conditions(verdict),
    )


def _show_last(runs: tuple[Run, ...], challenge: Challenge, *, ascii_only: bool) -> Text:
    """Return the last seeds, each with the sign of whether it holds."""
    symbols = ASCII_SYMBOLS if ascii_only else SYMBOLS
    signs = {True: symbols[Answer.HOLDS], False: symbols[Answer.FAILS]}
    shown = [f"{run.seed}{signs[run_holds(run, challenge)]}" for run in runs]
    return Text(" ".join(shown) or ABSENT)


def _describe_rate(watch: Watch) -> str:
    minutes = watch.seconds / 60
    rate = f", {watch.arrived / minutes:.2f} seeds a minute" if watch.arrived and minutes else ""
    runs = "1 new run" if watch.arrived == 1 else f"{format_count(watch.arrived)} new runs"
    return (
        f"watching {watch.ledger / watch.challenge.name}: {runs} in "
        f"{format_seconds(watch.seconds)}{rate}"
    )


def _describe_conditions(watch: Watch) -> str:
    """Return the conditions, where the table has no room for them and they are all the same."""
    verdicts = [each.verdict for each in watch.iterations]
    found = {str(verdict.evidence.conditions) for verdict in verdicts if verdict.evidence}
    return f"under {found.pop()}" if len(found) == 1 else ""
