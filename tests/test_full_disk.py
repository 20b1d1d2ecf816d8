"""`bench run` on a disk that is full: what was recorded is safe, and what was not is named."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest
from processes import command, ledger_file, read_runs, wait_for_runs

pytestmark = pytest.mark.faults


def test_a_full_disk_names_the_seeds_that_are_not_recorded(tmp_path: Path) -> None:
    """Exit code 2 and one line of error; the runs before are whole, verdicts are printed."""
    process = subprocess.Popen(
        command(tmp_path, "--seeds", "500", "--epochs", "1", "--workers", "2"),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_runs(tmp_path, 6, process)  # two workers: the first two seeds are among them
    # as a disk that fills now; Python ignores SIGXFSZ, so that the write is an OSError
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    assert "stopped: the ledger cannot be used" in errors
    assert "finished, not recorded: iteration_1 seed" in errors
    assert "FAILS" in errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"bench: error: {ledger_file(tmp_path)}: the ledger cannot be written")
    assert "Runs recorded before are safe" in last
    assert len(read_runs(tmp_path)) >= 2
    assert ledger_file(tmp_path).read_bytes().endswith(b"\n")


def test_a_file_in_place_of_the_ledger_is_one_line(tmp_path: Path) -> None:
    """A ledger folder that cannot be made ends the command before anything is trained."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "digits").write_text("not a folder")
    process = subprocess.run(
        command(tmp_path, "--seeds", "1"), capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1
    assert "the ledger cannot be written" in process.stderr
