"""Comparing with a baseline, and the page: on planted results, nothing here is timed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from perf import compare, measure_ratio, write_page
from perf.__main__ import main as perform
from perf.engines import default_engines, parse_engines, settle_loader_workers
from perf.measure_memory import list_descendants, read_peak
from perf.measure_million import find_excess
from perf.measure_ratio import find_ratios, interleave
from perf.picture import choose_ticks, draw_seeds, spread_labels
from perf.runs import compose, time_run
from perf.simulate import Costs, simulate
from perf.stored import (
    BASELINES,
    RESULTS,
    Benchmark,
    Benchmarks,
    ClusterCost,
    ClusterTiming,
    Host,
    JudgeCosts,
    Judging,
    Memory,
    Million,
    Phase,
    ReportCost,
    Step,
    Steps,
    Timing,
    Timings,
    read_result,
    write_result,
)

from bench.errors import BenchError
from bench.training import stacked

ROOT = Path(__file__).parent.parent
HOST = Host(
    processor="Example CPU",
    cores=2,
    gpu=None,
    system="Linux x86_64",
    python="3.11.9",
    torch="2.13.0",
    commit="0123456",
    measured="2026-01-02",
    load=0.0,
)


def make_run(
    *, host: Host = HOST, skipped: dict[str, str] | None = None, **relative: float
) -> Benchmarks:
    """Return a run whose benchmarks take so many times the reference workload of 10 ms."""
    return Benchmarks(
        host=host,
        benchmarks={
            name: Benchmark(seconds=each / 100, reference_seconds=0.01, relative=each)
            for name, each in relative.items()
        },
        skipped=skipped or {},
    )


def make_timings(*seconds: tuple[str, int, float]) -> Timings:
    """Return timings of an engine, so many runs and seconds each."""
    return Timings(
        host=HOST,
        iteration="iteration_4",
        epochs=1,
        timings=tuple(
            Timing(engine=engine, workers=runs, runs=runs, seconds=each)
            for engine, runs, each in seconds
        ),
    )


def compare_planted(folder: Path, run: Benchmarks, baseline: Benchmarks, *options: str) -> int:
    """Compare two planted files on the command line; return the exit code."""
    write_result(folder / "run.json", run)
    write_result(folder / "baseline.json", baseline)
    named = ("--run", str(folder / "run.json"), "--baseline", str(folder / "baseline.json"))
    return compare.main([*named, *options])


def test_a_change_within_the_threshold_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare_planted(tmp_path, make_run(judge=11.9), make_run(judge=10.0)) == 0

    printed = capsys.readouterr()
    assert printed.out == "judge: +19 % against the baseline\n"
    assert printed.err == ""


def test_a_regression_fails_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, baseline = make_run(judge=13.0, page=5.0), make_run(judge=10.0, page=5.0)

    assert compare_planted(tmp_path, run, baseline) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("perf: judge: 30 % slower than the baseline, more than 25 %")


def test_a_busy_machine_is_no_regression(tmp_path: Path) -> None:
    """Twice the seconds, but of the reference workload as well."""
    slow = Benchmarks(
        host=HOST,
        benchmarks={"judge": Benchmark(seconds=0.2, reference_seconds=0.02, relative=10.0)},
        skipped={},
    )
    assert compare_planted(tmp_path, slow, make_run(judge=10.0)) == 0


@pytest.mark.parametrize(("seconds", "relative"), [(0.1, 15.0), (0.15, 10.0)])
def test_a_regression_shows_in_the_fastest_and_in_the_median_round(
    tmp_path: Path, seconds: float, relative: float
) -> None:
    """One of them alone is the machine."""
    uneven = Benchmark(seconds=seconds, reference_seconds=0.01, relative=relative)
    run = Benchmarks(host=HOST, benchmarks={"judge": uneven})
    assert compare_planted(tmp_path, run, make_run(judge=10.0)) == 0


def test_the_threshold_can_be_chosen(tmp_path: Path) -> None:
    run, baseline = make_run(judge=12.0), make_run(judge=10.0)
    assert compare_planted(tmp_path, run, baseline, "--threshold", "10") == 1


def test_a_benchmark_that_the_baseline_lacks_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, baseline = make_run(judge=10.0, page=5.0), make_run(judge=10.0)

    assert compare_planted(tmp_path, run, baseline) == 1

    assert "perf: page: not in the baseline" in capsys.readouterr().err


def test_a_benchmark_that_the_run_lacks_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, baseline = make_run(judge=10.0), make_run(judge=10.0, page=5.0)

    assert compare_planted(tmp_path, run, baseline) == 1
    assert "perf: page: in the baseline and not in this run" in capsys.readouterr().err

    assert compare_planted(tmp_path, run, baseline, "-k", "judge") == 0


def test_a_benchmark_skipped_with_a_reason_may_be_missing(tmp_path: Path) -> None:
    run = make_run(judge=10.0, skipped={"page": "no CUDA device"})
    assert compare_planted(tmp_path, run, make_run(judge=10.0, page=5.0)) == 0


def test_machines_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    other = Host(**{name: getattr(HOST, name) for name in HOST.__struct_fields__} | {"cores": 8})
    with pytest.raises(BenchError, match="example-cpu-2-cores, and this is example-cpu-8-cores"):
        compare_planted(tmp_path, make_run(host=other, judge=10.0), make_run(judge=10.0))


@pytest.mark.parametrize("content", ["", "[]", '{"host": {}}', '{"benchmarks": {"judge": 3}}'])
def test_a_malformed_file_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run = tmp_path / "run.json"
    run.write_text(content)

    assert perform(["--run", str(run)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"perf: error: {run}: not Benchmarks as stored")


def test_a_machine_without_baseline_is_told_how_to_make_one(tmp_path: Path) -> None:
    write_result(tmp_path / "run.json", make_run(judge=10.0))
    with pytest.raises(BenchError, match=r"no baseline for Example CPU with 2 cores.*--update"):
        compare.main(
            ["--run", str(tmp_path / "run.json"), "--baseline", str(tmp_path / "none.json")]
        )


def test_a_baseline_is_written_and_then_holds(tmp_path: Path) -> None:
    write_result(tmp_path / "run.json", make_run(judge=10.0))
    named = ["--run", str(tmp_path / "run.json"), "--baseline", str(tmp_path / "new" / "b.json")]

    assert compare.main([*named, "--update-baseline"]) == 0
    assert compare.main(named) == 0


def test_of_a_report_the_fastest_round_and_the_median_ratio_are_kept() -> None:
    report = {
        "machine_info": {"host": {n: getattr(HOST, n) for n in HOST.__struct_fields__}},
        "benchmarks": [
            {
                "name": "test_judge[1,000]",
                "stats": {"min": 0.0100004, "data": [0.02, 0.0100004, 0.04]},
                "extra_info": {"references": [0.002, 0.002, 0.002]},
            }
        ],
        "skipped": {"test_page": "no reason"},
    }

    run = compare.condense(report)

    assert run.benchmarks == {
        "judge[1,000]": Benchmark(seconds=0.01, reference_seconds=0.002, relative=10.0)
    }
    assert run.skipped == {"page": "no reason"}


def test_committed_baselines_are_of_the_machines_they_are_named_by() -> None:
    for path in BASELINES.glob("*.json"):
        assert read_result(path, Benchmarks).host.kind == path.stem


def test_the_ratio_is_of_runs_per_minute_by_repetition() -> None:
    """One run in 30 s against two runs in 10 s is six times as many runs per minute."""
    timings = make_timings(
        ("plain", 1, 30.0), ("native", 2, 10.0), ("native", 2, 20.0), ("plain", 1, 30.0)
    )
    assert find_ratios(timings, "native") == pytest.approx([6.0, 3.0])


def test_ratios_are_printed_and_their_timings_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole commands are replaced by known times: 60 s a plain run, 20 s for a run a core."""

    def time_known(
        plan: Sequence[tuple[str, int]], *, epochs: int, time_one: object
    ) -> tuple[Timing, ...]:
        return tuple(
            Timing(engine=engine, workers=seeds, runs=seeds, seconds=60.0 if seeds == 1 else 20.0)
            for engine, seeds in plan
        )

    monkeypatch.setattr(measure_ratio, "time_each", time_known)
    monkeypatch.setattr(measure_ratio, "count_runs", {"plain": 1, "native": 4}.__getitem__)
    monkeypatch.setattr(measure_ratio, "settle_loader_workers", lambda *_: None)
    output = tmp_path / "ratio.json"

    measure_ratio.main(["--engines", "plain,native", "--epochs", "2", "--output", str(output)])

    line = "native : plain = 12.00, 12.00, 12.00; min 12.00, median 12.00, max 12.00\n"
    assert capsys.readouterr().out == line
    stored = read_result(output, Timings)
    assert stored.epochs == 2
    assert len(stored.timings) == 6


