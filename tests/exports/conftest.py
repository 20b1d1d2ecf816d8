"""A ledger with every standing that a run can have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from export_reader import vary
from msgspec.structs import replace
from planted_runs import CLEAN, LATEST, LUCKY, MACHINE, make_epoch, make_run, plant_ledger

from bench.records import Status


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger: five runs that count; a waiting, a stale, a tuning and a foreign one."""
    runs = [
        make_run(seed=0, final=CLEAN),
        make_run(seed=1, final=LUCKY),
        make_run(seed=2, final=CLEAN, machine=replace(MACHINE, processor='=HYPERLINK("x"),"')),
        make_run(seed=3, status=Status.DIVERGED, epochs=(make_epoch(9_100),), mistakes=()),
        make_run(seed=4, status=Status.DIVERGED, epochs=(), mistakes=()),
        make_run(seed=6),
        make_run(seed=0, fingerprint="a" * 64),
        make_run(seed=1_000_000, dataset="e" * 64),
        make_run(seed=0, iteration=LATEST, fingerprint="b" * 64),
    ]
    runs[-1] = replace(runs[-1], iteration="elsewhere")
    return plant_ledger(tmp_path / "reports" / "ledger", map(vary, runs))


@pytest.fixture
def lines(ledger: Path) -> list[dict[str, Any]]:
    """Return the ledger's lines as the standard library reads them."""
    files = sorted(ledger.glob("mnist/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
