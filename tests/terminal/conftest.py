"""A ledger with a verdict of every kind, and golden texts of what a terminal shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import CONDITIONS, LUCKY, make_run, plant_ledger
from screens import GOLDEN, Compare, find_iteration, make_rising


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where iteration 1 has no runs, 2 FAILS, 3 is UNDECIDED twice and 4 HOLDS."""
    monkeypatch.chdir(tmp_path)
    steady = (9_942, 9_945, 9_943)
    runs = [make_rising("iteration_2", seed, LUCKY) for seed in range(3)]
    runs += [make_rising("iteration_3", seed, steady) for seed in range(5)]
    other = replace(CONDITIONS, device="cuda sm_90", engine="stacked", block=64)
    runs.append(make_run(seed=1, iteration=find_iteration("iteration_3"), conditions=other))
    runs += [make_rising("iteration_4", seed, steady) for seed in range(33)]
    return plant_ledger(Path("ledger"), runs)


@pytest.fixture
def compare_golden(request: pytest.FixtureRequest) -> Compare:
    """Return a function that holds a text against a golden file, or writes it with the option."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")

    return compare
