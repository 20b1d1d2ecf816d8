"""`bench run` as a process, what it wrote, and the processes that it started."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.ledger import read_ledger
from bench.records import Run

BENCH = [sys.executable, "-m", "bench"]
VOLATILE = ("started", "wall_seconds", "checksum")


def command(folder: Path, *arguments: str, iteration: str = "iteration_1") -> list[str]:
    return [
        *BENCH, "run", iteration, "--dataset", "digits", "--device", "cpu",
        "--ledger", str(folder / "ledger"), "--page", str(folder / "index.html"), *arguments,
    ]  # fmt: skip


def bench_run(
    folder: Path, *arguments: str, iteration: str = "iteration_1"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments, iteration=iteration),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def ledger_file(folder: Path, iteration: str = "iteration_1") -> Path:
    return folder / "ledger" / "digits" / f"{iteration}.jsonl"


def read_runs(folder: Path, iteration: str = "iteration_1") -> tuple[Run, ...]:
    return read_ledger(ledger_file(folder, iteration)).runs


def stable_lines(folder: Path, iteration: str) -> list[dict[str, Any]]:
    """Return the ledger's lines by seed, without time stamps and seconds."""
    lines = []
    for text in ledger_file(folder, iteration).read_text().splitlines():
        line = {k: v for k, v in json.loads(text).items() if k not in VOLATILE}
        for epoch in line["epochs"]:
            del epoch["seconds"]
        lines.append(line)
    return sorted(lines, key=lambda line: line["seed"])


def wait_for_runs(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while len(read_runs(folder)) < count:
        assert process.poll() is None, "ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(parent: int) -> dict[int, int]:
    """Return the processes that descend from one, each with how far, by /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(entry.parent.name)] = int(fields[1])
    family: dict[int, int] = {}
    generation, depth = [parent], 0
    while generation:
        generation = [pid for pid, above in parents.items() if above in generation]
        depth += 1
        family |= dict.fromkeys(generation, depth)
    return family


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def heed_interrupts() -> None:
    """Undo what a shell does to its background jobs: a job that ignores SIGINT cannot be tested."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def all_end(pids: Iterable[int], *, seconds: float = 30.0) -> bool:
    """Say whether all these processes end in time."""
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
