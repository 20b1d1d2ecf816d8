"""`bench run --cluster` on real Ray clusters of this machine: the same lines whatever dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import (
    all_end,
    bench_run,
    children_of,
    command,
    read_runs,
    stable_lines,
    wait_for_runs,
)
from ray_clusters import NODE

ITERATION = "iteration_1"
QUICK = ("--epochs", "1")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, *arguments), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    return errors


def train_locally(folder: Path, seeds: int, *arguments: str) -> list[dict[str, Any]]:
    done = bench_run(folder, "--seeds", str(seeds), *(arguments or QUICK))
    assert done.returncode == 0, done.stderr
    return stable_lines(folder, ITERATION)


def test_a_ray_of_this_machine_gives_the_same_lines(tmp_path: Path) -> None:
    """Machine, commit, conditions and every number; and nothing of Ray's own on the screen."""
    done = bench_run(tmp_path / "there", "--cluster", "local", "--seeds", "2", *QUICK)

    assert done.returncode == 0, done.stderr
    assert stable_lines(tmp_path / "there", ITERATION) == train_locally(tmp_path / "here", 2)
    assert "stopped: all seeds asked for are trained" in done.stderr
    assert "ray" not in done.stderr.replace(str(tmp_path), "").lower()


@pytest.mark.faults
def test_two_nodes_give_the_same_lines(tmp_path: Path, cluster: Any) -> None:
    """Seeds of two iterations' worth of units, each trained once; started again, none is."""
    cluster.add_node(**NODE)
    arguments = ("--cluster", cluster.address, "--seeds", "6", *QUICK)
    done = bench_run(tmp_path / "there", *arguments)

    assert done.returncode == 0, done.stderr
    assert "2 workers on 2 nodes" in done.stderr
    assert stable_lines(tmp_path / "there", ITERATION) == train_locally(tmp_path / "here", 6)
    again = bench_run(tmp_path / "there", *arguments)
    assert "0 runs at most" in again.stderr
    assert len(stable_lines(tmp_path / "there", ITERATION)) == 6


@pytest.mark.faults
def test_a_node_that_is_killed_costs_nothing(tmp_path: Path, cluster: Any) -> None:
    """Its units start again on the other node; every line is there once, and the same."""
    node = cluster.add_node(**NODE)
    training = start(tmp_path / "there", "--cluster", cluster.address, "--seeds", "10", *QUICK)
    wait_for_runs(tmp_path / "there", 2, training)
    cluster.remove_node(node, allow_graceful=False)
    errors = finish(training)

    assert "given up" not in errors
    assert stable_lines(tmp_path / "there", ITERATION) == train_locally(tmp_path / "here", 10)


@pytest.mark.faults
def test_a_driver_that_is_killed_goes_on_where_it_stopped(tmp_path: Path, cluster: Any) -> None:
    """Its tasks end with it; started again, it trains only what is missing."""
    cluster.add_node(**NODE)
    arguments = ("--cluster", cluster.address, "--seeds", "10", *QUICK)
    training = start(tmp_path / "there", *arguments)
    wait_for_runs(tmp_path / "there", 2, training)
    training.kill()
    training.communicate()
    kept = len(read_runs(tmp_path / "there"))
    errors = finish(start(tmp_path / "there", *arguments))

    assert f"{10 - kept} runs at most" in errors
    assert stable_lines(tmp_path / "there", ITERATION) == train_locally(tmp_path / "here", 10)


@pytest.mark.faults
def test_an_interrupt_records_what_is_finished(tmp_path: Path, cluster: Any) -> None:
    """SIGINT: exit code 130, the page, and whole lines only."""
    training = start(tmp_path, "--cluster", cluster.address, "--seeds", "50", *QUICK)
    wait_for_runs(tmp_path, 1, training)
    training.send_signal(signal.SIGINT)
    errors = finish(training, 130)

    assert "stopped: interrupted" in errors
    assert 1 <= len(read_runs(tmp_path)) < 50
    assert (tmp_path / "index.html").exists()


@pytest.mark.faults
def test_a_verdict_or_a_spent_budget_ends_a_run(tmp_path: Path, cluster: Any) -> None:
    """As locally: over its parameter budget one seed decides; out of time no other is started."""
    decided = bench_run(tmp_path, "--cluster", cluster.address, "--until-decided")
    assert decided.returncode == 0, decided.stderr
    assert "every iteration is decided" in decided.stderr
    assert len(read_runs(tmp_path)) == 1

    seeds, other = ("--seeds", "5-4004", *QUICK), "iteration_4"
    spent = bench_run(
        tmp_path, "--cluster", cluster.address, "--time-budget", "10s", *seeds, iteration=other
    )
    assert spent.returncode == 0, spent.stderr
    assert "the time budget is spent" in spent.stderr
    assert "given up" not in spent.stderr
    assert len(read_runs(tmp_path, other)) < 4000


