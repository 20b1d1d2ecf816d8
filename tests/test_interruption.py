"""`bench run` when it is interrupted: nothing lost, nothing left behind, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import (
    all_end,
    bench_run,
    children_of,
    command,
    ledger_file,
    read_runs,
    stable_lines,
    wait_for_runs,
)

pytestmark = pytest.mark.faults

PATIENCE_SECONDS = 240
LONG = ("--seeds", "500", "--epochs", "200", "--workers", "2")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command at the head of a process group, heeding what a terminal sends."""
    return subprocess.Popen(
        command(folder, *arguments),
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_line(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read what a command prints until a line holds a text."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without {text!r}: {lines}")


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return errors


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_in_an_epoch_names_the_seeds_in_flight(
    tmp_path: Path, interruption: signal.Signals
) -> None:
    """A terminal signals the whole group: exit code 130, verdicts, a page, no process left."""
    process = start(tmp_path, *LONG)
    wait_for_line(process, "runs at most")
    family = wait_for_workers(process)
    os.killpg(process.pid, interruption)
    errors = finish(process)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "UNDECIDED" in errors
    assert "stopped: interrupted" in errors
    assert "unfinished: iteration_1 seed" in errors
    assert (tmp_path / "index.html").stat().st_size > 1000
    assert all_end(family), "workers outlive their parent"


def wait_for_workers(process: subprocess.Popen[str], count: int = 4) -> dict[int, int]:
    """Wait until fork server, tracker and workers are there, and return them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(family := children_of(process.pid)) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return family


def test_an_interruption_before_training_is_one_line(tmp_path: Path) -> None:
    """While engines are prepared there is nothing to lose: exit code 130 and no traceback."""
    process = start(tmp_path, *LONG)
    family = wait_for_workers(process, count=1)
    os.killpg(process.pid, signal.SIGINT)
    errors = finish(process)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "bench: interrupted"
    assert "Traceback" not in errors
    assert not read_runs(tmp_path)
    assert all_end(family), "workers outlive their parent"


def test_interrupted_and_resumed_is_as_undisturbed(tmp_path: Path) -> None:
    """Interrupted just after a run and started again, the lines are those of one go."""
    arguments = ("--seeds", "6", "--epochs", "2", "--workers", "2")
    process = start(tmp_path, *arguments)
    wait_for_runs(tmp_path, 1, process)
    os.killpg(process.pid, signal.SIGINT)
    errors = finish(process)
    assert process.returncode == 130, errors
    kept = ledger_file(tmp_path).read_bytes()
    assert kept.endswith(b"\n")
    assert bench_run(tmp_path, *arguments).returncode == 0
    assert ledger_file(tmp_path).read_bytes().startswith(kept)
    assert bench_run(tmp_path / "one go", *arguments).returncode == 0
    assert stable_lines(tmp_path, "iteration_1") == stable_lines(tmp_path / "one go", "iteration_1")


def test_a_second_interruption_stops_at_once(tmp_path: Path) -> None:
    """Exit code 130, no traceback, whole lines only, and workers end as well."""
    process = start(tmp_path, "--seeds", "500", "--epochs", "1", "--workers", "2")
    wait_for_runs(tmp_path, 1, process)
    family = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)
    errors = finish(process)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "stopped at once" in errors
    assert ledger_file(tmp_path).read_bytes().endswith(b"\n")
    assert read_runs(tmp_path)
    assert all_end(family), "workers outlive their parent"


def test_a_reader_that_goes_away_stops_no_training(tmp_path: Path) -> None:
    """A closed terminal or an interrupted `tee` loses what is told, not what is trained."""
    training = subprocess.Popen(
        command(tmp_path, "--seeds", "2", "--epochs", "1", "--workers", "1"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert training.stderr is not None
    training.stderr.close()
    assert training.wait(timeout=240) == 0
    assert [run.seed for run in read_runs(tmp_path)] == [0, 1]
    assert (tmp_path / "index.html").exists()
