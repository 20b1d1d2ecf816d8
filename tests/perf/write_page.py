"""Write the figures of docs/performance.md with its picture, and of docs/scaling.md, as stored.

A block starts with `<!-- NAME -->` and ends with `<!-- /NAME -->`; what stands outside of blocks is
written by hand. With `--check` nothing is written, and the exit code is 1 on a difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench.documents import replace_block
from perf.measure_cluster import find_efficiencies, find_overhead, group_by_kind
from perf.measure_million import BUDGETS, MOST_PAGE_MEBIBYTES
from perf.measure_ratio import find_ratios
from perf.picture import draw_seeds
from perf.simulate import read_costs, tabulate
from perf.stored import (
    BASELINES,
    RESULTS,
    Benchmarks,
    ClusterCost,
    Host,
    JudgeCosts,
    Memory,
    Million,
    Phase,
    Probe,
    ProbeRow,
    ReportCost,
    Steps,
    Timing,
    Timings,
    count,
    read_result,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
SCALING = DOCUMENT.with_name("scaling.md")
PICTURE = "performance.svg"
HELP = "start_up_of_help"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or check it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python tests/perf --page", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    options = parser.parse_args(arguments)
    written = compose(DOCUMENT) | compose_scaling(SCALING)
    stale = [path for path, text in written.items() if not _holds(path, text)]
    for path in stale:
        if options.check:
            print(f"{path.name} differs from the stored results: run nox -s perf -- --page")
        else:
            path.write_text(written[path], encoding="utf-8", newline="\n")
            print(f"{path.name} written")
    return int(options.check and bool(stale))


def compose(
    document: Path, results: Path = RESULTS, baselines: Path = BASELINES
) -> dict[Path, str]:
    """Return the document and its picture as they should be, by path."""
    text = document.read_text(encoding="utf-8")
    for name, write in BLOCKS.items():
        text = replace_block(text, name, partial(write, results))
    for name, summarise in BASELINE_BLOCKS.items():
        text = replace_block(text, name, partial(summarise, baselines))
    written = {document: text}
    if (results / "seeds.json").exists():
        seeds = read_result(results / "seeds.json", Timings)
        written[document.with_name(PICTURE)] = draw_seeds(seeds)
    return written


def compose_scaling(document: Path, results: Path = RESULTS) -> dict[Path, str]:
    """Return the document on scaling as it should be, by path."""
    text = document.read_text(encoding="utf-8")
    for name, write in SCALING_BLOCKS.items():
        text = replace_block(text, name, partial(write, results))
    return {document: text}


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def write_ratio(results: Path) -> str:
    """Return runs per minute and the ratio over short runs."""
    return _write_timings(results / "ratio.json", "nox -s perf -- --ratio")


def write_whole(results: Path) -> str:
    """Return the same of whole runs."""
    return _write_timings(results / "ratio_whole.json", "nox -s perf -- --ratio --whole")


def write_gpu_ratio(results: Path) -> str:
    """Return the same of whole runs on a GPU."""
    return _write_timings(
        results / "ratio_whole_gpu.json", "nox -s perf -- --ratio --whole --device cuda"
    )


def _write_timings(path: Path, command: str) -> str:
    if not path.exists():
        return _not_measured(command)
    measured = read_result(path, Timings)
    first = measured.engines[0]
    rows: list[tuple[str, ...]] = [
        ("engine", "workers", "runs", "wall time", "per run", "runs per minute", f"to {first}"),
        ("---", *("---:",) * 6),
    ]
    rows += [_list_engine(measured, engine) for engine in measured.engines]
    repetitions = len(measured.of(first))
    spread = ", median (least to most)" if repetitions > 1 else ""
    return (
        f"{_write_table(rows)}\n\n{measured.iteration}, {count(measured.epochs, 'epoch')} a run, "
        f"{count(repetitions, 'repetition')}{spread}. {describe(measured.host)}"
    )


def _list_engine(measured: Timings, engine: str) -> tuple[str, ...]:
    timings = measured.of(engine)
    return (
        engine,
        str(timings[0].workers),
        str(timings[0].runs),
        _spread([t.seconds for t in timings], " s", 1),
        _spread([t.seconds / t.runs for t in timings], " s", 1),
        _spread([t.runs_per_minute for t in timings], "", 2),
        _spread(find_ratios(measured, engine), "", 2) if engine != measured.engines[0] else "1",
    )


def _spread(figures: Sequence[float], unit: str, decimals: int) -> str:
    middle = f"{median(figures):.{decimals}f}{unit}"
    if len(figures) == 1:
        return middle
    return f"{middle} ({min(figures):.{decimals}f} to {max(figures):.{decimals}f})"


def write_seeds(results: Path) -> str:
    """Return the picture of wall time against seeds, and the same figures as a table."""
    path = results / "seeds.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --seeds-curve")
    measured = read_result(path, Timings)
    seeds = sorted({timing.runs for timing in measured.timings})
    rows = [("engine", "workers", *(count(number, "seed") for number in seeds))]
    rows.append(("---", *("---:",) * (len(seeds) + 1)))
    for engine in measured.engines:
        timings = {timing.runs: timing for timing in measured.of(engine)}
        workers = str(measured.of(engine)[0].workers)
        rows.append((engine, workers, *(_write_seconds(timings.get(n)) for n in seeds)))
    return (
        f"![{describe_curve(measured)}]({PICTURE})\n\n{_write_table(rows)}\n\n"
        f"{measured.iteration}, {count(measured.epochs, 'epoch')} a run. {describe(measured.host)}"
    )


def describe_curve(measured: Timings) -> str:
    """Return what the picture shows, in words."""
    ends = []
    for engine in measured.engines:
        last = max(measured.of(engine), key=lambda timing: timing.runs)
        ends.append(f"{engine} {last.seconds:.0f} s for {count(last.runs, 'seed')}")
    return f"Wall time of bench run against the number of seeds: {', '.join(ends)}"


def _write_seconds(timing: Timing | None) -> str:
    return f"{timing.seconds:.1f} s" if timing else "-"


def write_memory(results: Path) -> str:
    """Return the peak of each engine's worker, and of torch alone."""
    path = results / "memory.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --memory")
    measured = read_result(path, Memory)
    alone = measured.torch_mebibytes
    rows = [
        ("process", "peak", "beyond torch"),
        ("---", "---:", "---:"),
        ("torch and a small step", f"{alone:,.0f} MiB", "-"),
    ]
    rows += [
        (f"worker, {engine} engine", f"{peak:,.0f} MiB", f"{peak - alone:,.0f} MiB")
        for engine, peak in measured.worker_mebibytes.items()
    ]
    return f"{_write_table(rows)}\n\n{describe(measured.host)}"


