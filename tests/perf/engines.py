"""The engines that this checkout has, for benchmarks and for `bench run --engine`.

They are those of the table `bench.training.engines.ENGINES`; a checkout without it has the eager
engine alone, and `bench run` no option.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.commands.run import command as run_command
from bench.errors import BenchError
from bench.iterations import Iteration
from bench.training.devices import count_cores
from bench.training.loop import train as train_eagerly
from bench.training.runs import network_builder

TABLE = "bench.training.engines"
EAGER, PLAIN = "eager", "plain"
"""The plain engine is what a user would write without Drilldown; it trains one run at a time."""

CPU = torch.device("cpu")


def read_table() -> dict[str, Any]:
    """Return the engines of this checkout by name; what they are is not known where none is."""
    if importlib.util.find_spec(TABLE) is None:
        return {EAGER: None}
    table: dict[str, Any] = importlib.import_module(TABLE).ENGINES
    return table


def explain_refusal(engine: str, iteration: Iteration) -> str | None:
    """Return why an engine cannot train an iteration on this machine's CPU, if so."""
    entry = read_table()[engine]
    if entry is None:
        return None
    refusal: str | None = entry.explain_refusal(network_builder(iteration)(), iteration.recipe, CPU)
    return refusal


def make_train(engine: str) -> Callable[..., Any]:
    """Return what trains one network as `bench.training.loop.train` does, with an engine."""
    entry = read_table()[engine]
    if entry is None:
        return train_eagerly

    def train(*arguments: Any, seed: int, **options: Any) -> Any:
        return entry.train(*arguments, seeds=(seed,), width=1, report=None, **options)

    return train


def default_engines(iteration: Iteration) -> str:
    """Return the engines that can train on this CPU, the plain one first: ratios are to it."""
    able = [engine for engine in read_table() if explain_refusal(engine, iteration) is None]
    return ",".join(sorted(able, key=lambda engine: engine != PLAIN))


def parse_engines(text: str) -> tuple[str, ...]:
    """Return the engines of `plain,native`.

    Raises:
        BenchError: this checkout does not have one of them.
    """
    engines = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for engine in engines:
        if engine not in read_table():
            raise BenchError(
                f"--engines {engine}: no such engine; choose from {', '.join(read_table())}"
            )
    return engines


def select_engine(engine: str, options: Sequence[Any] | None = None) -> list[str]:
    """Return the arguments that make `bench run` use an engine; none where it has no choice."""
    options = run_command.params if options is None else options
    has_option = any("--engine" in option.opts for option in options)
    return ["--engine", engine] if has_option else []


def count_workers(engine: str) -> int:
    """Return how many runs an engine trains at once: the plain one one, the others one a core."""
    return 1 if engine == PLAIN else count_cores()
