"""What every benchmark shares: its reference workload, its machine, and why one was skipped."""

from __future__ import annotations

import resource
from collections.abc import Callable, Generator
from typing import Any, Protocol

import msgspec
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.training.allocator import keep_freed_memory
from perf.stored import describe_host

REFERENCE_REPEATS = 4
"""How often the reference workload is repeated before each round; the fastest counts."""

SKIPPED = pytest.StashKey[dict[str, str]]()


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended.

    Other processes on the same cores stretch the time by the clock, and this one hardly.
    """
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def make_reference() -> Callable[[], None]:
    """Return a fixed workload of about 3 ms: a matrix product, a copy, and plain Python.

    The three things that a faster or slower machine changes; none of our code is in it.
    """
    matrix = torch.linspace(-1.0, 1.0, 256 * 256).reshape(256, 256)
    source = torch.zeros(1 << 20)
    target = torch.empty_like(source)

    def work() -> None:
        for _ in range(4):
            matrix @ matrix
            target.copy_(source)
        sum(number * number for number in range(20_000))

    return work


def time_reference(work: Callable[[], Any]) -> float:
    """Return the processor seconds of the fastest of a few repetitions."""
    seconds = []
    for _ in range(REFERENCE_REPEATS):
        start = cpu_seconds()
        work()
        seconds.append(cpu_seconds() - start)
    return min(seconds)


class Repeat(Protocol):
    """Measures so many rounds of some work, each with the reference workload before it."""

    def __call__(
        self, work: Callable[[], Any], rounds: int, reference: Callable[[], Any] | None = None
    ) -> None: ...


@pytest.fixture
def repeat(benchmark: BenchmarkFixture) -> Repeat:
    """Return what measures, on one thread as a worker has; a round before the first is not kept."""
    torch.set_num_threads(1)
    keep_freed_memory()

    def measure(
        work: Callable[[], Any], rounds: int, reference: Callable[[], Any] | None = None
    ) -> None:
        seconds: list[float] = []
        reference = reference or make_reference()
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            work,
            setup=lambda: seconds.append(time_reference(reference)),
            rounds=rounds,
            warmup_rounds=1,
        )
        benchmark.extra_info["references"] = seconds[-rounds:]

    return measure


def pytest_configure(config: pytest.Config) -> None:
    """Start with no benchmark skipped."""
    config.stash[SKIPPED] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember why a benchmark was skipped: pytest-benchmark stores those that ran alone."""
    report = yield
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
        item.config.stash[SKIPPED][item.name] = reason.removeprefix("Skipped: ")
    return report


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Add processor, cores, GPU and the version of torch."""
    machine_info["host"] = msgspec.to_builtins(describe_host())


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]
) -> None:
    """Add the benchmarks that could not run, with their reasons."""
    output_json["skipped"] = config.stash[SKIPPED]