def write_steps(results: Path) -> str:
    """Return images per second of a training step, way by way."""
    path = results / "steps.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --steps")
    measured = read_result(path, Steps)
    first = measured.steps[0].images_per_second
    rows = [
        ("way", "images per second", "to the first", "until the first step"),
        ("---", "---:", "---:", "---:"),
    ]
    rows += [
        (
            step.way,
            f"{step.images_per_second:,}",
            f"{step.images_per_second / first:.2f}",
            f"{step.preparing_seconds:.1f} s",
        )
        for step in measured.steps
    ]
    return f"{_write_table(rows)}\n\n{describe(measured.host)}"


def write_judge(results: Path) -> str:
    """Return processor time and memory of judging, by size of the ledger."""
    path = results / "judge.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --judge")
    measured = read_result(path, JudgeCosts)
    rows = [
        ("runs", "ledger", "output", "processor time", "per run", "peak memory"),
        ("---:", "---:", "---", "---:", "---:", "---:"),
    ]
    rows += [
        (
            f"{judging.runs:,}",
            f"{judging.ledger_bytes / 1e6:,.0f} MB",
            judging.layout,
            f"{judging.cpu_seconds:.2f} s",
            f"{1e6 * judging.cpu_seconds / judging.runs:,.0f} µs",
            f"{judging.peak_mebibytes:,.0f} MiB",
        )
        for judging in measured.judgings
    ]
    return (
        f"{_write_table(rows)}\n\nTen iterations, 15 epochs a run. The floor on the same machine: "
        f"{measured.hashing_seconds:.2f} s to hash 1 GB of lines and "
        f"{measured.skipping_seconds:.2f} s to skip through it as JSON. {describe(measured.host)}"
    )


