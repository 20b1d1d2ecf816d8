"""`bench verify`."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.bundles import (
    LEDGER,
    PYPROJECT,
    ROOT,
    Manifest,
    check_digests,
    check_verdicts,
    extract_bundle,
    is_bundle,
    list_challenges,
    list_changed_sources,
)
from bench.challenge_tables import AUTO
from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import (
    UNNAMED,
    challenge_option,
    data_option,
    find_challenge,
    find_ledger,
    ledger_option,
)
from bench.commands.terminal import make_console
from bench.errors import LedgerError, SettingsError
from bench.executors.startup import start_early
from bench.figures import make_printable
from bench.foreign import SUFFIXES, change_epochs
from bench.iterations import Iteration, list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.records import FIRST_TUNING_SEED, Challenge, Run
from bench.verification import (
    Check,
    Outcome,
    Pair,
    check_on_paper,
    choose_sample,
    compare_bits,
    judge_pairs,
    make_check,
)

if TYPE_CHECKING:
    from bench.executors.processes import GivenUp  # with torch

DEFAULT_SAMPLE = 3
NAMED_COMMITS = 3
EXIT_CONTRADICTED, EXIT_NOTHING_VERIFIED = 1, 3
_COMMIT = re.compile(r"[0-9a-f]{12,64}")


class _Recorded(Struct, frozen=True, kw_only=True):
    """The runs of one iteration that today's code can train again, and those of other code."""

    iteration: Iteration
    runs: tuple[Run, ...]
    stale: tuple[Run, ...]


@click.command("verify")
@models_argument
@model_options
@click.option(
    "--sample",
    type=click.IntRange(0, 100_000),
    metavar="N",
    help=f"Runs to train again; 0 trains none.  [default: {DEFAULT_SAMPLE}, of a bundle 0]",
)
@click.option(
    "--random-seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="S",
    help="Draws the sample; the same seed draws the same runs.  [default: from the system]",
)
@click.option(
    "--execute", is_flag=True, help="Run the model files of a bundle: code of whoever wrote it."
)
@challenge_option
@ledger_option
@data_option
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes of one thread each; numbers do not depend on it.  [default: one per core]",
)
@click.option(
    "--epochs", type=click.IntRange(1, 1000), help="Of runs that were trained with --epochs."
)
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    sample: int | None,
    random_seed: int | None,
    execute: bool,
    dataset: str,
    ledger: Path | None,
    data: Path | None,
    workers: int | None,
    epochs: int | None,
) -> int:
    """Train a sample of recorded runs again, and say which of them are true.

    Executes model files, those of a bundle only with --execute. For each run: identical (every
    count and loss of every epoch), compatible (other bits where another machine, version or engine
    may have them, and a statistical test finds nothing), or contradicted. All recorded runs are
    checked against themselves and each other as well. Nothing enters the ledger. Exit code 0 when
    nothing is contradicted, 1 when something is, 3 when nothing could be verified, 2 usage.

    \b
    bench verify                                    three runs of all iterations
    bench verify iteration_4 --sample 10            ten runs of one
    bench verify --sample 0                         on paper alone: runs no model file
    bench verify drilldown-bundle.zip               digests, ledger, verdicts: runs no code of it
    bench verify drilldown-bundle.zip --sample 3 --execute
    """  # noqa: D301
    drawn = secrets.randbits(32) if random_seed is None else random_seed
    bundles = [
        name for name in iterations if is_bundle(name) and not name.lower().endswith(SUFFIXES)
    ]
    if not bundles:
        if execute:
            raise SettingsError("--execute: only a bundle's files need it; leave it out")
        chosen = choose_iterations(iterations, recipe, arguments)
        if epochs is not None:
            chosen = tuple(change_epochs(iteration, epochs=epochs) for iteration in chosen)
        folder = find_ledger(ledger)
        return verify_ledger(
            chosen,
            folder,
            find_challenge(dataset, folder),
            sample=DEFAULT_SAMPLE if sample is None else sample,
            random_seed=drawn,
            data=data,
            workers=workers,
        )
    if (
        len(iterations) > 1
        or ledger is not None
        or epochs is not None
        or dataset not in (UNNAMED, AUTO)
    ):
        raise SettingsError(f"{bundles[0]}: a bundle is verified alone, with its own ledger")
    if sample and not execute:
        raise SettingsError(
            f"--sample {sample}: training runs the bundle's model files, code of whoever wrote it; "
            "add --execute if you trust it"
        )
    count = sample if sample is not None else DEFAULT_SAMPLE * execute
    options = ["--sample", str(count), "--random-seed", str(drawn)]
    options += ["--workers", str(workers)] if workers else []
    return verify_bundle(Path(bundles[0]), options if count else [], data)


