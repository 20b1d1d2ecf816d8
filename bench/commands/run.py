"""`bench run`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from bench.campaign import Campaign, Plan
from bench.challenges import CHALLENGES
from bench.commands.judge import print_verdicts
from bench.commands.options import find_ledger, iterations_argument, ledger_option
from bench.commands.report import find_page, page_option, write_report
from bench.commands.terminal import make_console
from bench.durations import parse_duration
from bench.executors.startup import start_early
from bench.figures import format_seconds
from bench.iterations import change_epochs, select_iterations
from bench.ledger import check_writable
from bench.progress import Progress
from bench.records import Challenge
from bench.report.page import check_page_writable
from bench.seeds import parse_seeds

if TYPE_CHECKING:
    from bench.session import Session

DEFAULT_SEEDS = 100
DEFAULT_CPU_BUDGET_SECONDS = 20 * 60.0
DEMONSTRATION_BUDGET_SECONDS = 3 * 60.0
INTERRUPTED = 130
ENGINES = ("auto", "plain", "eager", "native", "stacked")


@click.command("run")
@iterations_argument
@click.option(
    "--seeds",
    metavar="N|A-B",
    help="Seeds to train: 10 (the first ten), 0-58, or 0-4,7-7. Seeds from 1,000,000 up are for "
    "tuning: trained on 5/6 of the training set, scored on the rest, never evidence.",
)
@click.option(
    "--until-decided",
    is_flag=True,
    help=f"Stop an iteration once it is decided.  [default without --seeds, of {DEFAULT_SEEDS}]",
)
@click.option(
    "--time-budget",
    metavar="20m",
    help="Start no run after this time.  [default without --seeds: 20m on a CPU, 3m on digits]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto takes CUDA where there is one.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="How to train: auto takes the fastest that can; plain is the usual loop of a notebook, "
    "eager trains every network, native is for CPUs, stacked trains seeds side by side on a GPU.",
)
@click.option(
    "--block",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Seeds side by side on a GPU, of the stacked engine.  [default: the engine decides]",
)
@click.option(
    "--dataset",
    type=click.Choice(["auto", *CHALLENGES]),
    default="auto",
    show_default=True,
    help="auto falls back to the embedded digits when MNIST cannot be had, and says so.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with MNIST/raw/*-ubyte.gz.  [default: $BENCH_DATA, else ./data]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes of one thread each; numbers do not depend on it.  [default: one per core, one "
    "for the plain engine]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 1000),
    help="Train fewer or more epochs than the recipe: another recipe, so no evidence for it.",
)
@ledger_option
@page_option
def command(**options: Any) -> int:
    """Train iterations over many seeds, judge them, and write reports/index.html.

    Without --seeds it trains until every iteration is decided, 100 seeds are reached or, on a CPU,
    20 minutes have passed. Seeds are taken round-robin over the iterations; every finished run is
    in the ledger at once, and a run that is there is not trained again: start the command again to
    go on. Runs the iterations' files. Exit code 0 whatever the verdicts (see `bench gate`), 2 for
    a wrong value, 130 when interrupted.

    \b
    bench run                                  all iterations, until decided
    bench run iteration_4 --seeds 10           seeds 0 to 9 of one iteration
    bench run iteration_4 --seeds 3-3          seed 3 alone
    bench run --until-decided --time-budget 2h as long as you like
    """  # noqa: D301
    return run(make_console(stderr=True), **options)


def run(
    console: Console,
    *,
    iterations: tuple[str, ...],
    seeds: str | None,
    until_decided: bool,
    time_budget: str | None,
    device: str,
    engine: str,
    block: int | None,
    dataset: str,
    data: Path | None,
    workers: int | None,
    epochs: int | None,
    ledger: Path | None,
    page: Path | None,
) -> int:
    """Train, judge and report; return the exit code."""
    chosen = select_iterations(iterations)
    if epochs is not None:
        chosen = tuple(change_epochs(iteration, epochs=epochs) for iteration in chosen)
    wanted = parse_seeds(seeds) if seeds is not None else tuple(range(DEFAULT_SEEDS))
    budget = parse_duration(time_budget) if time_budget is not None else None
    folder = find_ledger(ledger)

    start_early()
    from bench import session as sessions  # torch is imported here, once the options are checked
    from bench.training.devices import choose_device

    place = choose_device(device)
    with console.status("preparing the engines (networks are compiled once)"):
        engines = sessions.choose_engines(chosen, place, engine, block)
    workers = sessions.choose_workers(place, workers, engines)
    challenge, data_found = sessions.open_dataset(console, dataset, data)
    check_writable(folder, challenge.name)
    check_page_writable(find_page(page))
    if seeds is None and budget is None:
        budget = _choose_budget(challenge, place.type)
    session = sessions.Session(
        iterations=chosen,
        challenge=challenge,
        dataset=data_found,
        device=place,
        engines=engines,
        workers=workers,
        ledger=folder,
    )
    plan = Plan(
        seeds=wanted, until_decided=until_decided or seeds is None, time_budget_seconds=budget
    )
    campaign = sessions.start_campaign(session, plan)
    _announce(console, session, campaign)
    interrupted = _train(console, session, campaign)
    _conclude(console, campaign, interrupted=interrupted)
    path = write_report(folder, challenge, page, data)
    console.print(f"page: {path}", highlight=False, soft_wrap=True)
    return INTERRUPTED if interrupted else 0


def _choose_budget(challenge: Challenge, device: str) -> float | None:
    if challenge.demonstration:
        return DEMONSTRATION_BUDGET_SECONDS
    return DEFAULT_CPU_BUDGET_SECONDS if device == "cpu" else None


def _announce(console: Console, session: Session, campaign: Campaign) -> None:
    for choice in session.engines.values():
        if choice.notice is not None:
            console.print(choice.notice, highlight=False, soft_wrap=True)
    names = " and ".join(sorted({choice.engine for choice in session.engines.values()}))
    workers = f"{session.workers} worker{'s' if session.workers > 1 else ''}"
    where = f"{workers} on {session.device}, {names} engine"
    budget = campaign.plan.time_budget_seconds
    limit = f", starting no run after {format_seconds(budget)}" if budget else ""
    recorded = campaign.already_recorded
    console.print(
        f"{', '.join(campaign.iterations)} on {session.challenge.dataset}: "
        f"{campaign.count_left()} runs at most with {where}{limit}; "
        f"{recorded} recorded already in {session.ledger}",
        highlight=False,
        soft_wrap=True,
    )


def _train(console: Console, session: Session, campaign: Campaign) -> bool:
    """Train and return whether it was interrupted; SIGTERM counts as Ctrl-C."""
    from bench.session import train_campaign

    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Progress(console, campaign) as progress:
            train_campaign(session, campaign, progress)
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGTERM, before)
    return False


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _conclude(console: Console, campaign: Campaign, *, interrupted: bool) -> None:
    """Print the verdicts, why training stopped, and how to go on."""
    print_verdicts(console, [campaign.verdict(name) for name in campaign.iterations])
    undecided = campaign.undecided
    if interrupted:
        reason = "interrupted"
    elif not campaign.count_left():
        reason = "all seeds asked for are trained"
    elif campaign.out_of_time:
        reason = "the time budget is spent"
    else:
        reason = "every iteration is decided"
    console.print(f"stopped: {reason}; finished runs are in the ledger", highlight=False)
    if undecided:
        # inside `nox -s bench` the command is on no path of the user's
        started_by_nox = os.environ.get("NOX_CURRENT_SESSION") == "bench"
        command_line = "nox -s bench --" if started_by_nox else "bench run"
        console.print(
            f"to go on: {command_line} {' '.join(undecided)} --until-decided --time-budget 2h",
            highlight=False,
            soft_wrap=True,
        )