@pytest.mark.faults
def test_a_killed_driver_of_its_own_ray_leaves_no_process(tmp_path: Path) -> None:
    """`--cluster local` starts Ray's processes, and they end with it."""
    training = start(tmp_path, "--cluster", "local", "--seeds", "50", *QUICK)
    wait_for_runs(tmp_path, 1, training)
    family = children_of(training.pid)
    training.kill()
    training.communicate()

    assert any(depth > 1 for depth in family.values())
    assert all_end(family, seconds=120)  # the agents of Ray look for their parent now and then


KILLER = """
import os
from pathlib import Path

from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Linear(784, 10)

    def forward(self, images):
        if self.training and len(images) > 3 and Path.cwd().name == "scratch":
            os.kill(os.getpid(), 9)
        return self.scores(images.flatten(1))
"""

FREEZES = KILLER.replace("os.kill(os.getpid(), 9)", "os.read(os.pipe()[0], 1)")

BESIDE = """
from torch import nn

import layers


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = layers.make()

    def forward(self, images):
        return self.scores(images.flatten(1))
"""
LAYERS = "from torch import nn\n\n\ndef make():\n    return nn.Linear(784, 10)\n"


@pytest.mark.faults
def test_a_unit_that_kills_its_worker_is_given_up_and_the_rest_goes_on(
    tmp_path: Path, cluster: Any
) -> None:
    """Three times, exit code 2; a file with a module beside it has all its runs, as locally."""
    for name, text in (("killer.py", KILLER), ("beside.py", BESIDE), ("layers.py", LAYERS)):
        (tmp_path / name).write_text(text)
    files = [f"{tmp_path / name}:Net" for name in ("killer.py", "beside.py")]
    options = ("--recipe", "iteration_1", "--seeds", "2", "--engine", "eager", *QUICK)
    done = bench_run(
        tmp_path / "there", *files, "--cluster", cluster.address, *options, iteration=files[0]
    )
    assert done.returncode == 2, done.stderr
    assert "given up: took its worker down 3 times" in done.stderr
    assert "Traceback" not in done.stderr
    (file,) = (tmp_path / "there" / "ledger" / "digits").glob("*beside*.jsonl")
    alone = bench_run(tmp_path / "here", *options, iteration=files[1])
    assert alone.returncode == 0, alone.stderr
    lines = stable_lines(tmp_path / "there", file.stem)
    assert len(lines) == 2
    assert lines == stable_lines(tmp_path / "here", file.stem)


@pytest.mark.faults
def test_a_unit_of_which_nothing_is_heard_is_given_up(tmp_path: Path, cluster: Any) -> None:
    """Its worker is killed after 20 seconds, and the one core trains what comes next."""
    (tmp_path / "freezes.py").write_text(FREEZES)
    driver = Path(__file__).with_name("patient_driver.py")
    arguments = [cluster.address, str(tmp_path / "ledger"), "20"]
    names = [f"{tmp_path / 'freezes.py'}:Net", "iteration_1"]
    done = subprocess.run(
        [sys.executable, str(driver), *arguments, *names],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    given_up, frozen, trained = done.stdout.splitlines()
    assert "freezes-Net: no epoch was finished within 20 s" in given_up
    assert frozen.endswith("freezes-Net: 0 done")
    assert trained == "iteration_1: 1 done"


@pytest.mark.faults
def test_nodes_under_unlike_conditions_are_not_pooled(tmp_path: Path, cluster: Any) -> None:
    """Without a compiler, a node is left out at the start or when it joins; a line says why."""
    without_compiler = {**NODE, "env_vars": {"CXX": "/there/is/none"}}
    cluster.add_node(**NODE)
    cluster.add_node(**without_compiler)
    training = start(tmp_path, "--cluster", cluster.address, "--seeds", "30", *QUICK)
    wait_for_runs(tmp_path, 1, training)
    cluster.add_node(**without_compiler)
    errors = finish(training)

    assert "2 workers on 2 nodes" in errors
    assert errors.count("is left out") == 2
    assert "under other conditions (cpu, fp32, eager engine" in errors
    assert {run.conditions.engine for run in read_runs(tmp_path)} == {"native"}
    assert [run.seed for run in sorted(read_runs(tmp_path), key=lambda run: run.seed)] == list(
        range(30)
    )


def test_only_a_cluster_needs_ray(tmp_path: Path) -> None:
    """A whole local run has not imported it when it ends."""
    program = (
        "import sys\nfrom bench.cli import main\ncode = main(sys.argv[1:])\n"
        "assert 'ray' not in sys.modules\nsys.exit(code)"
    )
    arguments = command(tmp_path, "--seeds", "1", "--workers", "1", *QUICK)[3:]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.faults
def test_a_gpu_that_torch_does_not_see_is_an_error_that_names_the_node(
    tmp_path: Path, cluster: Any
) -> None:
    """`auto` takes GPUs where the cluster offers any, though here there is none."""
    cluster.add_node(**NODE, num_gpus=1)
    done = bench_run(
        tmp_path, "--device", "auto", "--cluster", cluster.address, "--seeds", "1", *QUICK
    )

    assert done.returncode == 2
    assert "sees no CUDA device" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("bench: error: --cluster: node ")
