"""Peak resident memory of the largest worker process of each engine, and of torch alone.

Torch alone is a process that imports it and takes one step of a small convolution. A worker is one
that `bench run` started: it holds MNIST (55 MB as bytes), trains one epoch of iteration 4 and
scores it. Both peaks are the kernel's own (VmHWM of Linux), read until the processes end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from perf.engines import default_engines, parse_engines
from perf.runs import ITERATION, start
from perf.stored import PERF, RESULTS, Memory, describe_host, write_result

POLL_SECONDS = 0.02
TORCH_ALONE = """
import torch
torch.set_num_threads(1)
images = torch.zeros(128, 1, 28, 28)
torch.nn.Conv2d(1, 8, 3)(images).sum().backward()
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def main(arguments: Sequence[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python tests/perf --memory", description=__doc__)
    parser.add_argument("--engines", default=default_engines(ITERATION), help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/status").exists():
        raise BenchError("--memory: peaks of other processes are read from /proc, as Linux has it")
    measured = Memory(
        host=describe_host(),
        torch_mebibytes=measure_torch(),
        worker_mebibytes={
            engine: measure_worker(engine) for engine in parse_engines(options.engines)
        },
    )
    write_result(options.output, measured)
    for engine, mebibytes in measured.worker_mebibytes.items():
        beyond = mebibytes - measured.torch_mebibytes
        print(
            f"{engine}: a worker {mebibytes:,.0f} MiB, torch alone "
            f"{measured.torch_mebibytes:,.0f} MiB, beyond it {beyond:,.0f} MiB"
        )


def measure_torch() -> float:
    """Return the peak of a process that only imports torch and takes a step, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", TORCH_ALONE], cwd=PERF, capture_output=True, text=True, check=True
    )
    return round(int(done.stdout) / 1024, 1)


def measure_worker(engine: str) -> float:
    """Return the peak of the largest process that `bench run` started, in MiB."""
    peak = 0
    with start(engine, seeds=1, epochs=1) as process:
        while process.poll() is None:
            peak = max([peak, *map(read_peak, list_descendants(process.pid))])
            time.sleep(POLL_SECONDS)
    return round(peak / 1024, 1)


def list_descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they started."""
    parents = dict(read_parents())
    found, before = {pid}, set[int]()
    while found != before:
        before = set(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def read_parents() -> Iterator[tuple[int, int]]:
    """Yield every process with its parent."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            # the name in brackets may hold blanks; state and parent come after it
            yield int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])


def read_peak(pid: int) -> int:
    """Return the peak of a process in KiB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
