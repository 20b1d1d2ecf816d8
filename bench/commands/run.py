"""`bench run`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from bench.campaign import Campaign, Plan
from bench.challenges import dataset_option
from bench.commands.models import choose_iterations, group_words, model_options, models_argument
from bench.commands.options import (
    challenge_option,
    choose_challenge,
    data_option,
    device_option,
    engine_option,
    find_ledger,
    ledger_option,
)
from bench.commands.preparation import Options, prepare
from bench.commands.report import find_page, page_option, write_report
from bench.commands.terminal import make_console
from bench.commands.verdicts import print_verdicts
from bench.durations import parse_duration
from bench.errors import BenchError
from bench.executors.cluster.addresses import check_address
from bench.executors.startup import start_early
from bench.figures import format_count, format_seconds
from bench.foreign import change_epochs, write_words
from bench.interruption import EXIT_CODE, Interruption
from bench.iterations import Iteration
from bench.ledger import check_writable
from bench.pictures import Pictures
from bench.progress import Progress
from bench.records import FIRST_TUNING_SEED, Challenge
from bench.report.page import check_page_writable
from bench.seeds import name_seeds, parse_seeds

if TYPE_CHECKING:
    from bench.executors.cluster.machines import Machines
    from bench.executors.inspection import Inspection
    from bench.session import Outcome, Session

DEFAULT_SEEDS = 100
DEFAULT_CPU_BUDGET_SECONDS = 20 * 60.0
DEMONSTRATION_BUDGET_SECONDS = 3 * 60.0


@click.command("run")
@models_argument
@model_options
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
@device_option
@engine_option
@click.option(
    "--block",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Seeds side by side on a GPU, of the stacked engine.  [default: the engine decides]",
)
@challenge_option
@data_option
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes of one thread each; numbers do not depend on it.  [default: one per core, one "
    "for the plain engine, as many as a cluster has room for]",
)
@click.option(
    "--cluster",
    metavar="ADDRESS|auto|local",
    help="Train on the nodes of a Ray cluster: HOST:PORT, auto for the one that this machine is a "
    "node of, local for one of this machine's own. Needs drilldown[cluster]; see docs/cluster.md.",
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
    go on. Several at once on one ledger share the seeds: each waits in the end for those that
    another trains, and takes them over if it dies. Executes the iterations' files.

    A model file of anyone's takes the place of an iteration: FILE:CLASS, MODULE:CLASS or
    NOTEBOOK.ipynb:CLASS, with --recipe. What had to be done to it is said. See docs/any-model.md.

    Ctrl-C once, SIGTERM or SIGHUP ends the training, records what is finished and writes the page;
    twice stops at once. Exit code 0 whatever the verdicts (see `bench gate`); 2 for a wrong value,
    a ledger that cannot be written, or seeds that were given up; 130 when interrupted.

    \b
    bench run                                  all iterations, until decided
    bench run iteration_4 --seeds 10           seeds 0 to 9 of one iteration
    bench run iteration_4 --seeds 3-3          seed 3 alone
    bench run --until-decided --time-budget 2h as long as you like
    bench run model.py:Net --recipe iteration_4 a model file, by the recipe of an iteration
    """  # noqa: D301
    with Interruption() as interruption, ExitStack() as stack:
        return run(make_console(stderr=True), interruption, stack, **options)