def test_a_command_trains_real_mnist_into_a_folder_of_its_own(tmp_path: Path) -> None:
    command = " ".join(compose("eager", seeds=3, epochs=2, folder=tmp_path))
    assert " -m bench run iteration_4 " in command
    assert " --seeds 3 --epochs 2 --dataset mnist " in command
    assert f" --ledger {tmp_path / 'ledger'} --page {tmp_path / 'index.html'}" in command


def test_a_gpu_is_measured_with_a_whole_block(tmp_path: Path) -> None:
    """The same command with another device; the plain engine trains one run there too."""
    assert default_engines("cuda") == "plain,stacked"
    assert interleave(["plain", "stacked"], 1) == [("plain", 1), ("stacked", stacked.WIDTH)]
    command = " ".join(
        compose("stacked", seeds=stacked.WIDTH, epochs=1, folder=tmp_path, device="cuda")
    )
    assert f" --engine stacked --workers 1 --seeds {stacked.WIDTH} " in command
    assert " --device cuda " in command


def test_a_command_that_fails_is_one_line() -> None:
    with pytest.raises(BenchError, match=r"with the eager engine: .*'--epochs': 0 is not"):
        time_run("eager", seeds=1, epochs=0)


def test_engines_are_interleaved_to_and_fro() -> None:
    order = [engine for engine, _ in interleave(["plain", "eager"], 3)]
    assert order == ["plain", "eager", "eager", "plain", "plain", "eager"]


