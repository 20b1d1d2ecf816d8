"""Runs as TensorBoard event files, by TensorBoard's own record writer: no torch, no TensorFlow.

A run's file has a name and bytes that depend on the run alone, so that a second export replaces it
by itself. TensorBoard keeps scalars as 32-bit floats: counts of images are exact in them up to
16,777,216, losses are rounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.exports.collection import Group
from bench.exports.destinations import import_extra, replacing
from bench.records import EpochScore, Run

SHORT_FINGERPRINT = 12
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


def load_tensorboard() -> tuple[Any, Any, Any]:
    """Return TensorBoard's record writer and the modules of its event and summary messages.

    Raises:
        ExportError: tensorboard is not installed.
    """
    names = (
        "tensorboard.summary.writer.record_writer",
        "tensorboard.compat.proto.event_pb2",
        "tensorboard.compat.proto.summary_pb2",
    )
    writer, event, summary = (import_extra(name, extra="tensorboard") for name in names)
    return writer.RecordWriter, event.Event, summary.Summary


def write_event_files(
    folder: Path, group: Group, note: Callable[[], object] = lambda: None
) -> list[Path]:
    """Write one event file a run below a folder and return their paths; `note` hears of each.

    Raises:
        ExportError: tensorboard is not installed, or a file cannot be written.
    """
    library = load_tensorboard()
    paths = []
    for run in group.runs:
        path = place_run(folder, run)
        with replacing(path) as beside:
            _write(beside, run, library)
        paths.append(path)
        note()
    return paths


def place_run(folder: Path, run: Run) -> Path:
    """Return a run's file: its folder is the name that TensorBoard shows.

    A ledger may be a stranger's: no text of it leads out of the folder.
    """
    parts = (
        run.fingerprint[:SHORT_FINGERPRINT],
        str(run.conditions),
        run.dataset[:SHORT_FINGERPRINT],
    )
    # a hyphen is between the parts, so that together they are never ".."
    group = "-".join(_UNSAFE.sub("-", part).strip("-") for part in parts)
    place = folder / run.challenge / run.iteration / group / f"seed_{run.seed}"
    return place / "events.out.tfevents.drilldown"


def list_scalars(epoch: EpochScore) -> dict[str, float]:
    """Return what is recorded of an epoch, by tag."""
    return {
        "accuracy/validation": epoch.validation_correct / epoch.validation_total,
        "accuracy/training": epoch.training_correct / epoch.training_total,
        "correct/validation": epoch.validation_correct,
        "correct/training": epoch.training_correct,
        "loss/validation": epoch.validation_loss,
        "loss/training": epoch.training_loss,
        "seconds/epoch": epoch.seconds,
    }


def _read_start(run: Run) -> float:
    try:
        return max(0.0, datetime.fromisoformat(run.started).timestamp())
    except ValueError:  # a ledger's text may be anything
        return 0.0


def _write(path: Path, run: Run, library: tuple[Any, Any, Any]) -> None:
    record_writer, event, _ = library
    with path.open("wb") as file:
        writer = record_writer(file)
        first = event(wall_time=_read_start(run), file_version="brain.Event:2")
        writer.write(first.SerializeToString())
        for each in _list_events(run, library):
            writer.write(each.SerializeToString())


def _list_events(run: Run, library: tuple[Any, Any, Any]) -> Iterator[Any]:
    _, event, summary = library
    clock = _read_start(run)
    for number, epoch in enumerate(run.epochs, start=1):
        clock += epoch.seconds
        values = [
            summary.Value(tag=tag, simple_value=value) for tag, value in list_scalars(epoch).items()
        ]
        yield event(wall_time=clock, step=number, summary=summary(value=values))
