"""The engines that this checkout has, for benchmarks and for `bench run --engine`.

An engine is a module whose `train` takes what `bench.training.loop.train` takes.
One whose module is not there is not measured; one that cannot run here says why itself.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

from bench.commands.run import command as run_command
from bench.errors import BenchError
from bench.training.devices import count_cores

MODULES = {
    "eager": "bench.training.loop",
    "plain": "bench.training.plain",
    "native": "bench.training.native",
}
"""On a CPU; what the GPU engine gives is measured by `--gpu-probe`."""

PLAIN = "plain"
"""What a user would write without Drilldown: it trains one run at a time."""


def list_engines() -> list[str]:
    """Return the names of the engines whose modules are here."""
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module)]


def load_train(engine: str) -> Callable[..., Any]:
    """Return the function that trains one network with an engine."""
    train: Callable[..., Any] = importlib.import_module(MODULES[engine]).train
    return train


def parse_engines(text: str) -> tuple[str, ...]:
    """Return the engines of `plain,native`.

    Raises:
        BenchError: `bench run` of this checkout does not have one of them.
    """
    engines = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for engine in engines:
        select_engine(engine)
    return engines


def default_engines() -> str:
    """Return all engines that can be chosen, the plain one first: ratios are to the first."""
    names = sorted(list_engines(), key=lambda name: name != PLAIN)
    return ",".join(name for name in names if name in offered_engines())


def offered_engines(options: Iterable[Any] | None = None) -> tuple[str, ...]:
    """Return the choices of `bench run --engine`; without that option there is one engine."""
    for option in run_command.params if options is None else options:
        if "--engine" in option.opts:
            return tuple(getattr(option.type, "choices", ()))
    return ("eager",)


def select_engine(engine: str, options: Iterable[Any] | None = None) -> list[str]:
    """Return the arguments that make `bench run` use an engine.

    Raises:
        BenchError: it does not have it.
    """
    options = list(run_command.params if options is None else options)
    offered = offered_engines(options)
    if engine not in offered:
        raise BenchError(
            f"--engines {engine}: bench run has no such engine; choose from {', '.join(offered)}"
        )
    has_option = any("--engine" in option.opts for option in options)
    return ["--engine", engine] if has_option else []


def count_workers(engine: str) -> int:
    """Return how many runs an engine trains at once: the plain one one, the others one a core."""
    return 1 if engine == PLAIN else count_cores()
