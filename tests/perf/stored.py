"""What is measured, as the JSON files that are kept and that the page is written from.

A figure is stored with the machine it is of, and without the rounds it was taken from.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError

PERF = Path(__file__).parent
RESULTS = PERF / "results"
BASELINES = PERF / "baselines"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine of a measurement; `load` is the mean number of busy processes just before it.

    A `commit` that ends in + has changes of what is measured.
    """

    processor: str
    cores: int
    gpu: str | None
    system: str
    python: str
    torch: str
    commit: str | None
    measured: str
    load: float

    @property
    def kind(self) -> str:
        """What must be the same for two seconds to be compared, as the name of a file."""
        parts = [self.processor, f"{self.cores} cores", *([self.gpu] if self.gpu else [])]
        return "-".join(re.findall(r"[a-z0-9]+", " ".join(parts).lower()))


class Benchmark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fastest round in seconds of processor time, and how long rounds take relatively.

    `relative` is the median over rounds of their time in units of the reference workload that was
    timed just before; `reference_seconds` is the fastest of those. `clock_seconds` is the fastest
    of several by the clock, where a user waits.
    """

    seconds: float
    reference_seconds: float
    relative: float
    clock_seconds: float | None = None


class Benchmarks(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the benchmarks by name; `skipped` gives the reason of each that could not run."""

    host: Host
    benchmarks: dict[str, Benchmark]
    skipped: dict[str, str] = {}


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One `bench run`: so many runs by an engine, the whole command by the clock."""

    engine: str
    workers: int
    runs: int
    seconds: float

    @property
    def runs_per_minute(self) -> float:
        """Return how many runs of this length a minute of wall time gives."""
        return 60.0 * self.runs / self.seconds


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Timings of one iteration's runs of so many epochs, in the order they were taken."""

    host: Host
    iteration: str
    epochs: int
    timings: tuple[Timing, ...]

    def of(self, engine: str) -> list[Timing]:
        """Return the timings of one engine."""
        return [timing for timing in self.timings if timing.engine == engine]

    @property
    def engines(self) -> tuple[str, ...]:
        """Return the engines in the order they first came."""
        return tuple(dict.fromkeys(timing.engine for timing in self.timings))


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one way to compute a training step gives on one core.

    `preparing_seconds` pass until the first step is done, compilation included.
    """

    way: str
    images_per_second: int
    preparing_seconds: float


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Ways to compute a training step, in the order in which each builds on those before."""

    host: Host
    steps: tuple[Step, ...]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Peak resident memory in MiB: of torch alone, and of the largest worker of each engine."""

    host: Host
    torch_mebibytes: float
    worker_mebibytes: dict[str, float]


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """What judging a ledger cost: processor time of one process, and its peak memory in MiB."""

    runs: int
    ledger_bytes: int
    layout: str
    cpu_seconds: float
    peak_mebibytes: float


class JudgeCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Judging by size, and the floor: seconds to hash, and to skip through, 1 GB of lines."""

    host: Host
    hashing_seconds: float
    skipping_seconds: float
    judgings: tuple[Judging, ...]


class ReportCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of a ledger of so many runs an iteration costs to write, to open and to use.

    `seconds` are by the clock, of a process that reads, judges and writes; `ready_seconds` and
    `drawn_seconds` pass from the navigation until the page listens and its first charts stand.
    """

    host: Host
    iterations: int
    runs: int
    ledger_bytes: int
    page_bytes: int
    seconds: float
    cpu_seconds: float
    peak_mebibytes: float
    browser: str
    ready_seconds: float
    drawn_seconds: float
    pointing_milliseconds: float

    @property
    def mebibytes(self) -> float:
        """Return the size of the page."""
        return self.page_bytes / (1 << 20)


class ClusterTiming(msgspec.Struct, frozen=True, kw_only=True):
    """One `bench run` of so many runs, by the local pool of processes or by a cluster."""

    side: str
    dataset: str
    runs: int
    epochs: int
    seconds: float


class ClusterCost(msgspec.Struct, frozen=True, kw_only=True):
    """The same runs by a pool and by a cluster of one node on one machine, in the order taken."""

    host: Host
    ray: str
    workers: int
    iteration: str
    timings: tuple[ClusterTiming, ...]

    def split(self) -> tuple[list[ClusterTiming], list[ClusterTiming]]:
        """Return the timings of short runs and of long ones: those of the most epochs."""
        most = max(timing.epochs for timing in self.timings)
        short = [timing for timing in self.timings if timing.epochs < most]
        return short, [timing for timing in self.timings if timing.epochs == most]


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done with a ledger: seconds by the clock and of the processor, and peak in MiB."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mebibytes: float


class Million(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger of very many runs costs, and what an append to it does.

    Milliseconds are by the clock for a run to be on disk: appended alone, and as one of the `unit`
    runs of a block that are appended together.
    """

    host: Host
    runs: int
    ledger_bytes: int
    phases: tuple[Phase, ...]
    page_bytes: int
    unit: int
    append_milliseconds: float
    append_in_unit_milliseconds: float

    @property
    def page_mebibytes(self) -> float:
        """Return the size of the page."""
        return self.page_bytes / (1 << 20)

    def cpu_seconds_of(self, name: str) -> float:
        """Return how long a phase took on a processor that did nothing else."""
        return next(phase.cpu_seconds for phase in self.phases if phase.name == name)


class ProbeCase(msgspec.Struct, frozen=True, kw_only=True):
    """How the GPU engine trained: `width` seeds side by side by a method, in a precision."""

    method: str
    width: int
    precision: str


class ProbeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the GPU probe found of one case; a case that failed has its `failure` alone."""

    case: ProbeCase
    step_milliseconds: float | None = None
    evaluation_milliseconds: float | None = None
    runs_a_minute: float | None = None
    peak_mebibytes: float | None = None
    failure: str | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of the file that `tests/perf/gpu_probe.py --output` writes."""

    device: str
    rows: tuple[ProbeRow, ...]


Result = TypeVar(
    "Result",
    Benchmarks,
    Timings,
    Steps,
    Memory,
    JudgeCosts,
    ReportCost,
    ClusterCost,
    Million,
    Probe,
)


def describe_host(load: float | None = None) -> Host:
    """Return the machine that measures; `load` is that before the measurement, if this is after."""
    import torch  # here alone: a process that imported it is large, and so are those it forks

    from bench.training.devices import choose_device, count_cores, describe_machine

    machine = describe_machine(choose_device("auto"))
    return Host(
        processor=machine.processor,
        cores=count_cores(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        system=machine.system,
        python=machine.python,
        torch=machine.torch,
        commit=machine.commit[:7] + ("+" if _is_changed() else "") if machine.commit else None,
        measured=datetime.now(UTC).date().isoformat(),
        load=read_load() if load is None else load,
    )


def read_load() -> float:
    """Return the mean number of busy processes over the last minute."""
    return round(os.getloadavg()[0], 1)


def _is_changed() -> bool:
    """Say whether what is measured differs from the commit; results that are new do not count."""
    command = ["git", "status", "--porcelain", "--", "bench", "models"]
    return bool(subprocess.run(command, cwd=PERF.parents[1], capture_output=True).stdout)


def count(number: int, noun: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def read_result(path: Path, kind: type[Result]) -> Result:
    """Read a stored result.

    Raises:
        BenchError: the file cannot be read, or is not a result of this kind.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise BenchError(
            f"{path}: not {kind.__name__} as stored ({error}); measure again"
        ) from error


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON that a reader can follow in a diff.

    Raises:
        BenchError: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(result), indent=2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text + b"\n")
    except OSError as error:
        raise BenchError(f"{path}: cannot be written ({error.strerror})") from error
