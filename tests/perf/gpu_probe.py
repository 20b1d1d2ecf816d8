"""Which way to train many seeds at once is fastest: `python tests/perf/gpu_probe.py`.

Trains the latest iteration with batches of its own size for `--steps` steps, for each method, width
(seeds in flight) and precision, and prints a Markdown table; `--output FILE.json` keeps figures.
A method is a forward of `bench/training/stacked/forwards.py`, or `lanes`: one stack, and one CUDA
graph, for each seed, in streams of their own. `+compiled` hands forward and loss to
`torch.compile`, `+launched` records no CUDA graph. `bench/training/stacked/block.py` has the
defaults that follow from the table.

Images are noise: only speed is measured. A time is the shortest of `--repeats`, from the first
launch to the results on the CPU, so that whatever is drawn, copied or waited for is in it. Runs a
minute are projected from it to 15 epochs of 60,000 training and 10,000 validation images; recording
is not in them, because the blocks of an iteration share it. A row that fails says why, and the next
one begins in a new process.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.iterations import list_iterations
from bench.training.loop import ResidentImages
from bench.training.runs import network_builder
from bench.training.stacked import Method
from bench.training.stacked.block import Block, forget_blocks, prepare_block
from bench.training.stacked.forwards import FORWARDS
from bench.training.stacked.stack import float32_products

METHODS = (*FORWARDS, "lanes", "grouped+compiled", "unfolded+compiled", "unfolded+launched")
WIDTHS = (1, 8, 32, 64, 128)
PRECISIONS = ("fp32", "tf32", "bf16")
EPOCHS, TRAINING_IMAGES, VALIDATION_IMAGES = 15, 60_000, 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row to measure."""

    method: str
    width: int
    precision: str
    device: str
    steps: int
    repeats: int
    validation_images: int
    batch: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What a row cost; figures are `None` where it failed."""

    case: Case
    recording_seconds: float | None = None
    step_milliseconds: float | None = None
    evaluation_milliseconds: float | None = None
    images_a_second: float | None = None
    runs_a_minute: float | None = None
    peak_mebibytes: float | None = None
    reserved_mebibytes: float | None = None
    failure: str | None = None


def parse_method(name: str, precision: str) -> Method:
    """Return the method that a row's name and precision stand for."""
    forward, *options = name.split("+")
    return Method(
        forward="grouped" if forward == "lanes" else forward,
        lane=1 if forward == "lanes" else None,
        graphs="launched" not in options,
        compiled="compiled" in options,
        tf32=precision == "tf32",
    )


def measure(case: Case) -> Measurement:
    """Measure one row; a failure is a row as well."""
    try:
        return measure_speed(case)
    except Exception as error:
        lines = str(error).splitlines() or [""]
        return Measurement(case=case, failure=f"{type(error).__name__}: {lines[0][:120]}")


def measure_speed(case: Case) -> Measurement:
    device = torch.device(case.device)
    iteration = list_iterations()[-1]
    build = network_builder(iteration)
    recipe = replace(
        iteration.recipe,
        batch_size=case.batch or iteration.recipe.batch_size,
        epochs=case.repeats + 1,
        precision="bf16" if case.precision == "bf16" else "fp32",
    )
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    method = parse_method(case.method, case.precision)
    with float32_products(tf32=method.tf32):
        started = time.perf_counter()
        block = prepare_block(
            build,
            recipe,
            training=make_noise(case.steps * recipe.batch_size, device),
            validation=make_noise(case.validation_images, device),
            width=case.width,
            method=method,
        )
        block.load(build, range(case.width))
        epoch_seconds(block)  # what is compiled at the first use, where no graph was recorded
        recording = time.perf_counter() - started
        evaluation = min(evaluation_seconds(block, device) for _ in range(case.repeats))
        epoch = min(epoch_seconds(block) for _ in range(case.repeats))
    step = max(epoch - evaluation, 0.0) / case.steps
    return Measurement(
        case=case,
        recording_seconds=recording,
        step_milliseconds=1e3 * step,
        evaluation_milliseconds=1e3 * evaluation,
        images_a_second=case.width * recipe.batch_size / step if step else None,
        runs_a_minute=project(case, step, evaluation, recipe.batch_size),
        peak_mebibytes=torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None,
        reserved_mebibytes=torch.cuda.max_memory_reserved() / 2**20 if on_gpu else None,
    )