def run(
    console: Console,
    interruption: Interruption,
    stack: ExitStack,
    *,
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    seeds: str | None,
    until_decided: bool,
    time_budget: str | None,
    device: str,
    engine: str,
    block: int | None,
    dataset: str,
    data: Path | None,
    workers: int | None,
    cluster: str | None,
    epochs: int | None,
    ledger: Path | None,
    page: Path | None,
) -> int:
    """Train, judge and report; return the exit code. A cluster is left when `stack` is closed."""
    named = chosen = choose_iterations(iterations, recipe, arguments)
    changed = epochs if any(each.recipe.epochs != epochs for each in chosen) else None
    if epochs is not None:
        named = chosen = tuple(change_epochs(iteration, epochs=epochs) for iteration in chosen)
    wanted = parse_seeds(seeds) if seeds is not None else tuple(range(DEFAULT_SEEDS))
    budget = parse_duration(time_budget) if time_budget is not None else None
    folder = find_ledger(ledger)
    challenge, fallback = choose_challenge(dataset)
    if cluster is None:
        start_early()
    else:
        check_address(cluster, engine)
    options = Options(device=device, engine=engine, block=block, workers=workers, cluster=cluster)
    place = _repeat(ledger=ledger)
    how = _repeat(device=device, engine=engine, block=block, cluster=cluster, data=data, page=page)

    from bench import session as sessions  # torch is imported here, once the options are checked

    with console.status("preparing the engines (networks are compiled once)"):
        prepared = prepare(chosen, challenge, options, stack)
    found, refused, machines = prepared.found, prepared.refused, prepared.machines
    for each in refused:
        _say(console, f"{each.iteration}: not trained: {each.reason}")
    _note(console, found, machines)
    chosen = tuple(inspection.iteration for inspection in found.values())
    engines = {name: inspection.choice for name, inspection in found.items()}
    workers = (
        machines.count_slots()
        if machines
        else sessions.choose_workers(prepared.device, workers, engines)
    )
    challenge, data_found = sessions.open_dataset(console, challenge, data, fallback=fallback)
    sessions.check_recipes(chosen, data_found)
    check_writable(folder, challenge.name)
    check_page_writable(find_page(page))
    if seeds is None and budget is None:
        budget = _choose_budget(challenge, prepared.device.type)
    session = sessions.Session(
        iterations=chosen,
        challenge=challenge,
        dataset=data_found,
        device=prepared.device,
        engines=engines,
        costs={name: inspection.cost for name, inspection in found.items()},
        workers=workers,
        ledger=folder,
        machines=machines,
    )
    plan = Plan(
        seeds=wanted, until_decided=until_decided or seeds is None, time_budget_seconds=budget
    )
    campaign = sessions.start_campaign(session, plan)
    _announce(console, session, campaign)
    outcome = _train(console, session, campaign, interruption)
    stack.close()
    outcome.given_up[:0] = refused
    _conclude(console, campaign, outcome, interrupted=interruption.requested)
    _say_what_next(console, campaign, changed, place=place, again=place + how)
    shown = sessions.show_images(data_found)
    _report(console, folder, challenge, page, data, outcome, named, shown)
    if (failure := _describe_failure(outcome)) is not None:
        raise BenchError(failure)
    return EXIT_CODE if interruption.requested else 0


def _note(console: Console, found: Mapping[str, Inspection], machines: Machines | None) -> None:
    """Print which nodes do not train, what model files did, and what had to be done to them."""
    for note in machines.notes if machines else ():
        _say(console, note)
    for name, inspection in found.items():
        for note in inspection.notes:
            _say(console, f"{name}: {note}")
        cost = inspection.cost
        if inspection.iteration.origin is not None:
            _say(
                console,
                f"{name}: {format_count(cost.parameters)} parameters, "
                f"{format_count(cost.reached_parameters)} reached by a gradient",
            )


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
    place = session.machines or session.device
    where = f"{workers} on {place}, {names} engine"
    budget = campaign.plan.time_budget_seconds
    limit = f", starting no run after {format_seconds(budget)}" if budget else ""
    recorded = campaign.already_recorded
    console.print(
        f"{', '.join(campaign.iterations)} on {session.challenge.name}: "
        f"{campaign.count_left()} runs at most with {where}{limit}; "
        f"{recorded} recorded already in {session.ledger}",
        highlight=False,
        soft_wrap=True,
    )


def _train(
    console: Console, session: Session, campaign: Campaign, interruption: Interruption
) -> Outcome:
    from bench.session import train_campaign

    with Progress(console, campaign) as progress:
        return train_campaign(session, campaign, progress, interruption)


def _report(
    console: Console,
    ledger: Path,
    challenge: Challenge,
    page: Path | None,
    data: Path | None,
    outcome: Outcome,
    named: tuple[Iteration, ...],
    shown: dict[str, Pictures],
) -> None:
    """Write the page; when it fails after something else did, what came first is the error.

    With a model file, the page shows what was named, else all iterations.
    """
    foreign = any(iteration.origin is not None for iteration in named)
    try:
        path = write_report(
            ledger, challenge, page, data, named if foreign else None, at_hand=shown
        )
    except BenchError as error:
        if _describe_failure(outcome) is None:
            raise
        _say(console, f"no page: {error}")
    else:
        _say(console, f"page: {path}")


