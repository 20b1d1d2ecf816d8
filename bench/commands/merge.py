"""`bench merge`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import find_ledger, ledger_option
from bench.figures import format_count
from bench.merging import merge_ledgers


@click.command("merge")
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    metavar="SOURCE...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@ledger_option
def command(sources: tuple[Path, ...], ledger: Path | None) -> None:
    """Join ledgers of several machines into one, every run once.

    Each SOURCE is a ledger folder. All lines are checked first; two lines that give one seed under
    one set of conditions different results are an error that shows both, and then nothing is
    written. Reads JSON only: no model file is run, and iterations unknown here are joined too.

    \b
    bench merge from_gpu/ledger                    into reports/ledger
    bench merge machine_1 machine_2 --ledger all   two into a third
    """  # noqa: D301
    merge = merge_ledgers(sources, find_ledger(ledger))
    for path in merge.torn:
        click.echo(
            f"bench: {path}: the last line is torn (an interrupted write) and was ignored",
            err=True,
        )
    for joined in merge.joined:
        click.echo(
            f"{joined.challenge} {joined.iteration}: {format_count(joined.new)} new, "
            f"{format_count(joined.known)} known"
        )
