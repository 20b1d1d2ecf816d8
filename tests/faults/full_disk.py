"""The disk is full in the middle of a line, and has space again later."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import LedgerError
from bench.ledger import append_run, read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import (
    agree,
    judge_runs,
    list_seeds,
    sample_file,
    sample_run,
    start_python,
)

DISK_BYTES = 256 << 10
LEAST_BALLAST_BYTES = 64 << 10
"""Whoever frees so much has space for another run."""

APPEND_WITH_A_LIMIT = """
import resource, sys
from pathlib import Path
from bench.ledger import append_run
from faults.samples import sample_run

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
for seed in range(1000):
    append_run(Path(sys.argv[1]), sample_run(seed))
    print(seed, flush=True)
"""


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[bool]:
    """Mount a small disk on a folder, where this user may; say whether it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def inject_disk(given: Circumstances) -> Outcome:
    """Fill a small disk to different levels, append until it is full, make space and go on."""
    outcome = Outcome(fault="full disk (a tmpfs of 256 KiB)")
    for attempt in range(given.times(30, 8)):
        with small_disk(given.folder / str(attempt)) as mounted:
            if mounted:
                _fill(given.folder / str(attempt), given, outcome)
    return outcome


def _fill(disk: Path, given: Circumstances, outcome: Outcome) -> None:
    ballast, path = disk / "ballast", sample_file(disk / "ledger")
    ballast.write_bytes(bytes(given.generator.randrange(LEAST_BALLAST_BYTES, DISK_BYTES // 2)))
    appended: list[int] = []
    complaint = ""
    while not complaint:
        try:
            append_run(disk / "ledger", sample_run(len(appended)))
            appended.append(len(appended))
        except LedgerError as error:
            complaint = str(error)
    outcome.injected += 1
    outcome.expect("cannot be written (No space left on device)" in complaint, complaint)
    found = read_ledger(path)
    outcome.compare(appended, list_seeds(path))
    outcome.expect(not found.torn, "a full disk left a torn line")
    ballast.unlink()
    append_run(disk / "ledger", sample_run(len(appended)))
    outcome.compare(range(len(appended) + 1), list_seeds(path))
    expected = judge_runs(map(sample_run, range(len(appended) + 1)))
    outcome.wrong += not agree(judge_runs(read_ledger(path).runs), expected)


def inject_limit(given: Circumstances) -> Outcome:
    """Limit the size of a process's files at random bytes: the append that hits it adds nothing."""
    outcome = Outcome(fault="limit on a file's size, at random bytes")
    for attempt in range(given.times(40, 8)):
        folder = given.folder / str(attempt)
        limit = given.generator.randrange(1_000, 100_000)
        writer = start_python(APPEND_WITH_A_LIMIT, str(folder), str(limit))
        said, complaint = writer.communicate()
        outcome.injected += 1
        outcome.expect("cannot be written (File too large)" in complaint, complaint[-200:])
        path = sample_file(folder)
        outcome.compare(map(int, said.split()), list_seeds(path))
        if path.exists():
            outcome.expect(not read_ledger(path).torn, "a limit left a torn line")
    return outcome
