"""How long `bench judge` takes, and in how much memory: `python tests/perf --judge`.

Plants ledgers of 1,000, 10,000 and 100,000 runs of 10 iterations in a temporary folder (0.9 GB for
the largest) and judges each in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from planted_runs import make_cost, make_epoch, make_run

from bench.iterations import MODELS, Iteration, list_iterations
from bench.ledger import encode_run, ledger_path
from bench.records import Cost, EpochScore, LayerCost, Mistake, Run
from perf.stored import RESULTS, JudgeCosts, Judging, describe_host, read_load, write_result

ROOT = Path(__file__).parents[2]
ITERATIONS = 10
SIZES = (1_000, 10_000, 100_000)
LAYERS = 28
CLIMB = (9_750, 9_840, 9_870, 9_890, 9_900, 9_910, 9_915, 9_920, 9_925, 9_930, 9_940, 9_942)
"""Validation counts of the epochs before the window."""
POOL = 100
"""Different runs of an iteration, apart from their seeds; drawing each would take minutes."""
COMMANDS = {
    "text": ("judge",),
    "JSON with findings": ("judge", "--format", "json"),
}


def main(arguments: Sequence[str]) -> None:
    """Measure all sizes, print and store them."""
    parser = argparse.ArgumentParser(prog="python tests/perf --judge", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="runs in all")
    parser.add_argument("--output", type=Path, default=RESULTS / "judge.json")
    options = parser.parse_args(arguments)
    load = read_load()
    judgings = tuple(judging for runs in options.sizes for judging in measure(runs))
    hashing, skipping = measure_floor()
    costs = JudgeCosts(
        host=describe_host(load),
        hashing_seconds=hashing,
        skipping_seconds=skipping,
        judgings=judgings,
    )
    write_result(options.output, costs)
    for judging in judgings:
        print(
            f"{judging.runs:,} runs, {judging.layout}: {judging.cpu_seconds:.2f} s, "
            f"{judging.peak_mebibytes:,.0f} MiB"
        )


def measure(runs: int) -> Iterator[Judging]:
    """Plant a ledger of so many runs and judge it once in each layout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant_models(folder / "models")
        size = plant_ledger(folder, list_iterations(folder / "models"), runs)
        for layout, command in COMMANDS.items():
            cpu_seconds, peak = run_bench(folder, command)
            yield Judging(
                runs=runs,
                ledger_bytes=size,
                layout=layout,
                cpu_seconds=round(cpu_seconds, 3),
                peak_mebibytes=round(peak, 1),
            )


def plant_models(folder: Path) -> None:
    """Copy `models` and repeat its latest iteration until there are ten."""
    shutil.copytree(MODELS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    latest = list_iterations(folder)[-1]
    for number in range(len(list_iterations(folder)) + 1, ITERATIONS + 1):
        shutil.copy(latest.path, folder / f"iteration_{number}.py")


def plant_ledger(folder: Path, iterations: Sequence[Iteration], runs: int) -> int:
    """Write the same number of runs for each iteration; return the bytes of all files."""
    size = 0
    for number, iteration in enumerate(iterations):
        path = ledger_path(folder / "ledger", "mnist", iteration.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pool = [draw_run(iteration, Random(number * POOL + index)) for index in range(POOL)]
        with path.open("wb") as file:
            for seed in range(runs // len(iterations)):
                size += file.write(encode_run(replace(pool[seed % POOL], seed=seed)))
    return size


def draw_run(iteration: Iteration, random: Random) -> Run:
    """Return a run of 15 epochs of which about 60 images are wrong in each of the last three."""
    final = [9_940 + random.randint(-3, 6) for _ in range(3)]
    return make_run(
        iteration=iteration,
        epochs=tuple(draw_epoch(count, random) for count in (*CLIMB, *final)),
        mistakes=tuple(tuple(draw_mistakes(10_000 - count, random)) for count in final),
        cost=draw_cost(),
    )


def draw_epoch(correct: int, random: Random) -> EpochScore:
    """Return an epoch whose losses and seconds have as many digits as measured ones."""
    return replace(
        make_epoch(correct),
        training_correct=59_000 + random.randrange(400),
        training_loss=random.random() / 10,
        validation_loss=random.random() / 20,
        seconds=8 + random.random(),
    )


def draw_mistakes(count: int, random: Random) -> Iterator[Mistake]:
    """Yield so many different images in order, each taken for another digit than it shows."""
    for index in sorted(random.sample(range(10_000), count)):
        label = index % 10  # an image is the same digit in every run
        yield Mistake(index=index, label=label, predicted=(label + random.randint(1, 9)) % 10)


def draw_cost() -> Cost:
    """Return the cost of a network of seven blocks of four layers."""
    layers = tuple(
        LayerCost(
            name=f"block_{index // 4}.{index % 4}",
            kind=("Conv2d", "BatchNorm2d", "ReLU", "Dropout")[index % 4],
            output_shape=(16, 26, 26),
            parameters=1_440,
            macs=973_440,
            receptive_field=3 + index,
        )
        for index in range(LAYERS)
    )
    return replace(make_cost(), layers=layers)


def run_bench(folder: Path, command: Sequence[str]) -> tuple[float, float]:
    """Judge in a process of its own; return its processor seconds and its peak in MiB."""
    arguments = [sys.executable, "-m", "bench", *command, "--ledger", str(folder / "ledger")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # `models` is that of the folder
    with subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or printed.count(b"iteration_") < ITERATIONS:
        raise SystemExit(f"bench {' '.join(command)}: exit code {process.returncode}")
    per_mebibyte = 1 << (20 if sys.platform == "darwin" else 10)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / per_mebibyte


class Nothing(Struct):
    """A run of which nothing is read."""


def measure_floor() -> tuple[float, float]:
    """Return the processor seconds that hashing and that skipping through 1 GB of lines takes."""
    line = encode_run(draw_run(list_iterations()[-1], Random(0)))
    repeats = 100_000_000 // len(line)
    timings = []
    for work in (hashlib.sha256, msgspec.json.Decoder(Nothing).decode):
        start = time.process_time()
        for _ in range(repeats):
            work(line)
        timings.append(10 * (time.process_time() - start))
    return round(timings[0], 2), round(timings[1], 2)
