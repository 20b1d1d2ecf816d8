"""`bench run` as a user starts it: iteration 4 on real MNIST, into a folder that is thrown away."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from perf.engines import ITERATION, count_workers
from perf.stored import PERF, Timing, count

WHOLE_EPOCHS = 15


def compose(
    engine: str, *, seeds: int, epochs: int, folder: Path, device: str = "cpu"
) -> list[str]:
    """Return the command that trains so many seeds with an engine."""
    return [
        *(sys.executable, "-m", "bench", "run", ITERATION, "--engine", engine),
        *("--workers", str(count_workers(engine)), "--seeds", str(seeds)),
        *("--epochs", str(epochs), "--dataset", "mnist", "--device", device),
        *("--ledger", str(folder / "ledger"), "--page", str(folder / "index.html")),
    ]


@contextmanager
def start(
    engine: str, *, seeds: int, epochs: int, device: str = "cpu"
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command and, at the end of the block, wait for it.

    Raises:
        BenchError: it failed; the message ends with its last line.
    """
    with tempfile.TemporaryDirectory(prefix="bench-perf-") as name:
        printed = Path(name) / "printed.txt"
        command = compose(engine, seeds=seeds, epochs=epochs, folder=Path(name), device=device)
        with (
            printed.open("wb") as file,
            subprocess.Popen(
                command, cwd=PERF.parents[1], stdout=subprocess.DEVNULL, stderr=file
            ) as process,
        ):
            yield process
        if process.returncode:
            lines = printed.read_text().splitlines() or [f"exit code {process.returncode}"]
            raise BenchError(f"bench run with the {engine} engine: {lines[-1]}")


def time_run(engine: str, *, seeds: int, epochs: int, device: str = "cpu") -> Timing:
    """Return the wall time of a whole command: start-up, compilation, evaluation, page and all."""
    begun = time.perf_counter()
    with start(engine, seeds=seeds, epochs=epochs, device=device):
        pass
    seconds = round(time.perf_counter() - begun, 2)
    return Timing(engine=engine, workers=count_workers(engine), runs=seeds, seconds=seconds)


def time_each(
    plan: Sequence[tuple[str, int]], *, epochs: int, time_one: Callable[..., Timing] = time_run
) -> tuple[Timing, ...]:
    """Time engines with numbers of seeds, in order, and print each as it ends."""
    timings = []
    for engine, seeds in plan:
        timing = time_one(engine, seeds=seeds, epochs=epochs)
        print(
            f"{engine}: {count(timing.runs, 'run')} of {count(epochs, 'epoch')} on "
            f"{count(timing.workers, 'worker')} in "
            f"{timing.seconds:.1f} s, {timing.runs_per_minute:.2f} runs per minute",
            flush=True,
        )
        timings.append(timing)
    return tuple(timings)
