"""The engines that train on a CPU, for benchmarks and for `bench run --engine`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from bench.challenges import MNIST
from bench.datasets import find_mnist, load_dataset
from bench.errors import BenchError
from bench.iterations import Iteration, select_iterations
from bench.training.devices import count_cores
from bench.training.engines import ENGINES
from bench.training.loop import place_dataset
from bench.training.plain import LOADER_WORKERS, choose_loader_workers
from bench.training.runs import build_network, network_builder

PLAIN = "plain"
"""What a user would write without Drilldown: it trains one run at a time."""

ITERATION = "iteration_4"
CPU_ENGINES = ("plain", "eager", "native")
GPU_ENGINES = ("plain", "stacked")


def find_refusal(engine: str, iteration: Iteration) -> str | None:
    """Return why an engine cannot train an iteration on this machine's CPU, `None` if it can."""
    return ENGINES[engine].explain_refusal(
        build_network(iteration), iteration.recipe, torch.device("cpu")
    )


def settle_loader_workers(engines: Sequence[str], device: str = "cpu") -> None:
    """Measure once how many loader workers the plain engine wants, so that no timed run does."""
    if PLAIN not in engines or os.environ.get(LOADER_WORKERS) is not None:
        return
    (iteration,) = select_iterations((ITERATION,))
    training, _ = place_dataset(load_dataset(MNIST, find_mnist(None)), torch.device(device))
    best, milliseconds = choose_loader_workers(
        network_builder(iteration), iteration.recipe, training, cores=count_cores()
    )
    times = ", ".join(f"{n}: {time:.1f} ms" for n, time in milliseconds.items())
    print(f"loader workers of the plain engine: {best}; a batch with {times}", flush=True)
    os.environ[LOADER_WORKERS] = str(best)


def parse_engines(text: str) -> tuple[str, ...]:
    """Return the engines of `plain,native`.

    Raises:
        BenchError: one of them does not exist.
    """
    engines = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for engine in engines:
        if engine not in ENGINES:
            known = ", ".join(ENGINES)
            raise BenchError(f"--engines {engine}: no such engine; choose from {known}")
    return engines


def default_engines(device: str = "cpu") -> str:
    """Return the engines that are made for a device, the plain one first: ratios are to it."""
    return ",".join(GPU_ENGINES if device == "cuda" else CPU_ENGINES)


def count_workers(engine: str) -> int:
    """Return the processes that train: one for a whole machine or a GPU, else one a core."""
    return 1 if engine in (PLAIN, *GPU_ENGINES) else count_cores()


def count_runs(engine: str) -> int:
    """Return how many runs an engine trains at once."""
    default = ENGINES[engine].default_block
    if default is None:
        return count_workers(engine)
    (iteration,) = select_iterations((ITERATION,))
    return default(build_network(iteration), iteration.recipe, torch.device("cuda"))