def test_engines_are_those_that_train_on_a_cpu() -> None:
    assert parse_engines("eager, plain,eager") == ("eager", "plain")
    with pytest.raises(BenchError, match="no such engine; choose from plain, eager, nat"):
        parse_engines("plain,quick")


def test_loader_workers_are_measured_only_where_nobody_set_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_LOADER_WORKERS", "7")
    settle_loader_workers(["plain"])
    assert os.environ["BENCH_LOADER_WORKERS"] == "7"
    monkeypatch.delenv("BENCH_LOADER_WORKERS")
    settle_loader_workers(["eager"])
    assert "BENCH_LOADER_WORKERS" not in os.environ


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="peaks are read from /proc")
def test_the_peak_of_a_descendant_is_found() -> None:
    program = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', \"print('up', flush=True); input()\"])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        peaks = [read_peak(pid) for pid in list_descendants(process.pid)]
        process.communicate(b"\n")

    assert len(peaks) == 1
    assert peaks[0] > 1024
    assert read_peak(process.pid) == 0


@pytest.mark.parametrize("longest", [0.7, 1.0, 9.9, 42.0, 600.0])
def test_ticks_are_few_and_within_the_axis(longest: float) -> None:
    ticks = choose_ticks(longest)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] <= longest


def test_names_of_lines_do_not_overlap() -> None:
    assert spread_labels([100.0, 20.0, 104.0]) == [100.0, 20.0, 116.0]


def test_the_picture_names_every_engine() -> None:
    picture = draw_seeds(make_timings(("plain", 1, 30.0), ("plain", 2, 60.0), ("eager", 2, 20.0)))
    assert picture.count("<polyline") == 2
    assert ">plain</text>" in picture
    assert ">eager</text>" in picture
    assert "<desc" in picture


STEPS = Steps(
    host=HOST,
    steps=(
        Step(way="as it comes", images_per_second=3_000, preparing_seconds=0.1),
        Step(way="made for it", images_per_second=9_000, preparing_seconds=4.5),
    ),
)


MILLION = Million(
    host=HOST,
    runs=1_000_000,
    ledger_bytes=9_000_000_000,
    phases=(
        Phase(name="judge", seconds=70.0, cpu_seconds=42.0, peak_mebibytes=1_200),
        Phase(name="report: read and judge", seconds=80.0, cpu_seconds=75.0, peak_mebibytes=2_000),
        Phase(
            name="report: render and write", seconds=20.0, cpu_seconds=15.0, peak_mebibytes=2_000
        ),
    ),
    page_bytes=1 << 20,
    unit=64,
    append_milliseconds=2.0,
    append_in_unit_milliseconds=0.25,
)
CLUSTER = ClusterCost(
    host=HOST,
    ray="2.0",
    workers=2,
    iteration="iteration_4",
    timings=tuple(
        ClusterTiming(side=side, dataset="digits", runs=runs, epochs=epochs, seconds=seconds)
        for side, runs, epochs, seconds in (
            *(("pool", 4, 1, 10.0), ("pool", 44, 1, 50.0), ("pool", 6, 15, 200.0)),
            *(("cluster", 4, 1, 11.0), ("cluster", 44, 1, 52.0), ("cluster", 6, 15, 210.0)),
        )
    ),
)
"""Forty more runs on two workers take a second longer by the cluster: 50 ms of a core each."""

