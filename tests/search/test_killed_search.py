"""A search that is killed goes on as if it had not been: nothing lost, nothing twice, the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from processes import VOLATILE, all_end, children_of
from spaces_for_tests import NETWORK

pytestmark = pytest.mark.faults
pytest.importorskip("optuna")

SPACE = """
model = "tiny.py:Tiny"
base_recipe = "iteration_4"
parameters = 2_000
seeds = 4
keep = 2
beside = 3

[recipe]
epochs = 4
batch_size = { choices = [16, 32, 64] }
schedule.rate = { from = 0.02, to = 0.2, log = true }

[arguments]
width = { from = 4, to = 20 }
"""
TRIALS = 8
PATIENCE_SECONDS = 300


def start(folder: Path, *, workers: int) -> subprocess.Popen[str]:
    if not (folder / "space.toml").exists():
        folder.mkdir(exist_ok=True)
        (folder / "pyproject.toml").write_text("[tool.bench]\n")
        (folder / "tiny.py").write_text(NETWORK)
        (folder / "space.toml").write_text(SPACE)
    return subprocess.Popen(
        [
            sys.executable, "-m", "bench", "search", "space.toml", "--trials", str(TRIALS),
            "--dataset", "digits", "--device", "cpu", "--engine", "eager",
            "--workers", str(workers),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return errors


def read_study(folder: Path) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the lines of trials, and those of the ledger by configuration and seed."""
    study = folder / "reports" / "search" / "space"
    trials = (study / "trials.jsonl").read_text().splitlines()
    runs: dict[str, dict[str, Any]] = {}
    for file in sorted((study / "ledger" / "digits").glob("*.jsonl")):
        for text in file.read_text().splitlines():
            line = {k: v for k, v in json.loads(text).items() if k not in VOLATILE}
            for epoch in line["epochs"]:
                del epoch["seconds"]
            key = f"{file.stem} {line['seed']}"
            assert key not in runs, f"{key} was trained twice"
            runs[key] = line
    return trials, runs


def count_runs(folder: Path) -> int:
    return sum(
        file.read_bytes().count(b"\n")
        for file in folder.glob("reports/search/space/ledger/*/*.jsonl")
    )


def wait_for_runs(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while count_runs(folder) < count:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the study of a search that nobody kills, of one worker."""
    folder = tmp_path_factory.mktemp("undisturbed") / "project"
    process = start(folder, workers=1)
    errors = finish(process)
    assert process.returncode == 0, errors
    return read_study(folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again_it_is_the_same_search(
    undisturbed: Any, tmp_path: Path, workers: int
) -> None:
    """By SIGKILL, after some runs each time; the same lines of both files, on two workers too."""
    folder = tmp_path / "project"
    for count in (1, 4, 8):
        process = start(folder, workers=workers)
        wait_for_runs(folder, count, process)
        family = children_of(process.pid)
        process.kill()
        finish(process)
        assert all_end(family), "workers outlive their parent"
    process = start(folder, workers=workers)
    errors = finish(process)
    assert process.returncode == 0, errors
    trials, runs = read_study(folder)
    assert trials == undisturbed[0]
    assert runs == undisturbed[1]
    assert len(Counter(runs)) == count_runs(folder)


def test_an_interruption_shows_what_there_is(undisturbed: Any, tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, results so far, no traceback; and then it goes on."""
    folder = tmp_path / "project"
    process = start(folder, workers=2)
    wait_for_runs(folder, 3, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "stopped: interrupted" in errors
    assert "configurations drawn" in output
    errors = finish(process := start(folder, workers=2))
    assert process.returncode == 0, errors
    assert read_study(folder) == undisturbed


def test_networks_that_fail_in_training_cost_their_configuration(tmp_path: Path) -> None:
    """The others are judged; one line says what failed, with exit code 2, and nothing hangs."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.bench]\n")
    failing = (
        "        if self.training and x.shape[0] == 32:\n            raise RuntimeError('no')\n"
    )
    (folder / "tiny.py").write_text(NETWORK.replace("(self, x):\n", f"(self, x):\n{failing}"))
    (folder / "space.toml").write_text(SPACE.replace("seeds = 4", "seeds = 2"))
    process = start(folder, workers=2)
    errors = finish(process)
    assert process.returncode == 2, errors
    last = errors.splitlines()[-1]
    assert last.startswith("bench: error: configuration ")
    assert "(RuntimeError: no)" in last
    trials, runs = read_study(folder)
    assert len(trials) == TRIALS
    assert runs
