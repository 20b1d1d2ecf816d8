"""`bench search`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.challenges import dataset_option
from bench.commands.challenges import challenge_option, choose_challenge, find_project
from bench.commands.options import data_option, device_option, engine_option, find_models
from bench.commands.terminal import make_console
from bench.durations import parse_duration
from bench.errors import BenchError, SearchError
from bench.executors.startup import start_early
from bench.files import write_whole
from bench.foreign import write_words
from bench.interruption import EXIT_CODE, Interruption
from bench.iterations import Iteration
from bench.recipe_text import write_recipe
from bench.records import Challenge
from bench.searching.configurations import Family
from bench.searching.results import (
    HEADER,
    Results,
    collect_results,
    describe_tally,
    find_standing,
    list_cells,
    write_json,
    write_markdown,
)
from bench.searching.spaces import Space, read_space
from bench.searching.studies import Study

DEFAULT_TRIALS = 50
FOLDER = Path("reports", "search")
LEAST_COLUMNS = 120
"""Of a terminal whose tables have room for what was drawn."""


@click.command("search")
@click.argument(
    "space", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="SPACE.toml"
)
@click.option("--template", is_flag=True, help="Print a space to start from, and do nothing else.")
@click.option(
    "--study",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of what is drawn and trained.  [default: reports/search/ and the space's name]",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 100_000),
    default=DEFAULT_TRIALS,
    show_default=True,
    help="Configurations to draw in all, with those drawn before and those over the budget.",
)
@click.option("--time-budget", metavar="2h", help="Start no run after this time.")
@click.option(
    "--results", "only_results", is_flag=True, help="Train nothing: what there is so far."
)
@click.option(
    "--best",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="Configurations to show.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
    help="How to show them.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="RECIPE.toml",
    help="Write the recipe of the best configuration, and print how to train it.",
)
@click.option(
    "--pick",
    type=click.IntRange(0),
    metavar="N",
    help="With --write, another configuration by its number.",
)
@device_option
@engine_option
@click.option(
    "--block",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Seeds side by side on a GPU.  [default: the space's first]",
)
@challenge_option
@data_option
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes of one thread each; what is drawn and found does not depend on it.  "
    "[default: one per core]",
)
def command(space: Path | None, template: bool, time_budget: str | None, **options: Any) -> int:
    """Search recipes and widths by tuning seeds, never by the test set.

    SPACE.toml names a model and says what varies: fields of its recipe, arguments of its
    constructor (bench search --template prints one; docs/search.md has every key). Configurations
    are drawn by Optuna, those over the budget of parameters are passed over, the others are trained
    by one tuning seed each, on 5/6 of the training set, and scored on the rest; the best of them
    get more seeds. Claim seeds are refused. Executes model files; needs the extra `search`. Where
    there is no MNIST it never takes the digits by itself: name them, --dataset digits.

    Every run is in the ledger of the study's folder at once. The same command goes on where it was
    stopped, in any way, and trains no run twice; what it finds is the same as of one that was not
    stopped, on any number of workers.

    Ctrl-C once ends the training and shows the results so far; twice stops at once. Exit code 0; 2
    for a wrong value, another space than the study's, or configurations that failed in training;
    130 when interrupted.

    \b
    bench search --template > space.toml              start a space of your own
    bench search space.toml --trials 100              draw a hundred configurations
    bench search space.toml --time-budget 2h          no run is started after two hours
    bench search space.toml --results                 look, also while it is at work
    bench search space.toml --results --write r.toml  the best recipe, for bench run
    """  # noqa: D301
    if template:
        click.echo(files("bench.searching").joinpath("template.toml").read_text("utf-8"), nl=False)
        return 0
    if space is None:
        raise SearchError("SPACE.toml: missing; `bench search --template` prints one to start from")
    budget = parse_duration(time_budget) if time_budget is not None else None
    with Interruption() as interruption:
        return _Command(space, interruption, budget=budget, **options).run()


class _Command:
    """One call: what was asked for, and its steps."""

    def __init__(
        self,
        space: Path,
        interruption: Interruption,
        *,
        budget: float | None,
        study: Path | None,
        trials: int,
        only_results: bool,
        best: int,
        form: str,
        write: Path | None,
        pick: int | None,
        dataset: str,
        **training: Any,
    ) -> None:
        if write is not None and write.exists():
            raise SearchError(f"{write}: exists; name another file with --write")
        if pick is not None and write is None:
            raise SearchError(f"--pick {pick}: says whose recipe to write; add --write RECIPE.toml")
        self._console, self._interruption = make_console(stderr=True), interruption
        self._space = read_space(space)
        root, _ = find_project()
        self._family = Family(self._space, root=root, folder=find_models())
        self._study = Study(study or _see_from_here(root / FOLDER / space.stem))
        self._challenge, _ = choose_challenge(dataset)
        self._trials, self._budget, self._only_results = trials, budget, only_results
        self._best, self._form, self._write, self._pick = best, form, write, pick
        self._training = training

    def run(self) -> int:
        """Search, unless only results are asked for, show them, and return the exit code."""
        failures: list[str] = []
        if self._only_results:
            self._study.resume(self._identity(), self._space.path)
        else:
            with self._study.lock():
                failures = self._search(**self._training)
        results = collect_results(
            self._space, self._study, self._challenge.name, window=self._window
        )
        self._show(results)
        if self._write is not None:
            self._write_recipe(results, self._write)
        if failures:
            raise BenchError(
                f"{failures[0]}; {len(failures)} configurations failed in all. What is finished is "
                f"in {self._study.ledger}"
            )
        return EXIT_CODE if self._interruption.requested else 0

    @property
    def _window(self) -> int:
        return self._space.window or self._challenge.window

    def _identity(self, **more: Any) -> dict[str, Any]:
        """Return what a study is of, as JSON has it."""
        return {
            "space": dict(self._space.written),
            "base": self._family.base.fingerprint,
            "challenge": self._challenge.name,
            **more,
        }

    def _search(
        self, *, device: str, engine: str, block: int | None, data: Path | None, workers: int | None
    ) -> list[str]:
        """Train until all configurations are judged, or it is stopped; return what failed."""
        from bench.searching.proposals import load_optuna

        load_optuna()
        if self._study.has_begun:  # a change is told before torch is imported
            self._study.resume(self._identity(engine=engine, block=block), self._space.path)
        start_early()
        from bench import session  # torch is imported here, once all else is checked
        from bench.searching.halving import Goal, Search
        from bench.searching.progress import SearchProgress
        from bench.searching.workshop import Equipment, Workshop
        from bench.training.devices import choose_device, describe_conditions

        place = choose_device(device)
        self._challenge, dataset = session.open_dataset(self._console, self._challenge, data)
        conditions = describe_conditions(place, "", engine=engine, block=block or 1)
        self._study.begin(
            self._identity(
                images=dataset.digest,
                device=conditions.device,
                engine=engine,
                block=block,
                torch=conditions.torch,
            ),
            self._space.path,
        )
        equipment = Equipment(
            challenge=self._challenge,
            dataset=dataset,
            device=place,
            engine=engine,
            block=block,
            side_by_side=self._space.rungs[0],
            workers=workers,
            ledger=self._study.ledger,
        )
        self._announce()
        deadline = time.monotonic() + self._budget if self._budget is not None else None
        goal = Goal(
            window=self._window,
            parameters=self._space.parameters or self._challenge.parameters,
        )
        with (
            SearchProgress(
                self._console, self._space, trials=self._trials, window=self._window
            ) as progress,
            Workshop(equipment, progress, self._interruption, deadline=deadline) as workshop,
        ):
            search = Search(self._space, self._family, self._study, workshop, progress, goal)
            done = search.run(self._trials)
        self._say(f"stopped: {self._explain_stop(done=done)}")
        return search.failures

    def _explain_stop(self, *, done: bool) -> str:
        if done:
            return "all configurations are judged; to draw more: a larger --trials"
        reason = "interrupted" if self._interruption.requested else "the time budget is spent"
        return f"{reason}; to go on: the same command"

    def _announce(self) -> None:
        space = self._space
        fields = ", ".join(name.removeprefix("recipe.") for name in self._family.fields)
        rungs = ", then ".join(map(str, space.rungs))
        self._say(
            f"{space.model} on {self._challenge.name}: {self._trials} configurations of {fields}; "
            f"{rungs} tuning seeds each, one in {space.keep} goes on; "
            f"{len(self._study.trials)} drawn already in {self._study.folder}"
        )

    def _show(self, results: Results) -> None:
        if self._form == "json":
            sys.stdout.write(write_json(results, self._identity(), best=self._best).decode())
        elif self._form == "markdown":
            sys.stdout.write(write_markdown(results, best=self._best))
        else:
            print_results(make_console(), self._space, results, best=self._best)

    def _write_recipe(self, results: Results, path: Path) -> None:
        standings = results.standings
        chosen = standings[:1] if self._pick is None else (find_standing(standings, self._pick),)
        if not chosen or chosen[0] is None:
            which = "" if self._pick is None else f" {self._pick}"
            raise SearchError(f"--write {path}: no configuration{which} has been trained")
        number = chosen[0].number
        iteration = self._family.recall(self._study.trials[number].drawn)
        self._study.check_code(number, iteration)
        heading = (
            f"# Configuration {number} of {self._study.folder}, {iteration.name}: "
            f"{len(chosen[0].seeds)} tuning seeds.\n"
        )
        try:
            write_whole(path, (heading + write_recipe(iteration.recipe)).encode())
        except OSError as error:
            raise SearchError(f"{path}: cannot be written ({error.strerror})") from error
        self._say(f"recipe: {path}; {describe_use(iteration, path, self._challenge)}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _see_from_here(path: Path) -> Path:
    """Return a path as it is seen from the working directory, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def describe_use(iteration: Iteration, path: Path, challenge: Challenge) -> str:
    """Say how a configuration is trained by claim seeds."""
    if iteration.origin is None:
        return "for an iteration of your own (`bench init --iteration`): write it as its RECIPE"
    named = replace(iteration, origin=replace(iteration.origin, recipe=str(path)))
    return f"to train it: bench run {write_words(named)}{dataset_option(challenge)}"


def print_results(console: Console, space: Space, results: Results, *, best: int) -> None:
    """Print the best configurations as a table, and what was tried.

    On a narrow terminal what was drawn stands below the table.
    """
    is_narrow = console.width < LEAST_COLUMNS
    worth = "lowest" if space.objective == "minimum" else "mean"
    header = ("number" if is_narrow else HEADER[0], *HEADER[1:])
    table = Table(*header, caption=f"{worth} validation accuracy of the final window, over seeds")
    for column in table.columns[1:]:
        column.justify = "right"
    for standing in results.standings[:best]:
        name, *figures = list_cells(standing, results.every)
        table.add_row(str(standing.number) if is_narrow else name, *figures)
    console.print(table)
    lines = [list_cells(each, results.every)[0] for each in results.standings[:best]]
    for line in [*(lines if is_narrow else []), describe_tally(results.tally)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
