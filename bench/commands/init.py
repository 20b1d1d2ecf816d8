"""`bench init`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from bench.challenges import DATASETS
from bench.commands.options import choose_challenge
from bench.errors import SettingsError
from bench.projects import DISTRIBUTION, plan_project, write_iteration, write_project
from bench.settings import find_settings


@click.command("init")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--iteration", is_flag=True, help="Add the next iteration to the repository around this folder."
)
@click.option(
    "--dataset",
    type=click.Choice(list(DATASETS)),
    help="Images of the new challenge.  [default: mnist]",
)
@click.option(
    "--pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of one's own instead: training/CLASS/*.png and validation/CLASS/*.png.",
)
@click.option(
    "--drilldown",
    metavar="REQUIREMENT",
    help="What pip installs Drilldown by in CI.  [default: as it is installed here]",
)
def command(
    folder: Path | None,
    iteration: bool,
    dataset: str | None,
    pictures: Path | None,
    drilldown: str | None,
) -> None:
    """Start a repository of one's own, or its next iteration.

    Writes pyproject.toml with a challenge, models/iteration_1.py, README.md, requirements.txt,
    .gitignore, and a CI workflow that runs the gate. Overwrites nothing.

    \b
    bench init demo                                 MNIST, as here
    bench init shapes --pictures data/shapes        pictures in a folder a class
    bench init --iteration                          a copy of the latest iteration, to change
    """  # noqa: D301
    if iteration:
        if folder is not None or dataset is not None or pictures is not None or drilldown:
            raise SettingsError("--iteration: takes nothing else; run it inside the repository")
        _add_iteration()
        return
    if dataset is not None and pictures is not None:
        raise SettingsError(f"--dataset {dataset}: --pictures is given too; leave out one of them")
    place = folder or Path()
    project = plan_project(
        place, dataset=dataset or "mnist", pictures=pictures, requirement=drilldown
    )
    write_project(project)
    for path in project.files:
        click.echo(place / path)
    enter = f"cd {shlex.quote(str(place))} && " if folder is not None else ""
    click.echo(f"\nlook: {enter}bench run --challenge digits --seeds 2 --epochs 2")
    click.echo(f"then: {enter}bench run")
    if project.files["requirements.txt"].strip() == DISTRIBUTION:
        click.echo(
            f"CI installs {DISTRIBUTION!r} by its name alone: write its address into "
            "requirements.txt, as in drilldown @ git+https://..."
        )


def _add_iteration() -> None:
    found = find_settings(Path.cwd())
    if found is None:
        raise SettingsError(
            f"{Path.cwd()}: no pyproject.toml with [tool.bench] here or above; start a repository "
            "with `bench init DIR`"
        )
    path = write_iteration(*found, choose_challenge("")[0])
    click.echo(os.path.relpath(path))
