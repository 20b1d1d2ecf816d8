"""`bench export`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import Progress

from bench.commands.models import choose_iterations, model_options, models_argument
from bench.commands.options import challenge_option, find_challenge, find_ledger, ledger_option
from bench.commands.terminal import make_console
from bench.errors import ExportError
from bench.exports.collection import Group
from bench.exports.destinations import check_free, replacing
from bench.exports.ledgers import read_groups
from bench.exports.tables import Rows, list_rows
from bench.figures import format_count
from bench.iterations import Iteration
from bench.ledger import read_ledger, read_outlines
from bench.merging import list_ledger_files
from bench.records import Challenge

TABLES = ("csv", "parquet")
MLFLOW_VARIABLE = "MLFLOW_TRACKING_URI"
Note = Callable[[], object]


@click.command("export")
@models_argument
@model_options
@click.option(
    "--format",
    "form",
    type=click.Choice([*TABLES, "mlflow", "tensorboard"]),
    default="csv",
    show_default=True,
    help="A table, an MLflow tracking store, or TensorBoard's event files.",
)
@click.option(
    "--rows",
    type=click.Choice(["runs", "epochs"]),
    help="What a row of a table is.  [default: runs]",
)
@click.option(
    "--output",
    metavar="PLACE",
    help="File of a table (- prints CSV), folder for TensorBoard, or MLflow's database file or "
    "tracking URI.  [default: drilldown-runs.csv or the like, ./tensorboard, "
    f"${MLFLOW_VARIABLE} or ./mlflow.db]",
)
@click.option("--force", is_flag=True, help="Replace a table's file that exists.")
@challenge_option
@ledger_option
def command(
    iterations: tuple[str, ...],
    recipe: str | None,
    arguments: tuple[str, ...],
    form: str,
    rows: Rows | None,
    output: str | None,
    force: bool,
    dataset: str,
    ledger: Path | None,
) -> None:
    """Write recorded runs for pandas, a spreadsheet, MLflow or TensorBoard.

    Every run that is recorded goes out, with the verdict it belongs to and its standing: `counts`,
    `waits` for a missing seed, `stale` (of other code), `tuning`, or `unknown` (its iteration is
    not here). Accuracies are counts of images beside their totals. Without names, all iterations of
    the ledger; a model file is named as for `bench run`, with --recipe. Reads the ledger alone: no
    torch, no model file is run.

    A table is written whole or not at all, and a file that exists is kept unless --force is given.
    Into MLflow and TensorBoard you may export again and again: what is there stays, what is new is
    added. The libraries come with extras: pip install 'drilldown[parquet]', [mlflow],
    [tensorboard].

    \b
    bench export                                     drilldown-runs.csv, one row a run
    bench export --rows epochs --output - | head     one row an epoch, printed
    bench export --format parquet --rows epochs      for pandas, polars or DuckDB
    bench export iteration_4 --format mlflow         then: mlflow ui
    bench export --format mlflow --output http://127.0.0.1:5000
    bench export --format tensorboard                then: tensorboard --logdir tensorboard
    """  # noqa: D301
    if form not in TABLES and (rows is not None or force):
        raise ExportError(f"--format {form}: has no tables; leave --rows and --force out")
    folder = find_ledger(ledger)
    challenge = find_challenge(dataset, folder)
    named = choose_iterations(iterations, recipe, arguments)
    export = _Export(
        folder, challenge, choose_files(folder, challenge, named, every=not iterations)
    )
    if form in TABLES:
        export.write_table(form, rows or "runs", output, force=force)
    elif form == "tensorboard":
        export.write_event_files(Path(output or "tensorboard"))
    else:
        export.write_mlflow(output)


def choose_files(
    ledger: Path, challenge: Challenge, iterations: Sequence[Iteration], *, every: bool
) -> list[tuple[str, Iteration | None]]:
    """Return names and iterations of the files to export.

    With `every`, files of iterations that are not here come last.

    Raises:
        ExportError: nothing is recorded of them.
    """
    recorded = [
        file.stem for file in list_ledger_files(ledger) if file.parent.name == challenge.name
    ]
    chosen: list[tuple[str, Iteration | None]] = [
        (each.name, each) for each in iterations if each.name in recorded
    ]
    if every:
        here = {iteration.name for iteration in iterations}
        chosen += [(name, None) for name in recorded if name not in here]
    if not chosen:
        which = "" if every else f" of {', '.join(each.name for each in iterations)}"
        raise ExportError(
            f"{ledger}: holds no runs{which} on {challenge.name}; train some with `bench run`, or "
            "name another --ledger or --challenge"
        )
    return chosen


class _Export:
    """Reads one ledger file after the other and writes what is in it."""

    def __init__(
        self, ledger: Path, challenge: Challenge, files: Sequence[tuple[str, Iteration | None]]
    ) -> None:
        self._ledger, self._challenge, self._files = ledger, challenge, files

    def write_table(self, form: str, rows: Rows, output: str | None, *, force: bool) -> None:
        listed = (row for groups in self._read() for row in list_rows(groups, rows))
        if output == "-":
            if form != "csv":
                raise ExportError(f"--output -: {form} is not text; name a file")
            from bench.exports.csv_file import write_csv

            write_csv(sys.stdout, listed, rows)
            return
        path = Path(output or f"drilldown-{rows}.{form}")
        check_free(path, force=force)
        if form == "csv":
            from bench.exports.csv_file import write_csv

            with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
                count = write_csv(file, listed, rows)
        else:
            from bench.exports.parquet_file import write_parquet

            with replacing(path) as beside:
                count = write_parquet(beside, listed, rows)
        click.echo(f"export: {path}, {format_count(count)} rows")

    def write_event_files(self, folder: Path) -> None:
        from bench.exports.event_files import load_tensorboard, write_event_files

        load_tensorboard()
        count = 0
        with _watch() as watch:
            for groups in self._read():
                note = watch(groups)
                count += sum(len(write_event_files(folder, group, note)) for group in groups)
        click.echo(
            f"export: {folder}, {format_count(count)} runs; look with: tensorboard --logdir "
            f"{folder}"
        )

    def write_mlflow(self, output: str | None) -> None:
        from bench.exports.mlflow_store import MlflowStore, hide_credentials
        from bench.exports.pages import render_group

        store = MlflowStore(output or os.environ.get(MLFLOW_VARIABLE) or "mlflow.db")
        with _watch() as watch:
            for groups in self._read(whole=True):
                tally = store.export(groups, render_group, watch(groups))
                click.echo(
                    f"{groups[0].name}: {format_count(tally.new)} new, "
                    f"{format_count(tally.known)} known"
                )
        click.echo(f"export: {hide_credentials(store.uri)}")

    def _read(self, *, whole: bool = False) -> Iterator[tuple[Group, ...]]:
        read = read_ledger if whole else read_outlines
        for name, iteration in self._files:
            groups, torn = read_groups(self._ledger, self._challenge, name, iteration, read=read)
            if torn is not None:
                click.echo(
                    f"bench: {torn}: the last line is torn (an interrupted write) and was ignored",
                    err=True,
                )
            if groups:
                yield groups


@contextmanager
def _watch() -> Iterator[Callable[[Sequence[Group]], Note]]:
    """Show a bar for each iteration where someone watches."""
    console = make_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def watch(groups: Sequence[Group]) -> Note:
            task = progress.add_task(groups[0].name, total=sum(len(g.runs) for g in groups))
            return lambda: progress.advance(task)

        yield watch
