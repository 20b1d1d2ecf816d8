"""Train a network over many seeds from Python, and judge it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from bench.api.counts import MOST_BLOCK, MOST_EPOCHS, MOST_WORKERS, check_count, list_seeds
from bench.api.judging import resolve_challenge
from bench.api.models import Given, find_iteration
from bench.api.results import Result
from bench.campaign import Plan
from bench.commands.options import UNNAMED, choose_challenge, find_ledger
from bench.commands.terminal import PIPE_COLUMNS
from bench.durations import parse_duration
from bench.errors import BenchError, SettingsError
from bench.executors.startup import start_early
from bench.foreign import change_epochs
from bench.interruption import Interruption
from bench.ledger import check_writable
from bench.progress import Progress
from bench.records import Challenge
from bench.seeds import name_seeds
from models.recipe import Recipe

if TYPE_CHECKING:
    from bench.api.models import Model
    from bench.executors.inspection import Inspection
    from bench.iterations import Iteration
    from bench.session import Outcome, Session

DEFAULT_SEEDS = 100


def run(
    model: Model,
    *,
    recipe: Recipe | str | Path | None = None,
    arguments: Given | None = None,
    seeds: int | str | Iterable[int] | None = None,
    until_decided: bool | None = None,
    time_budget: float | str | None = None,
    epochs: int | None = None,
    challenge: Challenge | str | None = None,
    ledger: str | Path | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    block: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Result:
    """Train a network over many seeds, record every run, and return the verdict.

    `model` is an iteration's name, `FILE:CLASS`, a class that extends `nn.Module`, or a function
    that returns a new network; `arguments` are plain values for either. `recipe` is a `Recipe`, an
    iteration's name or a TOML file; an iteration has its own. `seeds` are how many (10: the first
    ten), as on the command line (`"0-58"`), or numbers; without them, up to 100 until decided.
    `time_budget` is in seconds or as `"20m"`; no run is started after it. `challenge` is `"mnist"`,
    `"digits"`, or what the project or a file defines. `ledger` is a folder, by default the
    project's: runs that it holds are not trained again. Without `progress` nothing is printed.

    Ctrl-C, or a notebook's stop button, once records what is finished and raises
    `KeyboardInterrupt`; start again to go on. In a script no `if __name__ == "__main__":` is
    needed: workers do not import it.

    Raises:
        BenchError: a value is wrong, data is missing, the ledger cannot be written, or seeds were
            given up; finished runs are in the ledger.
        KeyboardInterrupt: training was interrupted.
    """
    workers = check_count("workers", workers, MOST_WORKERS)
    epochs = check_count("epochs", epochs, MOST_EPOCHS)
    block = check_count("block", block, MOST_BLOCK)
    iteration = find_iteration(model, recipe, arguments)
    if epochs is not None:
        iteration = change_epochs(iteration, epochs=epochs)
    plan = _make_plan(seeds, until_decided, time_budget)
    folder = find_ledger(Path(ledger) if ledger is not None else None)
    asked = resolve_challenge(challenge)
    console = _make_console(quiet=not progress)
    with ExitStack() as stack:
        stack.enter_context(_main_left_alone())
        interruption = Interruption(stop=_raise_interrupt)
        if threading.current_thread() is threading.main_thread():  # others hear no signals
            stack.enter_context(interruption)
        start_early()
        session = _open_session(
            console,
            iteration,
            asked,
            folder,
            Path(data) if data is not None else None,
            check=partial(_check_live, model, arguments),
            device=device,
            engine=engine,
            block=block,
            workers=workers,
        )
        return _train(console, session, plan, interruption, iteration)


def _make_plan(
    seeds: int | str | Iterable[int] | None,
    until_decided: bool | None,
    time_budget: float | str | None,
) -> Plan:
    wanted = list_seeds(DEFAULT_SEEDS if seeds is None else seeds)
    seconds = parse_duration(time_budget) if isinstance(time_budget, str) else time_budget
    if seconds is not None and not seconds > 0:
        raise SettingsError(f"time_budget={seconds}: not a time; write seconds, or '20m'")
    return Plan(
        seeds=wanted,
        until_decided=seeds is None if until_decided is None else until_decided,
        time_budget_seconds=seconds,
    )


def _open_session(
    console: Console,
    iteration: Iteration,
    asked: Challenge | None,
    ledger: Path,
    data: Path | None,
    *,
    check: Callable[[Inspection], None],
    device: str,
    engine: str,
    block: int | None,
    workers: int | None,
) -> Session:
    """Look at the network and load the dataset: here torch is imported."""
    from bench.executors.inspection import inspect_iteration
    from bench.session import Session, check_recipes, choose_workers, open_dataset
    from bench.training.devices import choose_device

    place = choose_device(device)
    challenge, fallback = (asked, False) if asked else choose_challenge(UNNAMED)
    found = inspect_iteration(
        iteration,
        place,
        engine=engine,
        block=block,
        shape=challenge.shape,
        classes=len(challenge.classes),
    )
    check(found)
    for note in found.notes:
        console.print(f"{iteration.name}: {note}", highlight=False, markup=False, soft_wrap=True)
    engines = {iteration.name: found.choice}
    workers = choose_workers(place, workers, engines)
    challenge, dataset = open_dataset(console, challenge, data, fallback=fallback)
    check_recipes((found.iteration,), dataset)
    check_writable(ledger, challenge.name)
    return Session(
        iterations=(found.iteration,),
        challenge=challenge,
        dataset=dataset,
        device=place,
        engines=engines,
        costs={iteration.name: found.cost},
        workers=workers,
        ledger=ledger,
        whole=True,
    )


def _check_live(model: Model, arguments: Given | None, found: Inspection) -> None:
    from bench.api.live import check_live

    check_live(model, arguments, found)


def _train(
    console: Console,
    session: Session,
    plan: Plan,
    interruption: Interruption,
    iteration: Iteration,
) -> Result:
    from bench.session import start_campaign, train_campaign

    campaign = start_campaign(session, plan)
    with Progress(console, campaign) as progress:
        outcome = train_campaign(session, campaign, progress, interruption)
    _raise_failure(outcome)
    if interruption.requested:
        raise KeyboardInterrupt(f"interrupted; finished runs are in {session.ledger}")
    return Result(iteration=iteration, verdict=campaign.verdict(iteration.name))


def _raise_failure(outcome: Outcome) -> None:
    if outcome.refusal is not None:
        raise outcome.refusal
    if outcome.given_up:
        first = outcome.given_up[0]
        which = name_seeds(first.seeds) if first.seeds else "all seeds"
        raise BenchError(
            f"{first.iteration} {which}: given up: {first.reason}; finished runs are in the ledger"
        )


def _raise_interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _make_console(*, quiet: bool) -> Console:
    """Print lines, in a notebook as the output of its cell: a live table needs a terminal."""
    notebook = hasattr(sys.modules["__main__"], "In")
    file = sys.stdout if notebook else sys.stderr
    terminal = False if notebook else None
    console = Console(file=file, quiet=quiet, force_jupyter=False, force_terminal=terminal)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Keep worker processes from importing the user's script, which would train again in each.

    `multiprocessing` tells a new process what to import as its main module by these two names.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    if multiprocessing.parent_process() is not None:
        raise SettingsError(
            "bench.run was called in a worker process; call it in the main program, below "
            '`if __name__ == "__main__":`'
        )
    try:
        vars(main).pop("__file__", None)
        main.__spec__ = None
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)
