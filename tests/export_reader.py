"""What reads exports back, and the runs that are exported."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.cli import main
from bench.records import Run

REQUIRED = "REQUIRE_EXPORTS"
"""Set by `nox -s exports`, which installs every library: there a missing one is a failure."""


def need(module: str) -> Any:
    """Import a library of an export; skip the test where it is not installed."""
    if os.environ.get(REQUIRED):
        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"{module} is not installed: `nox -s exports` has it")


def vary(run: Run) -> Run:
    """Return a run whose losses and seconds are its own, with digits that no rounding keeps."""
    epochs = tuple(
        replace(
            epoch,
            validation_loss=1 / (3 + run.seed + number),
            training_loss=1 / (7 + run.seed + number),
            seconds=8 + number / 10,
        )
        for number, epoch in enumerate(run.epochs)
    )
    return replace(run, epochs=epochs)


def export(*arguments: str | Path) -> int:
    """Run `bench export` and return its exit code."""
    return main(["export", *map(str, arguments)])


def identify(line: dict[str, Any]) -> tuple[str, str, int]:
    """Return what tells the runs of the ledger apart: iteration, fingerprint and seed."""
    return line["iteration"], line["fingerprint"], line["seed"]
