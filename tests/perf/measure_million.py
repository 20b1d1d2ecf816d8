"""A ledger of a million runs, for real: `python tests/perf --million`.

Plants 1,000,000 runs of one iteration, 9 KB each, in the order in which a cluster's might finish;
appends some as a driver does; judges the file as text and as JSON, and writes its page, each in a
process of its own. It takes 9 GB in --folder (by default the one for temporary files) and some
minutes. Exit code 1 says that a figure is over its budget: of processor time, which is the clock's
on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from msgspec.structs import replace

from bench.iterations import MODELS, Iteration, list_iterations
from bench.ledger import append_runs, encode_run, ledger_path
from bench.records import Run
from perf.measure_judge import draw_run
from perf.stored import RESULTS, Million, Phase, describe_host, read_load, write_result

ROOT = Path(__file__).parents[2]
RUNS = 1_000_000
POOL = 1_000
"""Different runs, apart from their seeds; drawing each would take an hour."""
LATE = 10_000
"""A run comes at most so many places later than its seed would."""
UNIT = 64
"""Runs of a block that come back together."""
APPENDS, ROUNDS = 320, 5
BUDGETS: dict[str, tuple[float | None, float | None]] = {
    "judge": (60.0, 2048.0),
    "judge --format json": (60.0, 2048.0),
    "report: render and write": (30.0, None),
}
"""Seconds of the processor and MiB, by phase."""
MOST_PAGE_MEBIBYTES = 6.0
COMMANDS = {"judge": ("judge",), "judge --format json": ("judge", "--format", "json")}

REPORT = """
import json, sys, time
from pathlib import Path
from bench.challenges import MNIST
from bench.commands.options import read_selection
from bench.iterations import list_iterations
from bench.ledger import read_scores
from bench.report.page import render_page, write_page
from bench.verdict import judge_all
ledger, page = map(Path, sys.argv[1:])
clocks = (time.perf_counter, time.process_time)
begun = [clock() for clock in clocks]
iterations = list_iterations()
verdicts = [
    verdict
    for iteration in iterations
    for verdict in judge_all(
        read_selection(ledger, MNIST, iteration, read=read_scores), iteration, MNIST
    )
]
read = [clock() for clock in clocks]
write_page(page, render_page(verdicts, iterations, MNIST))
done = [clock() for clock in clocks]
print(json.dumps([[b - a for a, b in zip(*step)] for step in ((begun, read), (read, done))]))
"""
"""What `bench report` does, with the time taken between judging and rendering."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print and store; return 1 when a figure is over its budget."""
    parser = argparse.ArgumentParser(prog="python tests/perf --million", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--folder", type=Path, help="where the ledger is planted")
    parser.add_argument("--output", type=Path, default=RESULTS / "million.json")
    options = parser.parse_args(arguments)
    load = read_load()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        million = measure(Path(name), options.runs, load)
    write_result(options.output, million)
    complaints = list(find_excess(million))
    print(*complaints, sep="\n")
    return int(bool(complaints))


def measure(folder: Path, runs: int, load: float) -> Million:
    """Plant a ledger of so many runs and do with it what a user does."""
    ledger, page = folder / "ledger", folder / "index.html"
    iteration = list_iterations(MODELS)[-1]
    size = plant(ledger, iteration, runs)
    phases = [_judge(ledger, name) for name in COMMANDS]
    phases += _report(ledger, page)
    one, many = time_appends(ledger, iteration, 1), time_appends(ledger, iteration, UNIT)
    return Million(
        host=describe_host(load),
        runs=runs,
        ledger_bytes=size,
        phases=tuple(phases),
        page_bytes=page.stat().st_size,
        unit=UNIT,
        append_milliseconds=round(1e3 * one, 3),
        append_in_unit_milliseconds=round(1e3 * many, 3),
    )


def plant(ledger: Path, iteration: Iteration, runs: int) -> int:
    """Write runs of every seed in the order in which they might finish; return the bytes."""
    random = Random(0)
    pool = [draw_run(iteration, Random(index)) for index in range(POOL)]
    order = sorted(range(runs), key=lambda seed: seed + random.random() * LATE)
    path = ledger_path(ledger, "mnist", iteration.name)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        return sum(file.write(encode_run(_take(pool, seed, random))) for seed in order)


def _take(pool: Sequence[Run], seed: int, random: Random) -> Run:
    return replace(random.choice(pool), seed=seed)


def _judge(ledger: Path, name: str) -> Phase:
    command = [sys.executable, "-m", "bench", *COMMANDS[name], "--ledger", str(ledger)]
    printed, phase = _time(name, command)
    if b"iteration_4" not in printed:
        raise SystemExit(f"bench {name}: {printed[-200:]!r}")
    return phase


def _report(ledger: Path, page: Path) -> Iterator[Phase]:
    command = [sys.executable, "-c", REPORT, str(ledger), str(page)]
    printed, whole = _time("report", command)
    names = ("read and judge", "render and write")
    for name, (seconds, cpu_seconds) in zip(names, json.loads(printed), strict=True):
        yield Phase(
            name=f"report: {name}",
            seconds=round(seconds, 1),
            cpu_seconds=round(cpu_seconds, 1),
            peak_mebibytes=whole.peak_mebibytes,
        )


def _time(name: str, command: Sequence[str]) -> tuple[bytes, Phase]:
    """Run a process; return what it printed, and what it took."""
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    per_mebibyte = 1 << (20 if sys.platform == "darwin" else 10)
    phase = Phase(
        name=name,
        seconds=round(time.perf_counter() - begun, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_mebibytes=round(usage.ru_maxrss / per_mebibyte),
    )
    print(
        f"{name}: {phase.cpu_seconds:.1f} s of the processor, {phase.seconds:.1f} s by the clock, "
        f"{phase.peak_mebibytes:,.0f} MiB",
        flush=True,
    )
    return printed, phase


def time_appends(ledger: Path, iteration: Iteration, unit: int) -> float:
    """Return the seconds by the clock that a run takes to be on disk, so many at a time.

    Of several rounds the fastest counts: a busy machine makes all others slower.
    """
    runs = [
        replace(draw_run(iteration, Random(index)), seed=RUNS + index) for index in range(APPENDS)
    ]
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for first in range(0, APPENDS, unit):
            append_runs(ledger, runs[first : first + unit])
        rounds.append(time.perf_counter() - begun)
    return min(rounds) / APPENDS


def find_excess(million: Million) -> Iterator[str]:
    """Yield every figure that is over its budget."""
    for phase in million.phases:
        seconds, mebibytes = BUDGETS.get(phase.name, (None, None))
        if seconds is not None and phase.cpu_seconds > seconds:
            yield f"OVER: {phase.name}: {phase.cpu_seconds:.1f} s, budget {seconds:g}"
        if mebibytes is not None and phase.peak_mebibytes > mebibytes:
            yield f"OVER: {phase.name}: {phase.peak_mebibytes:,.0f} MiB, budget {mebibytes:g}"
    if million.page_mebibytes > MOST_PAGE_MEBIBYTES:
        yield f"OVER: a page of {million.page_mebibytes:.2f} MiB"