def _describe_failure(outcome: Outcome) -> str | None:
    if outcome.refusal is not None:
        return f"{outcome.refusal}. Runs recorded before are safe; start the command again"
    if outcome.given_up:
        first = outcome.given_up[0]
        seeds = sum(len(failure.seeds) for failure in outcome.given_up)
        which = f"{first.iteration} {name_seeds(first.seeds)}" if first.seeds else first.iteration
        return (
            f"{which}: {first.reason}; {seeds} seeds in all given up. Correct the iteration's file "
            "or use fewer --workers; finished runs are in the ledger"
        )
    return None


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _conclude(console: Console, campaign: Campaign, outcome: Outcome, *, interrupted: bool) -> None:
    """Print the verdicts, why training stopped, and what is unfinished."""
    print_verdicts(console, [campaign.verdict(name) for name in campaign.iterations])
    reason = "interrupted" if interrupted else _explain_stop(campaign, outcome)
    safe = "the runs before are" if outcome.refusal else "finished runs are"
    _say(console, f"stopped: {reason}; {safe} in the ledger")
    _name_unfinished(console, campaign, outcome)


def _repeat(**given: object) -> str:
    """Return options as a command line has them, without those left at their defaults."""
    defaults = {"device": "auto", "engine": "auto"}
    said = {name: value for name, value in given.items() if value != defaults.get(name)}
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in said.items())


def _say_what_next(
    console: Console, campaign: Campaign, epochs: int | None, *, place: str, again: str
) -> None:
    """Print how to go on and how to judge.

    `epochs` are those that are not the recipes' own, `place` is the option that names the ledger,
    `again` all options without which to go on would be to train something else or elsewhere.
    """
    if min(campaign.plan.seeds, default=0) >= FIRST_TUNING_SEED:
        return  # what would decide are claim seeds, which are for when the tuning is over
    dataset = dataset_option(campaign.challenge)
    options = f"{dataset} --epochs {epochs}" if epochs is not None else dataset
    # inside `nox -s bench` the command is on no path of the user's
    started_by_nox = os.environ.get("NOX_CURRENT_SESSION") == "bench"
    command_line = "nox -s bench --" if started_by_nox else "bench run"
    seeds = _ask_for_more(campaign)
    for words in group_words([campaign.iterations[name] for name in campaign.undecided]):
        going_on = f"{words}{options}{seeds} --until-decided --time-budget 2h{again}"
        _say(console, f"to go on: {command_line} {going_on}")
    if epochs is not None:
        _say(console, f"trained with --epochs {epochs}: no evidence for the recipe")
        return
    for iteration in campaign.iterations.values():
        if iteration.origin is not None:
            _say(console, f"to judge: bench judge {write_words(iteration)}{dataset}{place}")


def _ask_for_more(campaign: Campaign) -> str:
    """Return the option without which an undecided iteration would have no seed left to train."""
    most = DEFAULT_SEEDS
    while any(all(campaign.is_done(n, s) for s in range(most)) for n in campaign.undecided):
        most *= 10
    return f" --seeds {most}" if most > DEFAULT_SEEDS else ""


def _explain_stop(campaign: Campaign, outcome: Outcome) -> str:
    if outcome.refusal is not None:
        return "the ledger cannot be used"
    if outcome.given_up:
        return "seeds were given up"
    if not campaign.count_left():
        return "all seeds asked for are trained"
    return "the time budget is spent" if campaign.out_of_time else "every iteration is decided"


def _name_unfinished(console: Console, campaign: Campaign, outcome: Outcome) -> None:
    lost = {(run.iteration, run.seed) for run in outcome.unrecorded}
    for name, seeds in campaign.unfinished.items():
        _say(console, f"unfinished: {name} {name_seeds(seeds)}")
        unrecorded = [seed for seed in seeds if (name, seed) in lost]
        if unrecorded:
            _say(console, f"finished, not recorded: {name} {name_seeds(unrecorded)}")
