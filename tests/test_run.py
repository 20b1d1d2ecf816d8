"""`bench run` from the command line: the same numbers on any number of workers, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from builders import CONDITIONS, SHAKY, STEADY, make_iteration, make_run
from processes import (
    BENCH,
    all_end,
    bench_run,
    children_of,
    command,
    heed_interrupts,
    ledger_file,
    read_runs,
    stable_lines,
    wait_for_runs,
)
from rich.console import Console

from bench.campaign import Campaign, Plan
from bench.challenges import DIGITS, MNIST
from bench.commands.run import _ask_for_more, _repeat, _say_what_next
from bench.foreign import find_iterations


@pytest.mark.parametrize("iteration", ["iteration_1", "iteration_4"])
def test_the_number_of_workers_changes_no_number(tmp_path: Path, iteration: str) -> None:
    """One worker and two write the same lines, but for time stamps and seconds."""
    lines = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        done = bench_run(
            folder, "--seeds", "3", "--epochs", "2", "--workers", workers, iteration=iteration
        )
        assert done.returncode == 0, done.stderr
        lines.append(stable_lines(folder, iteration))
    assert lines[0] == lines[1]
    assert [line["seed"] for line in lines[0]] == [0, 1, 2]


def test_neither_order_nor_process_changes_a_number(tmp_path: Path) -> None:
    """Seeds in order, in reversed order, and in a process each write the same lines."""
    arguments = ("--epochs", "1", "--workers", "1")
    plans = {"order": ["2"], "reversed": ["1-1,0-0"], "alone": ["1-1", "0-0"]}
    for name, commands in plans.items():
        for seeds in commands:
            done = bench_run(tmp_path / name, "--seeds", seeds, *arguments, iteration="iteration_4")
            assert done.returncode == 0, done.stderr
    lines = [stable_lines(tmp_path / name, "iteration_4") for name in plans]
    assert lines[0] == lines[1] == lines[2]
    assert len(lines[0]) == 2


def test_seeds_go_round_robin_over_the_iterations(tmp_path: Path) -> None:
    """Asked for two iterations, one worker trains seed 0 of each before seed 1 of either."""
    done = bench_run(tmp_path, "iteration_2", "--seeds", "2", "--epochs", "1", "--workers", "1")
    assert done.returncode == 0, done.stderr
    order = [
        line.split(":")[0]
        for line in done.stderr.splitlines()
        if line.startswith("iteration_") and " seed " in line
    ]
    assert order == [
        "iteration_1 seed 0",
        "iteration_2 seed 0",
        "iteration_1 seed 1",
        "iteration_2 seed 1",
    ]


def test_a_run_that_is_recorded_is_not_trained_again(tmp_path: Path) -> None:
    """Started again, the command trains only the seeds that are missing."""
    assert bench_run(tmp_path, "--seeds", "2", "--epochs", "1").returncode == 0
    before = ledger_file(tmp_path).read_bytes()
    again = bench_run(tmp_path, "--seeds", "3", "--epochs", "1")
    assert again.returncode == 0
    assert "2 recorded already" in again.stderr
    assert ledger_file(tmp_path).read_bytes().startswith(before)
    assert sorted(run.seed for run in read_runs(tmp_path)) == [0, 1, 2]


def test_a_killed_command_keeps_its_finished_runs(tmp_path: Path) -> None:
    """After SIGKILL finished runs are whole, no worker lives on, and only the rest is trained."""
    reference = tmp_path / "reference"
    assert bench_run(reference, "--seeds", "6", "--epochs", "3").returncode == 0
    killed = subprocess.Popen(
        command(tmp_path, "--seeds", "6", "--epochs", "3", "--workers", "2"),
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for_runs(tmp_path, 2, killed)
    family = children_of(killed.pid)
    killed.kill()
    killed.wait()
    kept = [run.seed for run in read_runs(tmp_path)]
    before = ledger_file(tmp_path).read_bytes()
    assert all_end(family), "workers outlive their parent"
    done = bench_run(tmp_path, "--seeds", "6", "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} recorded already" in done.stderr
    assert ledger_file(tmp_path).read_bytes().startswith(before)
    assert stable_lines(tmp_path, "iteration_1") == stable_lines(reference, "iteration_1")


def test_a_killed_worker_is_replaced_and_its_run_repeated(tmp_path: Path) -> None:
    """SIGKILL of a worker costs time, and no run and no bit."""
    reference = tmp_path / "reference"
    assert bench_run(reference, "--seeds", "4", "--epochs", "6").returncode == 0
    process = subprocess.Popen(
        command(tmp_path, "--seeds", "4", "--epochs", "6", "--workers", "2"),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_runs(tmp_path, 1, process)
    worker = max(
        pid
        for pid in children_of(process.pid)
        if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert stable_lines(tmp_path, "iteration_1") == stable_lines(reference, "iteration_1")


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_a_ledger_and_a_page(
    tmp_path: Path, interruption: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end with exit code 130, the finished runs, and a page made of them."""
    process = subprocess.Popen(
        command(tmp_path, "--seeds", "500", "--epochs", "3"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    wait_for_runs(tmp_path, 2, process)
    family = children_of(process.pid)
    process.send_signal(interruption)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "stopped: interrupted" in errors
    assert len(read_runs(tmp_path)) >= 2
    assert (tmp_path / "index.html").stat().st_size > 1000
    assert all_end(family), "workers outlive their parent"


def test_over_budget_is_decided_after_one_run(tmp_path: Path) -> None:
    """Until decided, an iteration over its parameter budget costs one seed and no more."""
    done = bench_run(tmp_path, "--until-decided", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert len(read_runs(tmp_path)) == 1
    assert "every iteration is decided" in done.stderr


def test_a_spent_time_budget_starts_no_run(tmp_path: Path) -> None:
    """The runs in flight end, no other is started, and the way to go on is printed.

    Seeds that wait for those before them leave the iteration undecided, however quick the runs.
    """
    done = bench_run(
        tmp_path,
        *("--seeds", "5-94", "--time-budget", "1s", "--epochs", "1"),
        iteration="iteration_4",
    )
    assert done.returncode == 0, done.stderr
    assert len(read_runs(tmp_path, "iteration_4")) < 90
    assert "the time budget is spent" in done.stderr
    assert "to go on: bench run iteration_4 --dataset digits --epochs 1 --until" in done.stderr
    assert "trained with --epochs 1: no evidence for the recipe" in done.stderr


def test_tuning_seeds_are_recorded_and_are_no_evidence(tmp_path: Path) -> None:
    """Seed 1,000,000 trains on a split of the training set and counts for nothing."""
    done = bench_run(tmp_path, "--seeds", "1000000-1000000", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    (run,) = read_runs(tmp_path)
    assert run.epochs[0].training_total == 1198
    judged = subprocess.run(
        [*BENCH, "judge", "iteration_1", "--dataset", "digits", "--ledger", tmp_path / "ledger"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "UNDECIDED" in judged.stdout


def test_without_mnist_the_digits_are_trained_and_the_notice_is_loud(tmp_path: Path) -> None:
    """Auto falls back with a notice that says what could not be had; mnist is an error."""
    environment = {k: v for k, v in os.environ.items() if k != "BENCH_DATA"}
    environment |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment |= {"PYTHONPATH": str(Path(__file__).parent.parent), "no_proxy": ""}
    arguments = ["--seeds", "1", "--epochs", "1", "--ledger", "ledger", "--page", "index.html"]
    done = subprocess.run(
        [*BENCH, "run", "iteration_1", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "MNIST COULD NOT BE HAD" in done.stderr
    assert "It says nothing about MNIST" in " ".join(done.stderr.replace("│", " ").split())
    assert (tmp_path / "ledger" / "digits" / "iteration_1.jsonl").exists()
    refused = subprocess.run(
        [*BENCH, "run", "iteration_1", "--dataset", "mnist", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "could not be downloaded; put its four" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_the_plain_engine_trains_and_names_itself(tmp_path: Path) -> None:
    """A run under `--engine plain` is of other conditions than one of the eager engine."""
    arguments = ("--seeds", "1", "--epochs", "1")
    done = bench_run(tmp_path, *arguments, "--engine", "plain", iteration="iteration_4")
    assert done.returncode == 0, done.stderr
    assert "with 1 worker on cpu" in done.stderr
    assert "loader workers" in done.stderr
    assert bench_run(tmp_path, *arguments, iteration="iteration_4").returncode == 0
    plain, automatic = read_runs(tmp_path, "iteration_4")
    assert plain.conditions.engine == "plain" != automatic.conditions.engine
    assert plain.epochs[0].training_total == 1438


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engine", "plain", "--workers", "2"), "--workers 2: the plain engine trains one"),
        (("--engine", "eager", "--block", "8"), "--block 8: iteration_1 trains with the eager"),
        (("--engine", "native"), "--engine native: iteration_1: this engine cannot compile it"),
    ],
)
def test_what_an_engine_cannot_do_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    """Exit code 2, the wrong value, what is wrong and what to do; nothing is trained."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = bench_run(tmp_path, "--seeds", "1", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"bench: error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "ledger").exists()


def test_seeds_are_trained_side_by_side_with_a_line_each(tmp_path: Path) -> None:
    """Three seeds in blocks of two: the second block has an empty seat, and is as wide."""
    arguments = ("--seeds", "3", "--epochs", "1", "--engine", "stacked", "--block", "2")
    done = bench_run(tmp_path, *arguments, iteration="iteration_2")
    assert done.returncode == 0, done.stderr
    runs = read_runs(tmp_path, "iteration_2")
    assert sorted(run.seed for run in runs) == [0, 1, 2]
    assert {(run.conditions.engine, run.conditions.block) for run in runs} == {("stacked", 2)}
    assert len({run.epochs[0].training_loss for run in runs}) == 3


def test_an_interrupted_plain_run_leaves_no_process(tmp_path: Path) -> None:
    """The loader's workers end with the process that trains, within seconds."""
    process = subprocess.Popen(
        command(tmp_path, "--seeds", "500", "--epochs", "1", "--engine", "plain"),
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_interrupts,
    )
    wait_for_runs(tmp_path, 1, process)
    family = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert process.returncode == 130
    assert all_end(family), "workers outlive their parent"


def test_what_next_is_a_command_for_what_was_trained(tmp_path: Path) -> None:
    """With the challenge, ledger and engine; other epochs than the recipe's are no evidence."""
    path = tmp_path / "net.py"
    path.write_text("import torch.nn as nn\n\n\nclass Net(nn.Module): pass\n")
    iterations = find_iterations([f"{path}:Net"], recipe="iteration_4", root=tmp_path)
    campaign = Campaign(
        iterations,
        DIGITS,
        Plan(seeds=(0,), until_decided=True, time_budget_seconds=None),
        conditions={iterations[0].name: CONDITIONS},
        datasets=set(),
        recorded=(),
    )
    words = f"{path}:Net --recipe iteration_4 --dataset digits"
    place = _repeat(ledger=tmp_path / "my runs")
    how = _repeat(device="auto", engine="eager", block=None, cluster="auto")
    for epochs, option, last in (
        (None, "", f"to judge: bench judge {words} --ledger '{tmp_path}/my runs'"),
        (3, " --epochs 3", "trained with --epochs 3: no evidence for the recipe"),
    ):
        printed = StringIO()
        console = Console(file=printed, width=1000)
        _say_what_next(console, campaign, epochs, place=place, again=place + how)
        assert printed.getvalue().splitlines() == [
            f"to go on: bench run {words}{option} --until-decided --time-budget 2h "
            f"--ledger '{tmp_path}/my runs' --engine eager --cluster auto",
            last,
        ]


def test_after_tuning_no_claim_seeds_are_proposed() -> None:
    """Tuning seeds decide nothing, so what would decide is no way to go on."""
    iteration = make_iteration()
    campaign = Campaign(
        (iteration,),
        MNIST,
        Plan(seeds=(1_000_000,), until_decided=False, time_budget_seconds=None),
        conditions={iteration.name: CONDITIONS},
        datasets=set(),
        recorded=(),
    )
    printed = StringIO()
    _say_what_next(Console(file=printed), campaign, None, place="", again="")
    assert printed.getvalue() == ""


def test_to_go_on_beyond_the_default_asks_for_more_seeds() -> None:
    """A hundred undecided ones are trained: without --seeds the command would train nothing."""
    iteration = make_iteration()
    recorded = [
        make_run(
            seed=seed,
            validation_correct=SHAKY if seed % 10 == 5 else STEADY,
            fingerprint=iteration.fingerprint,
        )
        for seed in range(100)
    ]
    for runs, seeds in ((recorded[:99], ""), (recorded, " --seeds 1000")):
        campaign = Campaign(
            (iteration,),
            MNIST,
            Plan(seeds=tuple(range(100)), until_decided=True, time_budget_seconds=None),
            conditions={iteration.name: runs[0].conditions},
            datasets={runs[0].dataset},
            recorded=runs,
        )
        assert _ask_for_more(campaign) == seeds
