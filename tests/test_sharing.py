"""Several `bench run` on one ledger: each seed is trained once, whatever becomes of the others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from processes import bench_run, command, ledger_file, read_runs, stable_lines, wait_for_runs

pytestmark = pytest.mark.faults

ARGUMENTS = ("--seeds", "12", "--epochs", "1", "--workers", "1")


def start(folder: Path, page: str) -> subprocess.Popen[str]:
    arguments = command(folder, *ARGUMENTS)
    arguments[arguments.index("--page") + 1] = str(folder / page)
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    return errors


def recorded_seeds(folder: Path) -> list[int]:
    """Return the seed of every line, repeated ones included."""
    return [line["seed"] for line in stable_lines(folder, "iteration_1")]  # type: ignore[misc]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_on_one_ledger_share_the_seeds(tmp_path: Path, count: int) -> None:
    """Every seed is one line, all of them valid, and each process ends with all of them."""
    processes = [start(tmp_path, f"{number}.html") for number in range(count)]
    for process in processes:
        assert "all seeds asked for are trained" in finish(process)
    assert recorded_seeds(tmp_path) == list(range(12))
    assert len(read_runs(tmp_path)) == 12


def test_the_seeds_of_a_killed_process_are_taken_over(tmp_path: Path) -> None:
    """SIGKILL of one of two leaves no claim behind: the other trains all that is missing."""
    killed, other = start(tmp_path, "1.html"), start(tmp_path, "2.html")
    wait_for_runs(tmp_path, 2, killed)
    killed.kill()
    killed.communicate()
    finish(other)
    assert recorded_seeds(tmp_path) == list(range(12))
    undisturbed = tmp_path / "undisturbed"
    assert bench_run(undisturbed, *ARGUMENTS).returncode == 0
    assert stable_lines(tmp_path, "iteration_1") == stable_lines(undisturbed, "iteration_1")
    assert ledger_file(tmp_path).read_bytes().endswith(b"\n")
