"""`bench gate`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path, PurePosixPath

import click

from bench.baselines import DEFAULT_MARGIN, Old, Project, compare_selections, read_old
from bench.ci.document import GateDocument, make_document
from bench.ci.github import (
    Runner,
    defuse,
    find_runner,
    resume_commands,
    stop_commands,
    write_annotations,
    write_command,
)
from bench.ci.junit import write_junit
from bench.ci.summary import write_summary
from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import (
    challenge_option,
    choose_challenge,
    complete_iterations,
    find_ledger,
    find_models,
    find_project,
    ledger_option,
    read_selection,
)
from bench.errors import BenchError, SettingsError
from bench.figures import make_printable
from bench.files import write_whole
from bench.gate import (
    Check,
    Gated,
    exit_code,
    hold_to_gate,
    join_answers,
    keep_known_images,
    restrict,
)
from bench.iterations import Iteration, list_iterations
from bench.judgement import encode_document, make_schema
from bench.ledger import read_outlines
from bench.records import Answer, Challenge
from bench.report.badge import draw_badge
from bench.report.wording import name_iteration

MOST_MARGIN, MOST_DECIMALS = 10, 9
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("gate")
@models_argument
@model_options
@challenge_option
@ledger_option
@click.option(
    "--against",
    metavar="REV|LEDGER",
    help="Also ask that it is not worse than at a git revision, or than the runs of another "
    "ledger; nothing is checked out or run.",
)
@click.option(
    "--margin",
    metavar="POINTS",
    help=f"How many points of accuracy worse is not yet worse.  [default: "
    f"{float(DEFAULT_MARGIN) * 100:g}, five images of MNIST]",
)
@click.option(
    "--baseline",
    metavar="ITERATION",
    shell_complete=complete_iterations,
    help="The iteration to compare with.  [default: the same name, else the latest one there]",
)
@click.option("--junit", metavar="FILE", type=_FILE, help="Write JUnit XML, a case a check.")
@click.option("--json", metavar="FILE", type=_FILE, help="Write a document for programs.")
@click.option("--badge", metavar="FILE", type=_FILE, help="Write the (worst) verdict as SVG.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --json and exit.")
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    dataset: str,
    ledger: Path | None,
    against: str | None,
    margin: str | None,
    baseline: str | None,
    junit: Path | None,
    json: Path | None,
    badge: Path | None,
    schema: bool,
) -> int:
    """Exit 0 when every required iteration HOLDS; 1 FAILS; 3 UNDECIDED or stale evidence; 2 usage.

    Judges the iterations named, else those of [tool.bench.gate] require in pyproject.toml, else the
    latest one, under the conditions with the most runs that [tool.bench.gate.conditions] allows.
    Reads the ledger and the sources; runs no model file and needs no torch. Below each verdict are
    the checks that keep the gate shut, and what to run next. On GitHub Actions they are annotations
    and the step's summary as well.

    \b
    bench gate                        the required iterations
    bench gate iteration_3            another one
    bench gate --against origin/main  and not worse than there
    """  # noqa: D301
    if schema:
        click.echo(make_schema(GateDocument), nl=False)
        return 0
    allowed = parse_margin(margin)
    if against is None and (margin is not None or baseline is not None):
        raise SettingsError(
            f"{'--margin' if margin is not None else '--baseline'}: there is nothing to compare "
            "with; name it with --against"
        )
    runner = find_runner(os.environ)
    with _quietly(runner):
        folder = find_ledger(ledger)
        challenge, _ = choose_challenge(dataset)  # of digits only where they are asked for
        chosen = choose_required(iterations, recipe, arguments)
        olds = _read_olds(against, chosen, challenge, folder, baseline)
        gated = [
            _hold(iteration, folder, challenge, old, allowed, named=ledger)
            for iteration, old in zip(chosen, olds, strict=True)
        ]
        click.echo("\n".join(line for each in gated for line in write_lines(each)))
    if runner:
        _tell_runner(runner, gated, challenge)
    _write_files(gated, challenge, junit=junit, json=json, badge=badge)
    return exit_code(each.answer for each in gated)


def choose_required(
    names: Sequence[str],
    recipe: str | None = None,
    arguments: Sequence[str] = (),
    *,
    trains: bool = True,
) -> tuple[Iteration, ...]:
    """Return the iterations named, else those that the project requires, else the latest one."""
    required = find_project()[1].gate.require
    wanted = names or required or (list_iterations(find_models())[-1].name,)
    return choose_iterations(wanted, recipe, arguments, trains=trains)


def parse_margin(text: str | None) -> Fraction:
    """Return a margin of points as a proportion, exactly as it is written.

    Raises:
        SettingsError: it is no number, negative, or so large that nothing would be worse.
    """
    if text is None:
        return DEFAULT_MARGIN
    try:
        points = Decimal(text)
    except InvalidOperation:
        points = Decimal("nan")
    # compared before it is a fraction: of 1e-9999999 that would take minutes
    if not (points.is_finite() and 0 <= points <= MOST_MARGIN):
        raise SettingsError(
            f"--margin {text}: not a margin; write points of accuracy from 0 to {MOST_MARGIN}, "
            "such as 0.05"
        )
    exponent = points.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MOST_DECIMALS:
        raise SettingsError(f"--margin {text}: more than {MOST_DECIMALS} decimals; write fewer")
    return Fraction(points) / 100


def write_lines(gated: Gated) -> list[str]:
    """Return an iteration at the gate as lines: its answer, each problem, and the comparison."""
    verdict = gated.verdict
    under = f" ({verdict.evidence.conditions})" if verdict.evidence else ""
    lines = [f"{gated.answer:9} {gated.title}{under}: {verdict.why}"]
    for outcome in gated.outcomes:
        if not outcome.is_problem and outcome.check is not Check.BASELINE:
            continue
        run = f"; run `{outcome.command}`" if outcome.command else ""
        lines.append(f"  {outcome.check}: {outcome.text}{run}")
    return [make_printable(line) for line in lines]


def _hold(
    iteration: Iteration,
    folder: Path,
    challenge: Challenge,
    old: Old | None,
    margin: Fraction,
    *,
    named: Path | None,
) -> Gated:
    required = find_project()[1].gate.conditions
    selection = read_selection(folder, challenge, iteration, read=read_outlines)
    standing = None
    if old is not None:
        allowed = restrict(keep_known_images(selection, challenge), required)
        standing = compare_selections(iteration, allowed, old, challenge, margin=margin)
    ledger = str(named) if named else None
    return hold_to_gate(iteration, selection, challenge, required, standing, ledger=ledger)


def _read_olds(
    against: str | None,
    iterations: Sequence[Iteration],
    challenge: Challenge,
    ledger: Path,
    baseline: str | None,
) -> Sequence[Old | None]:
    if against is None:
        return [None] * len(iterations)
    project = _locate_project(ledger)
    return read_old(against, iterations, challenge, project=project, baseline=baseline)


def _locate_project(ledger: Path) -> Project:
    """Return where ledger and iterations lie in the project; a ledger elsewhere is not in git."""
    root, settings = find_project()
    inside = _place_below(ledger, root)
    return Project(
        root=root,
        ledger=inside if inside is not None else PurePosixPath(settings.ledger),
        models=_place_below(find_models(), root),
    )


def _place_below(path: Path, root: Path) -> PurePosixPath | None:
    resolved, home = path.resolve(), root.resolve()
    if not resolved.is_relative_to(home):
        return None
    return PurePosixPath(resolved.relative_to(home).as_posix())


@contextmanager
def _quietly(runner: Runner | None) -> Iterator[None]:
    """Let a GitHub runner take nothing that is printed meanwhile for a command.

    An error becomes an annotation, and its text no command either.
    """
    if runner is None:
        yield
        return
    token = secrets.token_hex(16)
    click.echo(stop_commands(token))
    try:
        yield
    except BenchError as error:
        click.echo(resume_commands(token))
        message = make_printable(" ".join(str(error).split()))
        click.echo(write_command("error", message, title="bench gate"))
        raise BenchError(defuse(message)) from error
    click.echo(resume_commands(token))


def _tell_runner(runner: Runner, gated: Sequence[Gated], challenge: Challenge) -> None:
    for line in write_annotations(gated, runner):
        click.echo(line)
    if runner.summary is None:
        return
    answer = join_answers(each.answer for each in gated)
    try:
        with runner.summary.open("a", encoding="utf-8", newline="\n") as file:
            file.write(write_summary(gated, challenge, answer))
    except OSError as error:
        raise _unwritable(runner.summary, error) from error


def _write_files(
    gated: Sequence[Gated],
    challenge: Challenge,
    *,
    junit: Path | None,
    json: Path | None,
    badge: Path | None,
) -> None:
    if junit:
        _write(junit, write_junit(gated, datetime.now(UTC)))
    if json:
        _write(json, encode_document(make_document(gated, challenge)))
    if badge:
        worst = _choose_worst(gated)
        drawn = draw_badge(worst.verdict, name_iteration(worst.iteration))
        _write(badge, f"{drawn}\n".encode())


def _choose_worst(gated: Sequence[Gated]) -> Gated:
    order = (Answer.FAILS, Answer.UNDECIDED, Answer.HOLDS)
    return min(gated, key=lambda each: order.index(each.verdict.answer))


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BenchError:
    return BenchError(
        f"{path}: cannot be written ({error.strerror}); name a file in a folder that you may "
        "write to"
    )