def write_report(results: Path) -> str:
    """Return what the page of a large ledger costs, beside its budget."""
    path = results / "report.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --report")
    cost = read_result(path, ReportCost)
    rows = [
        ("what", "measured", "budget"),
        ("---", "---:", "---:"),
        ("read, judge and write, by the clock", f"{cost.seconds:.2f} s", "5 s"),
        ("the same, processor time", f"{cost.cpu_seconds:.2f} s", "-"),
        ("peak memory", f"{cost.peak_mebibytes:,.0f} MiB", "-"),
        ("size of the page", f"{cost.mebibytes:.2f} MiB", "6 MiB"),
        ("opening, until it listens", f"{cost.ready_seconds:.2f} s", "2 s"),
        ("opening, until its first charts are drawn", f"{cost.drawn_seconds:.2f} s", "2 s"),
        ("pointing, until the seed is lit", f"{cost.pointing_milliseconds:.0f} ms", "-"),
    ]
    return (
        f"{_write_table(rows)}\n\n{cost.runs:,} runs x {count(cost.iterations, 'iteration')}, a "
        f"ledger of {cost.ledger_bytes / 1e6:,.0f} MB. {cost.browser}, 1440 x 900. "
        f"{describe(cost.host)}"
    )


def write_cluster(results: Path) -> str:
    """Return wall time by Ray beside that of the local pool, and the overhead of a run."""
    path = results / "cluster.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --cluster")
    measured = read_result(path, ClusterCost)
    rows: list[tuple[str, ...]] = [
        ("runs", "epochs", "images", "local pool", "Ray"),
        ("---:", "---:", "---", "---:", "---:"),
    ]
    rows += [
        (str(runs), str(epochs), dataset, _spread(pool, " s", 1), _spread(cluster, " s", 1))
        for (dataset, runs, epochs), (pool, cluster) in group_by_kind(measured).items()
    ]
    ratios, overhead = find_efficiencies(measured), find_overhead(measured)
    return (
        f"{_write_table(rows)}\n\n{measured.iteration}, {count(measured.workers, 'worker')}, "
        f"{count(len(ratios), 'repetition')}, median (least to most). Efficiency of the long runs: "
        f"{_spread(ratios, '', 3)}. Overhead of a run: {1e3 * overhead:.0f} ms of its core. "
        f"Ray {measured.ray}; {describe(measured.host)}"
    )


def write_million(results: Path) -> str:
    """Return what a ledger of a million runs costs, beside its budgets."""
    path = results / "million.json"
    if not path.exists():
        return _not_measured("nox -s perf -- --million")
    million = read_result(path, Million)
    rows = [
        ("what", "processor time", "by the clock", "peak memory", "budget"),
        ("---", *("---:",) * 4),
        *(_list_phase(phase) for phase in million.phases),
        ("size of the page", f"{million.page_mebibytes:.2f} MiB", "-", "-",
         f"{MOST_PAGE_MEBIBYTES:g} MiB"),
        ("append a run", "-", f"{million.append_milliseconds:.2f} ms", "-", "-"),
        (f"append {million.unit} at once, each", "-",
         f"{million.append_in_unit_milliseconds:.2f} ms", "-", "-"),
    ]  # fmt: skip
    return (
        f"{_write_table(rows)}\n\n{million.runs:,} runs, a ledger of "
        f"{million.ledger_bytes / 1e9:.1f} GB. {describe(million.host)}"
    )


def _list_phase(phase: Phase) -> tuple[str, ...]:
    seconds, mebibytes = BUDGETS.get(phase.name, (None, None))
    budgets = [f"{seconds:g} s" if seconds else "", f"{mebibytes:,.0f} MiB" if mebibytes else ""]
    return (
        f"`bench {phase.name.replace(': ', '`: ')}" + ("" if ": " in phase.name else "`"),
        f"{phase.cpu_seconds:.1f} s",
        f"{phase.seconds:.1f} s",
        f"{phase.peak_mebibytes:,.0f} MiB",
        ", ".join(filter(None, budgets)) or "-",
    )


def write_simulation(results: Path) -> str:
    """Return how campaigns on many GPUs go by the model, with the measured costs."""
    if not all((results / f"{name}.json").exists() for name in ("million", "cluster")):
        return _not_measured("nox -s perf -- --million` and `nox -s perf -- --cluster")
    costs = read_costs(results)
    head, *rows = tabulate(costs)
    align = tuple("---" if name == "met first" else "---:" for name in head)
    return (
        f"{_write_table([head, align, *rows])}\n\nBlocks of {costs.unit} runs; "
        f"{1e3 * costs.dispatch:.0f} ms of the driver a block, {1e3 * costs.append:.2f} ms for a "
        f"run to be on disk ({1e3 * costs.append_alone:.2f} ms one by one), "
        f"{1e6 * costs.judging:.0f} µs to judge a run and {1e6 * costs.page:.0f} µs for the page."
    )