COSTS = Costs(
    unit=10, training=0.6, dispatch=0.0, append=0.0, append_alone=0.0, judging=0.0, page=0.0
)


def plant_results(folder: Path) -> None:
    """Write one result of every kind."""
    short = make_timings(("plain", 1, 30.0), ("eager", 2, 10.0))
    for name in ("ratio", "ratio_whole", "ratio_whole_gpu", "seeds"):
        write_result(folder / f"{name}.json", short)
    write_result(
        folder / "memory.json",
        Memory(host=HOST, torch_mebibytes=300.0, worker_mebibytes={"eager": 700.0}),
    )
    write_result(folder / "steps.json", STEPS)
    judging = Judging(
        runs=1_000, ledger_bytes=9_000_000, layout="text", cpu_seconds=0.5, peak_mebibytes=58.0
    )
    write_result(
        folder / "judge.json",
        JudgeCosts(host=HOST, hashing_seconds=0.5, skipping_seconds=0.8, judgings=(judging,)),
    )
    write_result(
        folder / "report.json",
        ReportCost(
            host=HOST,
            iterations=8,
            runs=1_000,
            ledger_bytes=90_000_000,
            page_bytes=5 << 20,
            seconds=4.2,
            cpu_seconds=4.0,
            peak_mebibytes=300.0,
            browser="Chromium 1",
            ready_seconds=0.8,
            drawn_seconds=1.1,
            pointing_milliseconds=30.0,
        ),
    )
    write_result(folder / "million.json", MILLION)
    write_result(folder / "cluster.json", CLUSTER)
    case = {"method": "grouped", "width": 8, "precision": "fp32", "steps": 50}
    rows = [
        {"case": case, "step_milliseconds": 1.5, "runs_a_minute": 1234.5, "failure": None},
        {"case": case, "failure": "OutOfMemoryError"},
    ]
    (folder / "gpu_probe.json").write_text(json.dumps({"device": "Example GPU", "rows": rows}))


def test_every_block_of_the_page_shows_its_result(tmp_path: Path) -> None:
    plant_results(tmp_path)
    document = tmp_path / "page.md"
    names = (*write_page.BLOCKS, *write_page.BASELINE_BLOCKS)
    document.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names))
    benchmark = Benchmark(seconds=0.05, reference_seconds=0.0025, relative=20.0, clock_seconds=0.06)
    write_result(
        tmp_path / "baselines" / "one.json",
        Benchmarks(host=HOST, benchmarks={write_page.HELP: benchmark}),
    )

    written = write_page.compose(document, tmp_path, tmp_path / "baselines")

    text = written[document]
    assert "| eager | 2 | 2 | 10.0 s | 5.0 s | 12.00 | 6.00 |" in text
    assert "plain 30 s for 1 seed, eager 10 s for 2 seeds](performance.svg)" in text
    assert "| worker, eager engine | 700 MiB | 400 MiB |" in text
    assert "| made for it | 9,000 | 3.00 | 4.5 s |" in text
    assert "| 1,000 | 9 MB | text | 0.50 s | 500 µs | 58 MiB |" in text
    assert "| size of the page | 5.00 MiB | 6 MiB |" in text
    assert "1,000 runs x 8 iterations, a ledger of 90 MB. Chromium 1" in text
    assert "| grouped | 8 | fp32 | 1.50 ms | - | 1,234.5 | - |" in text
    assert "| grouped | 8 | fp32 | OutOfMemoryError | - | - | - |" in text
    assert "answers in 0.06 s by the clock on Example CPU with 2 cores" in text
    assert "Not measured yet" not in text