def verify_ledger(
    iterations: Sequence[Iteration],
    ledger: Path,
    challenge: Challenge,
    *,
    sample: int,
    random_seed: int,
    data: Path | None,
    workers: int | None,
) -> int:
    """Check all runs on paper, train a sample of them again, print, and return the exit code."""
    recorded = [_read(iteration, ledger, challenge) for iteration in iterations]
    checks = [check for r in recorded for check in check_on_paper(r.runs, r.iteration, challenge)]
    _print_checks(checks)
    _print_stale(recorded)
    runs = [run for r in recorded for run in r.runs]
    chosen = choose_sample(runs, sample, random_seed=random_seed)
    click.echo(
        f"{len(runs)} runs checked on paper, {len(chosen)} of them drawn by random seed "
        f"{random_seed} to be trained again"
    )
    if chosen:
        trained = _train_again(chosen, runs, iterations, challenge, data, workers)
        _print_checks(trained)
        checks += trained
    return _conclude(checks, on_paper=bool(runs) and not sample)


def verify_bundle(path: Path, options: list[str], data: Path | None) -> int:
    """Check an archive; with options for training, run its model files under our own bench."""
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as scratch:
        root = Path(scratch, "bundle")
        root.mkdir()
        manifest = extract_bundle(path, root)
        try:
            wrong = list(check_digests(root, manifest)) or [
                *check_verdicts(root, manifest),
                *_check_bundle_on_paper(root),
            ]
        except LedgerError as error:
            wrong = [str(error).replace(f"{root}{os.sep}", "")]
        for line in wrong:
            click.echo(make_printable(f"{Outcome.CONTRADICTED:12}  {line}"))
        if wrong:
            return EXIT_CONTRADICTED
        _print_bundle(manifest)
        return _execute(root, options, data) if options else 0


def _check_bundle_on_paper(root: Path) -> list[str]:
    return [
        f"{check.iteration} seed {check.seed} ({check.conditions}): {check.why}"
        for challenge in list_challenges(root)
        for iteration in list_iterations(root / "models")
        for check in check_on_paper(
            _read(iteration, root / LEDGER, challenge).runs, iteration, challenge
        )
    ]


def _print_bundle(manifest: Manifest) -> None:
    for result in manifest.results:
        if result.conditions is not None:
            click.echo(
                make_printable(
                    f"{result.answer:9} {result.iteration} ({result.conditions}): {result.holding} "
                    f"of {result.runs} seeds hold; {result.stale} runs of other code"
                )
            )
    changed = len(list_changed_sources(manifest))
    other = f"; {changed} files of its bench/ are not those here, and its page was not compared"
    click.echo(
        f"the {len(manifest.members)} digests, the ledger and the verdicts agree"
        f"{other if changed else ''}"
    )


def _execute(root: Path, options: list[str], data: Path | None) -> int:
    """Train the bundle's model files with the bench that runs now: its own could say anything."""
    place = root.parent / "models-alone"
    place.mkdir()
    shutil.copytree(root / "models", place / "models")
    if (root / PYPROJECT).is_file():  # its challenges
        shutil.copyfile(root / PYPROJECT, place / PYPROJECT)
    paths = [str(place), str(ROOT)]
    found = data or Path(os.environ.get("BENCH_DATA") or "data")
    options = [*options, *(["--data", str(found.resolve())] if data or found.is_dir() else [])]
    command_line = [sys.executable, "-m", "bench", "verify", "--ledger", str(root / LEDGER)]
    codes = {
        subprocess.run(
            [*command_line, *options, "--challenge", challenge.name],
            cwd=place,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            check=False,
        ).returncode
        for challenge in list_challenges(root)
    }
    return next((c for c in (130, 2, EXIT_CONTRADICTED, 0) if c in codes), EXIT_NOTHING_VERIFIED)