def write_gpu(results: Path) -> str:
    """Return what the GPU probe found, a row a case."""
    path = results / "gpu_probe.json"
    if not path.exists():
        return (
            "No GPU has been measured yet. On a machine with one, this measures and stores it:\n\n"
            "<!-- not executed: needs a GPU -->\n```sh\nnox -s perf -- --gpu-probe\n```"
        )
    found = read_result(path, Probe)
    rows: list[tuple[str, ...]] = [
        ("method", "seeds", "precision", "step", "evaluation", "runs per minute", "peak memory"),
        ("---", "---:", "---", *("---:",) * 4),
    ]
    rows += [_list_case(row) for row in found.rows]
    return f"{_write_table(rows)}\n\n{found.device}."


def _list_case(row: ProbeRow) -> tuple[str, ...]:
    named = (row.case.method, f"{row.case.width:,}", row.case.precision)
    if row.failure is not None:
        return (*named, row.failure, "-", "-", "-")
    return (
        *named,
        _write_figure(row.step_milliseconds, ".2f", " ms"),
        _write_figure(row.evaluation_milliseconds, ".1f", " ms"),
        _write_figure(row.runs_a_minute, ",.1f", ""),
        _write_figure(row.peak_mebibytes, ",.0f", " MiB"),
    )


def _write_figure(figure: float | None, form: str, unit: str) -> str:
    return "-" if figure is None else f"{figure:{form}}{unit}"


def write_start_up(baselines: Path) -> str:
    """Return how soon `bench --help` answers, on each machine with a baseline."""
    sentences = []
    for run in _read_baselines(baselines):
        helping = run.benchmarks.get(HELP)
        if helping is not None and helping.clock_seconds is not None:
            sentences.append(
                f"`bench --help` answers in {helping.clock_seconds:.2f} s by the clock on "
                f"{run.host.processor} with {count(run.host.cores, 'core')}."
            )
    return "\n".join(sentences) or _not_measured("nox -s perf -- --update-baseline")


def write_benchmarks(baselines: Path) -> str:
    """Return the benchmarks of each machine with a baseline."""
    tables = [_write_baseline(run) for run in _read_baselines(baselines)]
    return "\n\n".join(tables) or _not_measured("nox -s perf -- --update-baseline")


def _write_baseline(run: Benchmarks) -> str:
    rows = [("benchmark", "processor time", "to the reference"), ("---", "---:", "---:")]
    rows += [
        (f"`{name}`", f"{1e3 * each.seconds:,.0f} ms", f"{each.relative:,.1f}")
        for name, each in run.benchmarks.items()
    ]
    skipped = [f"Skipped: `{name}` ({reason})." for name, reason in run.skipped.items()]
    return "\n\n".join([_write_table(rows), *skipped, describe(run.host)])


def _read_baselines(folder: Path) -> Iterable[Benchmarks]:
    return [read_result(path, Benchmarks) for path in sorted(folder.glob("*.json"))]


def describe(host: Host) -> str:
    """Return machine, versions and date as a sentence."""
    processor = ", ".join([host.processor, count(host.cores, "core"), *filter(None, [host.gpu])])
    commit = f", commit {host.commit}" if host.commit else ""
    return (
        f"{processor}; {host.system}, Python {host.python}, "
        f"torch {host.torch}; {host.measured}{commit}; {host.load:.1f} other processes busy."
    )


def _not_measured(command: str) -> str:
    return f"Not measured yet: `{command}`."


def _write_table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "ratio": write_ratio,
    "whole": write_whole,
    "seeds": write_seeds,
    "steps": write_steps,
    "memory": write_memory,
    "judge": write_judge,
    "report": write_report,
    "gpu": write_gpu,
    "gpu-ratio": write_gpu_ratio,
}
SCALING_BLOCKS: dict[str, Callable[[Path], str]] = {
    "cluster": write_cluster,
    "million": write_million,
    "simulation": write_simulation,
}
BASELINE_BLOCKS: dict[str, Callable[[Path], str]] = {
    "start-up": write_start_up,
    "benchmarks": write_benchmarks,
}
