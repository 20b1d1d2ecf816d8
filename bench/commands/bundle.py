"""`bench bundle`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.bundles import ROOT, write_bundle
from bench.commands.options import find_ledger, find_models, ledger_option
from bench.errors import BundleError
from bench.figures import format_count
from bench.settings import find_settings

DEFAULT_FILE = Path("drilldown-bundle.zip")


@click.command("bundle")
@click.argument(
    "file", required=False, default=DEFAULT_FILE, type=click.Path(dir_okay=False, path_type=Path)
)
@ledger_option
def command(file: Path, ledger: Path | None) -> None:
    """Write ledger, sources and page into one archive that others can check.

    FILE is drilldown-bundle.zip by default. The archive holds the ledger, models/ and bench/,
    constraints.txt and pyproject.toml, the page, and MANIFEST.json with the SHA-256 of every member
    and the verdicts; never an image. The same content gives the same bytes. Runs no model file.

    \b
    bench bundle
    bench verify drilldown-bundle.zip   elsewhere
    """  # noqa: D301
    if file.suffix != ".zip":
        raise BundleError(f"{file}: a bundle is a zip file; name it {file.stem}.zip")
    found = find_settings(Path.cwd())
    project = found[0] if found is not None else ROOT
    manifest = write_bundle(file, find_ledger(ledger), project=project, models=find_models())
    for result in manifest.results:
        if result.conditions is not None:
            click.echo(
                f"{result.answer:9} {result.iteration} ({result.conditions}): "
                f"{result.holding} of {result.runs} seeds hold"
            )
    click.echo(f"bundle: {file}, {format_count(len(manifest.members))} files")
