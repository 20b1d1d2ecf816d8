"""Recorded runs as rows: one a run or one an epoch, every column with a name and a type.

Accuracies are counts of images beside their totals: whoever reads the table divides, and no rounded
figure stands between a count and the target. The columns of epochs begin with those of the page's
CSV, by the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from bench.exports.collection import Group, Standing
from bench.findings import RunScore, score_run
from bench.records import Machine, Run

Rows = Literal["runs", "epochs"]
Cell = str | int | float | bool | None
Row = dict[str, Cell]

IDENTITY: dict[str, type] = {
    "challenge": str,
    "iteration": str,
    "conditions": str,
    "fingerprint": str,
    "seed": int,
    "standing": str,
    "outcome": str,
}
"""What a run is: the first columns of both tables."""

RUN_COLUMNS: dict[str, type] = IDENTITY | {
    "verdict": str,
    "status": str,
    "epochs": int,
    "validation_total": int,
    "required_correct": int,
    "window_minimum_correct": int,
    "last_correct": int,
    "last_loss": float,
    "best_correct": int,
    "best_epoch": int,
    "first_epoch_at_target": int,
    "training_total": int,
    "last_training_correct": int,
    "last_training_loss": float,
    "parameters": int,
    "reached_parameters": int,
    "macs": int,
    "device": str,
    "precision": str,
    "engine": str,
    "torch": str,
    "block": int,
    "dataset": str,
    "started": str,
    "wall_seconds": float,
    "machine_device": str,
    "machine_driver": str,
    "machine_processor": str,
    "machine_instructions": str,
    "machine_compiler": str,
    "machine_system": str,
    "machine_torch": str,
    "machine_python": str,
    "commit": str,
    "dirty": bool,
}
EPOCH_COLUMNS: dict[str, type] = IDENTITY | {
    "epoch": int,
    "validation_correct": int,
    "validation_total": int,
    "validation_loss": float,
    "training_correct": int,
    "training_total": int,
    "training_loss": float,
    "seconds": float,
}
COLUMNS: dict[Rows, dict[str, type]] = {"runs": RUN_COLUMNS, "epochs": EPOCH_COLUMNS}
"""The columns of each table in their order, with their types; what did not happen is empty."""


def list_rows(groups: Iterable[Group], rows: Rows) -> Iterator[Row]:
    """Yield the rows of the groups, in their order and by seed."""
    for group in groups:
        for run, standing in zip(group.runs, group.standings, strict=True):
            score = score_run(run, group.challenge)
            identity = _identify(group, run, standing, score)
            if rows == "runs":
                yield identity | _describe_run(group, run, score)
            else:
                yield from (identity | epoch for epoch in _list_epochs(run))


def _identify(group: Group, run: Run, standing: Standing, score: RunScore) -> Row:
    return {
        "challenge": run.challenge,
        "iteration": run.iteration,
        "conditions": str(group.conditions),
        "fingerprint": run.fingerprint,
        "seed": run.seed,
        "standing": standing,
        "outcome": score.outcome,
    }


def _describe_run(group: Group, run: Run, score: RunScore) -> Row:
    return {
        "verdict": str(group.verdict.answer) if group.verdict else None,
        "status": str(run.status),
        "epochs": len(run.epochs),
        **_describe_scores(group, run, score),
        "parameters": run.cost.parameters,
        "reached_parameters": run.cost.reached_parameters,
        "macs": run.cost.macs,
        "device": run.conditions.device,
        "precision": run.conditions.precision,
        "engine": run.conditions.engine,
        "torch": run.conditions.torch,
        "block": run.conditions.block,
        "dataset": run.dataset,
        "started": run.started,
        "wall_seconds": run.wall_seconds,
        **describe_machine(run.machine),
    }


def _describe_scores(group: Group, run: Run, score: RunScore) -> Row:
    if not run.epochs:
        return {}
    last, window = run.epochs[-1], run.epochs[-group.challenge.window :]
    return {
        "validation_total": last.validation_total,
        "required_correct": group.challenge.required(last.validation_total),
        "window_minimum_correct": (
            None if score.window_minimum is None else min(e.validation_correct for e in window)
        ),
        "last_correct": last.validation_correct,
        "last_loss": last.validation_loss,
        "best_correct": (
            None
            if score.best_epoch is None
            else run.epochs[score.best_epoch - 1].validation_correct
        ),
        "best_epoch": score.best_epoch,
        "first_epoch_at_target": score.first_epoch,
        "training_total": last.training_total,
        "last_training_correct": last.training_correct,
        "last_training_loss": last.training_loss,
    }


def describe_machine(machine: Machine) -> dict[str, Any]:
    """Return where a run was trained, by column."""
    return {
        "machine_device": machine.device,
        "machine_driver": machine.driver,
        "machine_processor": machine.processor,
        "machine_instructions": machine.instructions,
        "machine_compiler": machine.compiler,
        "machine_system": machine.system,
        "machine_torch": machine.torch,
        "machine_python": machine.python,
        "commit": machine.commit,
        "dirty": machine.dirty,
    }


def _list_epochs(run: Run) -> Iterator[Row]:
    for number, epoch in enumerate(run.epochs, start=1):
        yield {
            "epoch": number,
            "validation_correct": epoch.validation_correct,
            "validation_total": epoch.validation_total,
            "validation_loss": epoch.validation_loss,
            "training_correct": epoch.training_correct,
            "training_total": epoch.training_total,
            "training_loss": epoch.training_loss,
            "seconds": epoch.seconds,
        }