def test_the_page_on_scaling_shows_what_is_stored(tmp_path: Path) -> None:
    """A million runs beside their budgets, and campaigns by what they cost."""
    plant_results(tmp_path)
    document = tmp_path / "scaling.md"
    names = [name for name in write_page.SCALING_BLOCKS if name != "cluster"]
    document.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names))

    text = write_page.compose_scaling(document, tmp_path)[document]

    assert "| `bench judge` | 42.0 s | 70.0 s | 1,200 MiB | 60 s, 2,048 MiB |" in text
    assert "| `bench report`: render and write | 15.0 s | 20.0 s | 2,000 MiB | 30 s |" in text
    assert "1,000,000 runs, a ledger of 9.0 GB" in text
    assert "| 1,000,000 | 1,000 |" in text
    assert "50 ms of the driver a block" in text
    assert "0.25 ms for a run to be on disk (2.00 ms one by one)" in text
    assert "Not measured yet" not in text


def test_what_is_over_its_budget_is_told() -> None:
    """Seconds of the processor, memory, and the size of the page; nothing where all is kept."""
    slow = replace(MILLION.phases[0], cpu_seconds=61.0, peak_mebibytes=3_000)

    assert list(find_excess(MILLION)) == []
    assert list(find_excess(replace(MILLION, phases=(slow,), page_bytes=7 << 20))) == [
        "OVER: judge: 61.0 s, budget 60",
        "OVER: judge: 3,000 MiB, budget 2048",
        "OVER: a page of 7.00 MiB",
    ]


def test_gpus_that_wait_for_nothing_train_all_the_time() -> None:
    """1,000 runs of 0.6 s in blocks of ten: 600 s on one GPU, 60 s on ten."""
    for gpus, seconds in ((1, 600.0), (10, 60.0), (100, 6.0)):
        campaign = simulate(1_000, gpus, COSTS)
        assert campaign.wall == pytest.approx(seconds)
        assert campaign.efficiency == pytest.approx(1.0)
        assert campaign.met == "GPUs"


def test_a_driver_that_is_busier_than_the_gpus_is_what_they_wait_for() -> None:
    """100 units of 1 s of the driver take 100 s, however many GPUs there are."""
    appends = simulate(1_000, 100, dataclasses.replace(COSTS, append=0.1))
    assert appends.wall == pytest.approx(6.0 + 100.0)
    assert appends.met == "appends"
    assert simulate(1_000, 100, dataclasses.replace(COSTS, dispatch=1.0)).met == "hand-outs"


def test_by_hand_a_gpu_waits_while_its_block_is_recorded_and_the_next_handed_out() -> None:
    """Two blocks on one GPU: 1 + 6, 2 to record and 1 to hand out, 6, and 2 to record again."""
    campaign = simulate(20, 1, dataclasses.replace(COSTS, dispatch=1.0, append=0.2))
    assert campaign.trained == pytest.approx(1 + 6 + 2 + 1 + 6 + 2)
    assert campaign.busy == pytest.approx(6 / 18)


def test_what_is_met_first_is_named() -> None:
    """Blocks for a hundred of a thousand GPUs; and an end that takes as long as the training."""
    assert simulate(1_000, 1_000, COSTS).met == "fewer blocks than GPUs"
    assert simulate(1_000, 10, dataclasses.replace(COSTS, judging=0.06)).met == "judge and page"


def test_a_page_without_results_says_how_to_get_them(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("<!-- ratio -->\n<!-- /ratio -->\n<!-- gpu -->\n<!-- /gpu -->\n")
    text = write_page.compose(document, tmp_path, tmp_path)[document]
    assert "Not measured yet: `nox -s perf -- --ratio`." in text
    assert "nox -s perf -- --gpu-probe" in text


def test_the_committed_page_is_what_the_stored_results_give() -> None:
    """`nox -s perf -- --page` mends it."""
    written = write_page.compose(write_page.DOCUMENT, RESULTS, BASELINES)
    written |= write_page.compose_scaling(write_page.SCALING, RESULTS)
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, path


def test_the_page_has_every_block() -> None:
    text = write_page.DOCUMENT.read_text(encoding="utf-8")
    for name in (*write_page.BLOCKS, *write_page.BASELINE_BLOCKS):
        assert f"<!-- {name} -->" in text
        assert f"<!-- /{name} -->" in text
    scaling = write_page.SCALING.read_text(encoding="utf-8")
    for name in write_page.SCALING_BLOCKS:
        assert f"<!-- {name} -->" in scaling
        assert f"<!-- /{name} -->" in scaling


def test_help_lists_every_job() -> None:
    """And needs neither torch nor an installed package of ours: the folder is run as it is."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "perf"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for job in (
        "--update-baseline",
        "--ratio",
        "--seeds-curve",
        "--memory",
        "--judge",
        "--report",
        "--million",
        "--simulate",
        "--page",
    ):
        assert job in done.stdout
