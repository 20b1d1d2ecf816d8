"""Run the benchmarks and compare them with the baseline of this kind of machine.

A benchmark is slower when its processor time, in units of a reference workload that is timed just
before every round, exceeds the baseline's by more than the threshold, in the fastest round as well
as in the median one: what our code causes shows in both, and a busy machine seldom. Two kinds of
machine are never compared: each has a baseline of its own, named by processor, cores and GPU. A
benchmark that the baseline lacks, or that the run lacks, is an error too, unless it was skipped
with a reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.errors import BenchError
from perf.stored import BASELINES, PERF, Benchmark, Benchmarks, Host, read_result, write_result

THRESHOLD = 25.0
"""Per cent."""

DIGITS = 5
"""Significant digits that are stored of a time."""


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks, compare or store them; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python tests/perf",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="per cent [%(default)s]")
    parser.add_argument("--update-baseline", action="store_true", help="store, compare nothing")
    parser.add_argument("--baseline", type=Path, help="file [baselines/KIND-OF-MACHINE.json]")
    parser.add_argument("--run", type=Path, help="compare a stored run instead of measuring")
    parser.add_argument("-k", dest="select", help="only these benchmarks, as pytest's -k")
    options = parser.parse_args(arguments)
    if options.select and options.update_baseline:
        parser.error("-k with --update-baseline: a baseline is of all benchmarks")
    run = read_result(options.run, Benchmarks) if options.run else measure(options.select)
    path = options.baseline or BASELINES / f"{run.host.kind}.json"
    if options.update_baseline:
        write_result(path, run)
        print(f"baseline: {path}")
        return 0
    return report(run, find_baseline(path, run.host), options.threshold, partial=options.select)


def measure(select: str | None = None) -> Benchmarks:
    """Run the benchmarks with pytest-benchmark and keep of its report what is compared.

    Raises:
        BenchError: a benchmark failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", str(PERF / "benchmarks.py")]
        command += ["-q", "-p", "no:cacheprovider", "-W", "ignore", f"--benchmark-json={report}"]
        command += ["-k", select] if select else []
        code = subprocess.run(command, cwd=PERF.parents[1], check=False).returncode
        if code:
            raise BenchError(f"pytest ended with exit code {code}; nothing is compared or stored")
        return condense(json.loads(report.read_text(encoding="utf-8")))


def condense(report: dict[str, Any]) -> Benchmarks:
    """Return what is kept of a report of pytest-benchmark."""
    return Benchmarks(
        host=msgspec.convert(report["machine_info"]["host"], Host),
        benchmarks={
            each["name"].removeprefix("test_"): Benchmark(
                seconds=_round(each["stats"]["min"]),
                reference_seconds=_round(min(each["extra_info"]["references"])),
                relative=_round(relate(each["stats"]["data"], each["extra_info"]["references"])),
                clock_seconds=_round(each["extra_info"].get("clock_seconds")),
            )
            for each in report["benchmarks"]
        },
        skipped={name.removeprefix("test_"): reason for name, reason in report["skipped"].items()},
    )


def relate(rounds: Sequence[float], references: Sequence[float]) -> float:
    """Return the median time of a round in units of the reference workload just before it."""
    return median(each / reference for each, reference in zip(rounds, references, strict=True))


def _round(seconds: float | None) -> Any:
    return None if seconds is None else float(f"{seconds:.{DIGITS}g}")


def find_baseline(path: Path, host: Host) -> Benchmarks:
    """Return the baseline of this kind of machine.

    Raises:
        BenchError: there is none, or it is of another kind.
    """
    if not path.exists():
        raise BenchError(
            f"{path}: no baseline for {host.processor} with {host.cores} cores; "
            "measure one on the quiet machine with --update-baseline"
        )
    baseline = read_result(path, Benchmarks)
    if baseline.host.kind != host.kind:
        raise BenchError(
            f"{path}: measured on {baseline.host.kind}, and this is {host.kind}; seconds of "
            "different machines are not compared"
        )
    return baseline


def report(
    run: Benchmarks, baseline: Benchmarks, threshold: float, *, partial: object = None
) -> int:
    """Print each change and each complaint on a line; return the exit code.

    Of a `partial` run nobody expects all benchmarks.
    """
    for name in sorted(run.benchmarks.keys() & baseline.benchmarks.keys()):
        change = find_change(run.benchmarks[name], baseline.benchmarks[name])
        print(f"{name}: {change:+.0f} % against the baseline")
    complaints = [*find_regressions(run, baseline, threshold), *find_unknown(run, baseline)]
    if not partial:
        complaints += find_missing(run, baseline)
    for complaint in complaints:
        print(f"perf: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def find_change(now: Benchmark, before: Benchmark) -> float:
    """Return by how many per cent a benchmark takes longer, in units of the reference workload.

    The smaller of two changes: that of the fastest round, and that of the median one.
    """
    fastest = (now.seconds / now.reference_seconds) / (before.seconds / before.reference_seconds)
    return 100.0 * (min(fastest, now.relative / before.relative) - 1.0)


def find_regressions(run: Benchmarks, baseline: Benchmarks, threshold: float) -> Iterator[str]:
    """Say which benchmarks became slower by more than the threshold, in per cent."""
    for name, now in run.benchmarks.items():
        before = baseline.benchmarks.get(name)
        if before is not None and (change := find_change(now, before)) > threshold:
            yield (
                f"{name}: {change:.0f} % slower than the baseline, more than {threshold:g} % "
                f"({before.seconds:.3g} s, now {now.seconds:.3g} s; "
                f"{before.relative:.3g} times the reference workload, now {now.relative:.3g})"
            )


def find_unknown(run: Benchmarks, baseline: Benchmarks) -> Iterator[str]:
    """Say which benchmarks the baseline lacks."""
    for name in sorted(run.benchmarks.keys() - baseline.benchmarks.keys()):
        yield f"{name}: not in the baseline; measure it again with --update-baseline"


def find_missing(run: Benchmarks, baseline: Benchmarks) -> Iterator[str]:
    """Say which benchmarks of the baseline were neither run nor skipped with a reason."""
    known = run.benchmarks.keys() | run.skipped.keys()
    for name in sorted(baseline.benchmarks.keys() - known):
        yield f"{name}: in the baseline and not in this run; was it renamed or deleted?"