def _read(iteration: Iteration, ledger: Path, challenge: Challenge) -> _Recorded:
    file = read_ledger(ledger_path(ledger, challenge.name, iteration.name))
    if file.torn:
        click.echo(f"bench: {file.path}: the last line is torn and was ignored", err=True)
    runs = [run for run in file.runs if run.seed < FIRST_TUNING_SEED]
    return _Recorded(
        iteration=iteration,
        runs=tuple(run for run in runs if run.fingerprint == iteration.fingerprint),
        stale=tuple(run for run in runs if run.fingerprint != iteration.fingerprint),
    )


def _train_again(
    chosen: Sequence[Run],
    recorded: Sequence[Run],
    iterations: Iterable[Iteration],
    challenge: Challenge,
    data: Path | None,
    workers: int | None,
) -> list[Check]:
    start_early()
    from bench.retraining import retrain  # torch, once there is something to train
    from bench.session import open_dataset

    console = make_console(stderr=True)
    dataset = open_dataset(console, challenge, data)[1]
    by_name = {iteration.name: iteration for iteration in iterations}
    checks: list[Check] = []
    open_pairs: list[Pair] = []
    given_up: list[GivenUp] = []
    with _make_progress(console) as progress:
        total = sum(by_name[run.iteration].recipe.epochs for run in chosen)
        task = progress.add_task("epochs", total=total)
        for pair in retrain(
            chosen,
            by_name,
            challenge,
            dataset,
            workers=workers,
            report=lambda epochs: progress.advance(task, len(epochs)),
            give_up=given_up.append,
        ):
            check = compare_bits(pair)
            checks += [check] if check else []
            open_pairs += [] if check else [pair]
    checks += judge_pairs(open_pairs, recorded, challenge)
    checks += _list_given_up(chosen, given_up)
    return sorted(checks, key=lambda check: (check.iteration, check.conditions, check.seed))


def _list_given_up(chosen: Iterable[Run], given_up: Iterable[GivenUp]) -> list[Check]:
    """Return the checks of the drawn runs whose seeds could not be trained here."""
    reasons = {(each.iteration, seed): each.reason for each in given_up for seed in each.seeds}
    return [
        make_check(run, Outcome.UNVERIFIED, reasons[run.iteration, run.seed])
        for run in chosen
        if (run.iteration, run.seed) in reasons
    ]


def _make_progress(console: Console) -> Progress:
    return Progress(
        TextColumn("training again"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _print_checks(checks: Iterable[Check]) -> None:
    for check in checks:
        click.echo(
            make_printable(
                f"{check.outcome:12}  {check.iteration} seed {check.seed} ({check.conditions}): "
                f"{check.why}"
            )
        )


def _print_stale(recorded: Iterable[_Recorded]) -> None:
    """Say of runs of other code how to come back to it."""
    for each in recorded:
        if each.stale:
            found = Counter(run.machine.commit or "" for run in each.stale)
            commits = [c[:12] for c, _ in found.most_common() if _COMMIT.fullmatch(c)]
            shown = ", ".join(commits[:NAMED_COMMITS]) or "one that was not recorded"
            click.echo(
                f"{Outcome.UNVERIFIED:12}  {each.iteration.name}: {len(each.stale)} runs are "
                f"stale, of other code; check out its commit to train them again: git checkout "
                f"{shown}{_hint_epochs(each)}"
            )


def _hint_epochs(recorded: _Recorded) -> str:
    """Name the option that stale runs were trained with, where that alone makes them other code."""
    epochs = len(recorded.stale[0].epochs)
    changed = change_epochs(recorded.iteration, epochs=epochs) if epochs else None
    known = changed is not None and changed.fingerprint == recorded.stale[0].fingerprint
    return f"; some were trained with --epochs {epochs}: verify them with it" if known else ""


def _conclude(checks: Sequence[Check], *, on_paper: bool) -> int:
    """Print how many checks ended how, and return the exit code."""
    counts = Counter(check.outcome for check in checks)
    click.echo(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    if counts[Outcome.CONTRADICTED]:
        return EXIT_CONTRADICTED
    verified = counts[Outcome.IDENTICAL] + counts[Outcome.COMPATIBLE]
    return 0 if verified or on_paper else EXIT_NOTHING_VERIFIED
