"""Images per second of one training step, on one core, by what was done to make it faster.

Iteration 4 on real MNIST in batches of 128: augmentation, forward, backward and optimiser, without
evaluation and start-up. Every way runs in a process of its own with one thread, all of them once a
repetition, to and fro. The native engine is also measured with narrower vectors, as on processors
without AVX-512 or AVX2.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench.errors import BenchError
from perf.stored import PERF, RESULTS, Step, Steps, describe_host, write_result

IMAGES = 128
WARM_UP, MEASURED_SECONDS = 8, 4.0

WAYS = {
    "eager": "torch module by module, NCHW",
    "channels last": "channels last",
    "memory kept": "channels last, and the allocator keeps what is freed: the eager engine",
    "compiled": "the same behind `torch.compile` (inductor)",
    "bf16": "the eager engine in bf16, not compiled",
    "native, 4 lanes": "the native engine for any x86-64",
    "native, 8 lanes": "the native engine for AVX2",
    "native": "the native engine for this processor",
}
ARCHITECTURES = {"native, 4 lanes": "x86-64", "native, 8 lanes": "x86-64-v3"}


def main(arguments: Sequence[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python tests/perf --steps", description=__doc__)
    parser.add_argument("--ways", default=";".join(WAYS), help="of: %(default)s")
    parser.add_argument("--repetitions", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--output", type=Path, default=RESULTS / "steps.json")
    parser.add_argument("--way", help=argparse.SUPPRESS)  # in the process of its own
    options = parser.parse_args(arguments)
    if options.way:
        print(json.dumps(measure(options.way)))
        return
    ways = parse_ways(options.ways)
    host = describe_host()
    seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for repetition in range(options.repetitions):
        for way in ways[:: -1 if repetition % 2 else 1]:
            seen[way].append(measure_apart(way))
            print(f"{way}: {seen[way][-1][0]:,.0f} images/s", flush=True)
    steps = tuple(
        Step(
            way=WAYS[way],
            images_per_second=round(median(speed for speed, _ in found)),
            preparing_seconds=round(max(preparing for _, preparing in found), 1),
        )
        for way, found in seen.items()
    )
    write_result(options.output, Steps(host=host, steps=steps))


def parse_ways(text: str) -> list[str]:
    """Return the ways of `eager;native`.

    Raises:
        BenchError: one of them is not known.
    """
    ways = [way.strip() for way in text.split(";")]
    for way in ways:
        if way not in WAYS:
            raise BenchError(f"--ways {way}: no such way; choose from {'; '.join(WAYS)}")
    return ways


def measure_apart(way: str) -> tuple[float, float]:
    """Return images per second, and seconds to the end of the first step, in a new process.

    Raises:
        BenchError: the process failed; the message ends with its last line.
    """
    command = [sys.executable, str(PERF), "--steps", "--way", way]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PERF.parents[1])
    if done.returncode:
        raise BenchError(f"{way}: {done.stderr.strip().splitlines()[-1]}")
    speed, preparing = json.loads(done.stdout.splitlines()[-1])
    return speed, preparing


def measure(way: str) -> tuple[float, float]:
    """Return images per second, and seconds until the first step is done."""
    import torch

    torch.set_num_threads(1)
    step = _prepare(way)
    begun = time.perf_counter()
    step()
    preparing = time.perf_counter() - begun
    for _ in range(WARM_UP):
        step()
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < MEASURED_SECONDS:
        step()
        steps += 1
    return steps * IMAGES / (time.perf_counter() - begun), preparing


def _prepare(way: str) -> Callable[[], None]:
    """Return one training step; what has to be compiled is compiled by its first call."""
    import torch

    from bench.challenges import MNIST
    from bench.datasets import find_mnist, load_dataset
    from bench.iterations import select_iterations
    from bench.training.allocator import keep_freed_memory
    from bench.training.loop import EagerLearner, Learner, place_dataset
    from bench.training.native import library
    from bench.training.native.engine import NativeLearner
    from bench.training.optimizers import build_optimizer
    from bench.training.runs import build_network

    if way not in ("eager", "channels last"):
        keep_freed_memory()
    (iteration,) = select_iterations(("iteration_4",))
    training, _ = place_dataset(load_dataset(MNIST, find_mnist(None)), torch.device("cpu"))
    precision = "bf16" if way == "bf16" else "fp32"
    recipe = dataclasses.replace(iteration.recipe, precision=precision)
    if way in ARCHITECTURES:
        library.FLAGS = tuple(
            flag.replace("native", ARCHITECTURES[way]) if "march" in flag else flag
            for flag in library.FLAGS
        )
    learners: list[Learner] = []

    def start() -> Learner:
        kind = NativeLearner if way.startswith("native") else EagerLearner
        network = build_network(iteration).train()
        learner: Learner = kind(network, recipe, training=training, seed=0)
        if way == "eager":
            learner.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            learner.network.register_forward_pre_hook(lambda _, x: (x[0].contiguous(),))
        if way == "compiled":
            learner.network = torch.compile(learner.network)
        return learner

    index = torch.randperm(len(training.labels))
    batches = index[: len(index) // IMAGES * IMAGES].split(IMAGES)
    count = 0

    def step() -> None:
        nonlocal count
        if not learners:
            learners.append(start())
            optimizers.append(
                build_optimizer(recipe.optimizer, learners[0].parameters(), rate=0.05)
            )
        batch = batches[count % len(batches)]
        learners[0].accumulate(batch, training.labels[batch])
        optimizers[0].step()
        count += 1

    optimizers: list[torch.optim.Optimizer] = []
    return step
