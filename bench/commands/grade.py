"""`bench grade`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.challenges import title_dataset
from bench.commands.grades import Looks, print_grades
from bench.commands.options import (
    challenge_option,
    choose_challenge,
    data_option,
    device_option,
    find_models,
)
from bench.commands.terminal import make_console
from bench.durations import parse_duration
from bench.errors import BenchError
from bench.executors.startup import start_early
from bench.figures import make_printable
from bench.grading.claims import read_claims
from bench.grading.marks import Grade
from bench.grading.page import render_page
from bench.grading.ranking import rank
from bench.grading.spreadsheet import write_csv
from bench.grading.submissions import Submission, find_claims_file, list_submissions
from bench.interruption import EXIT_CODE, Interruption
from bench.ledger import check_writable
from bench.recipes import find_recipe
from bench.records import Challenge
from bench.report.page import check_page_writable, write_page

DEFAULT_SEEDS = 100
DEFAULT_RECIPE = "iteration_4"
DEFAULT_OUTPUT = Path("grading")
PAGE, TABLE, LEDGER = "leaderboard.html", "leaderboard.csv", "ledger"
ENGINES = ("auto", "eager", "native", "stacked")


@click.command("grade")
@click.argument(
    "submissions",
    metavar="SUBMISSIONS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--budget",
    metavar="2h",
    default="2h",
    show_default=True,
    help="Time for all of it: no seed is started after it.",
)
@click.option(
    "--claims",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What was claimed, as CSV or TOML.  [default: claims.csv or claims.toml in SUBMISSIONS]",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    default=DEFAULT_RECIPE,
    show_default=True,
    help="How to train submissions whose claim names no recipe: an iteration's name or a file.",
)
@challenge_option
@data_option
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=DEFAULT_SEEDS,
    show_default=True,
    help="Seeds of one submission at most.",
)
@device_option
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="How to train, as for `bench run`.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes of one thread each.  [default: one per core]",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="Folder of what is written.",
)
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Leaderboard.  [default: {PAGE} in the output]",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Spreadsheet.  [default: {TABLE} in the output]",
)
@click.option(
    "--ledger",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder of the runs, from which grading goes on.  [default: {LEDGER} in the output]",
)
def command(**options: Any) -> int:
    """Grade a folder of submissions: claim beside measured, a verdict, one line why.

    Submissions are the .py and .ipynb files of the folder, or of one folder for each student in
    it. All are looked at first, each in a process of its own: parameters, structure, cost. Those
    that are over budget fail without a seed. Then seeds are trained round-robin over those that
    are open, each until it is decided, until the budget is spent. Every finished run is in the
    ledger at once: start the command again to go on. Executes the submissions.

    Writes a leaderboard as a page and as CSV. Exit code 0 when they are written, whatever the
    verdicts, even if every submission is broken; 2 for a wrong value, a folder without
    submissions, or a ledger that cannot be written; 130 when interrupted, with what there is
    written. See docs/grading.md.

    \b
    bench grade SUBMISSIONS --budget 2h
    bench grade SUBMISSIONS --claims claims.csv --recipe recipe.toml
    bench grade SUBMISSIONS --dataset digits --budget 2m   a rehearsal, in two minutes
    """  # noqa: D301
    with Interruption() as interruption:
        return grade(make_console(stderr=True), interruption, **options)


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where what is written goes."""

    page: Path
    table: Path
    ledger: Path

    def check(self, challenge: Challenge) -> None:
        """Find out before hours of training whether all of it can be written."""
        check_writable(self.ledger, challenge.name)
        check_page_writable(self.page)
        check_page_writable(self.table)


def grade(
    console: Console,
    interruption: Interruption,
    *,
    submissions: Path,
    budget: str,
    claims: Path | None,
    recipe: str,
    dataset: str,
    data: Path | None,
    seeds: int,
    device: str,
    engine: str,
    workers: int | None,
    output: Path,
    page: Path | None,
    table: Path | None,
    ledger: Path | None,
) -> int:
    """Screen, train, rank and write; return the exit code."""
    started = time.monotonic()
    seconds = parse_duration(budget, option="--budget")
    claims = claims or find_claims_file(submissions)
    claimed = read_claims(claims) if claims is not None else ()
    listed = list_submissions(submissions, claimed)
    find_recipe(recipe, find_models())
    challenge, fallback = choose_challenge(dataset)
    places = Places(
        page=page or output / PAGE, table=table or output / TABLE, ledger=ledger or output / LEDGER
    )

    start_early()
    from bench import session as sessions  # torch is imported here, once the options are checked
    from bench.grading_session import GradingSession, grade_untrained
    from bench.screening import Screening
    from bench.training.devices import choose_device, count_cores

    place = choose_device(device)
    challenge, images = sessions.open_dataset(console, challenge, data, fallback=fallback)
    places.check(challenge)
    _report_claims(console, listed)
    screening = Screening(
        folder=submissions,
        challenge=challenge,
        device=place,
        engine=engine,
        recipe=recipe,
        recipes=claims.parent if claims is not None else None,
        workers=workers or count_cores(),
    )
    session = GradingSession(
        challenge=challenge,
        dataset=images,
        device=place,
        workers=workers,
        ledger=places.ledger,
        seeds=tuple(range(seeds)),
        deadline=started + seconds,
        budget_seconds=seconds,
    )
    looks = Looks(console, listed)
    try:
        with looks:
            found = screening.look_at_all(listed, looks.note)
        graded = session.grade(console, found, interruption)
    except KeyboardInterrupt:
        _write(console, places, challenge, list(map(grade_untrained, looks.all())))
        return EXIT_CODE
    _write(console, places, challenge, graded.grades)
    if graded.outcome.refusal is not None:
        raise BenchError(f"{graded.outcome.refusal}; start the command again to go on")
    return EXIT_CODE if interruption.requested else 0


def _report_claims(console: Console, listed: Sequence[Submission]) -> None:
    """Say which claims have no file, and which files no claim."""
    missing = [each.file for each in listed if each.path is None]
    unclaimed = [each.file for each in listed if each.claim is None]
    files = len({each.file for each in listed if each.path is not None})
    _say(console, f"{files} files, {len(listed) - len(unclaimed)} claims")
    if missing:
        _say(console, f"claimed and not there: {', '.join(missing)}")
    if unclaimed and len(unclaimed) < len(listed):
        _say(console, f"without a claim: {', '.join(unclaimed)}")


def _write(console: Console, places: Places, challenge: Challenge, grades: Sequence[Grade]) -> None:
    ranked = rank(grades)
    html = render_page(ranked, challenge, dataset=title_dataset(challenge))
    write_page(places.page, html)
    write_page(places.table, write_csv(ranked))
    print_grades(console, ranked)
    _say(console, f"leaderboard: {places.page}")
    _say(console, f"spreadsheet: {places.table}")


def _say(console: Console, text: str) -> None:
    console.print(make_printable(text), highlight=False, markup=False, soft_wrap=True)