def make_noise(count: int, device: torch.device) -> ResidentImages:
    """Return images of random bytes with random labels."""
    generator = torch.Generator().manual_seed(0)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(0, high, shape, generator=generator)

    return ResidentImages(
        images=draw(256, count, 1, 28, 28).to(torch.uint8).to(device),
        labels=draw(10, count).to(device),
        mean=0.5,
        deviation=0.29,
    )


def epoch_seconds(block: Block) -> float:
    """Return the seconds of an epoch with its evaluation, results read."""
    start = time.perf_counter()
    block.train_epoch(1)
    return time.perf_counter() - start


def evaluation_seconds(block: Block, device: torch.device) -> float:
    """Return the seconds of an evaluation alone."""
    start = time.perf_counter()
    block.launch(lambda stack: stack.launch_evaluation(1))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def project(case: Case, step: float, evaluation: float, batch: int) -> float:
    """Return how many whole runs a minute a row amounts to."""
    steps = math.ceil(TRAINING_IMAGES / batch)
    evaluations = evaluation * VALIDATION_IMAGES / case.validation_images
    return 60.0 * case.width / (EPOCHS * (steps * step + evaluations))


def measure_all(cases: Sequence[Case]) -> Iterator[Measurement]:
    """Measure each row in a worker; after a failure, which may spoil the GPU, in a new one."""
    waiting = list(cases)
    while waiting:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            while waiting:
                case = waiting.pop(0)
                try:
                    measurement = pool.submit(measure_and_tidy, case).result()
                except Exception as error:
                    measurement = Measurement(case=case, failure=f"the process died ({error})")
                yield measurement
                if measurement.failure is not None:
                    break


def measure_and_tidy(case: Case) -> Measurement:
    """Measure, and give the memory of the row back."""
    torch.set_num_threads(1)
    measurement = measure(case)
    forget_blocks()
    gc.collect()
    if case.device.startswith("cuda"):
        torch.cuda.empty_cache()
    return measurement


HEADINGS = (
    "method", "seeds", "precision", "recording, s", "step, ms", "evaluation, ms",
    "images/s", "runs/min", "peak, MiB",
)  # fmt: skip


def format_row(measurement: Measurement) -> str:
    """Return a row of the Markdown table."""
    case = measurement.case
    named = [case.method, str(case.width), case.precision]
    if measurement.failure is not None:
        return "| " + " | ".join([*named, measurement.failure, *[""] * 5]) + " |"
    figures: list[tuple[float | None, str]] = [
        (measurement.recording_seconds, ".1f"),
        (measurement.step_milliseconds, ".3f"),
        (measurement.evaluation_milliseconds, ".1f"),
        (measurement.images_a_second, ",.0f"),
        (measurement.runs_a_minute, ",.1f"),
        (measurement.peak_mebibytes, ",.0f"),
    ]
    cells = [format(figure, form) if figure is not None else "" for figure, form in figures]
    return "| " + " | ".join([*named, *cells]) + " |"


def describe_device(device: str) -> str:
    """Name what was measured."""
    kind = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor()
    return f"{kind or platform.machine()}, torch {torch.__version__}, {list_iterations()[-1].name}"


def split(kind: Callable[[str], object]) -> Callable[[str], list[object]]:
    """Return a reader of lists with commas."""
    return lambda text: [kind(part) for part in text.split(",")]


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    available = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=available)
    parser.add_argument("--widths", type=split(int), default=list(WIDTHS))
    parser.add_argument("--strategies", type=split(str), default=list(METHODS))
    parser.add_argument("--precision", type=split(str), default=list(PRECISIONS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--validation-images", type=int, default=VALIDATION_IMAGES)
    parser.add_argument("--batch", type=int, default=None, help="instead of the iteration's own")
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table row by row as it is measured."""
    chosen = read_arguments(arguments)
    cases = [
        Case(
            method=method,
            width=width,
            precision=precision,
            device=chosen.device,
            steps=chosen.steps,
            repeats=chosen.repeats,
            validation_images=chosen.validation_images,
            batch=chosen.batch,
        )
        for precision in chosen.precision
        for width in chosen.widths
        for method in chosen.strategies
    ]
    print(describe_device(chosen.device), end="\n\n")
    print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    measurements = []
    for measurement in measure_all(cases):
        print(format_row(measurement), flush=True)
        measurements.append(measurement)
        if chosen.output is not None:
            document = {
                "device": describe_device(chosen.device),
                "rows": [asdict(row) for row in measurements],
            }
            chosen.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
