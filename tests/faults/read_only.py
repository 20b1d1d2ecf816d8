"""The ledger lies where nobody may write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import LedgerError
from bench.ledger import append_run, check_writable, read_ledger
from faults.full_disk import small_disk
from faults.outcome import Circumstances, Outcome
from faults.samples import agree, judge_runs, list_seeds, sample_file, sample_run


def inject(given: Circumstances) -> Outcome:
    """Append to a read-only ledger: an error, and reading and judging go on as before."""
    outcome = Outcome(fault="read-only ledger")
    for attempt in range(given.times(10, 3)):
        folder = given.folder / str(attempt)
        with small_disk(folder):
            runs = [sample_run(seed) for seed in range(attempt + 1)]
            for run in runs:
                append_run(folder, run)
            with _read_only(folder) as could:
                if could:
                    _use(folder, len(runs), outcome)
    return outcome


def _use(folder: Path, runs: int, outcome: Outcome) -> None:
    outcome.injected += 1
    for action in (
        lambda: append_run(folder, sample_run(runs)),
        lambda: check_writable(folder, "mnist"),
    ):
        try:
            action()
            outcome.surprises.append("a read-only ledger was written")
        except LedgerError as error:
            outcome.expect("cannot be written" in str(error), str(error))
    path = sample_file(folder)
    outcome.compare(range(runs), list_seeds(path))
    expected = judge_runs(map(sample_run, range(runs)))
    outcome.wrong += not agree(judge_runs(read_ledger(path).runs), expected)


@contextmanager
def _read_only(folder: Path) -> Iterator[bool]:
    """Forbid writing: by the disk for root, who may write anywhere else, by permissions for us."""
    if os.geteuid() == 0:
        command = ["mount", "-o", "remount,ro", str(folder)]
        yield os.path.ismount(folder) and subprocess.run(command, check=False).returncode == 0
        return
    places = [*folder.rglob("*"), folder]
    for place in places:
        place.chmod(0o500 if place.is_dir() else 0o400)
    yield True
    for place in reversed(places):
        place.chmod(0o700 if place.is_dir() else 0o600)
