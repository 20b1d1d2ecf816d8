"""Every rule of evidence against a planted ledger that a naive judge would pass.

The naive judge is spelled out in each test and passes what the protocol refuses; then `bench judge`
and `bench gate` refuse it from the command line, and the sentence they print names the rule.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace
from planted_runs import (
    CLEAN,
    CONDITIONS,
    LATEST,
    LUCKY,
    make_epoch,
    plant_ledger,
)
from planted_runs import make_mnist_run as make_run
from planted_runs import make_mnist_runs as make_runs

import bench
from bench.challenges import MNIST
from bench.consistency import decide
from bench.evidence import run_holds
from bench.gate import EXIT_CODES
from bench.records import FIRST_TUNING_SEED, Answer, Run, Status

ROOT = Path(bench.__file__).parent.parent


def judge_naively(runs: Iterable[Run]) -> Answer:
    """Apply the rule of statistics to whatever runs one is given, without rules of evidence."""
    holds = [run_holds(run, MNIST) for run in runs]
    return decide(holds, reliability=MNIST.reliability, confidence=MNIST.confidence).answer


def run_bench(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *command.split(), LATEST.name, "--ledger", "ledger"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def assert_refused(folder: Path, runs: Iterable[Run], *, answer: Answer, naming: str) -> None:
    """Plant runs; judge and gate must both answer as they should, in a sentence naming the rule."""
    plant_ledger(folder / "ledger", runs)
    judged = run_bench(folder, "judge --format markdown")
    gated = run_bench(folder, "gate")

    assert (judged.returncode, judged.stderr) == (0, "")
    assert (gated.returncode, gated.stderr) == (EXIT_CODES[answer], "")
    sentences = [judged.stdout.splitlines()[2].split(" | ")[2], gated.stdout]
    assert [sentence for sentence in sentences if naming not in sentence] == []
    assert f"| {answer} |" in judged.stdout
    assert f"| {Answer.HOLDS} |" not in judged.stdout


def test_an_honest_ledger_is_not_refused(tmp_path: Path) -> None:
    """33 clean seeds from 0 on HOLD: what is refused below is refused for its own fault."""
    plant_ledger(tmp_path / "ledger", make_runs(range(33)))

    assert "| HOLDS | 33 of 33 seeds hold" in run_bench(tmp_path, "judge --format markdown").stdout
    assert run_bench(tmp_path, "gate").returncode == 0


def test_deleting_bad_seeds_ends_the_evidence_at_the_first(tmp_path: Path) -> None:
    """Of 40 seeds every eighth failed and was deleted: 35 of 35 are left, and 7 of them count."""
    left = make_runs(seed for seed in range(40) if seed % 8 != 7)

    assert judge_naively(left) is Answer.HOLDS
    assert_refused(
        tmp_path,
        left,
        answer=Answer.UNDECIDED,
        naming="7 of 7 seeds hold; seeds count from 0 without a gap, so 28 wait for 7, 15, 23, 31",
    )


def test_starting_at_a_lucky_seed_is_starting_at_none(tmp_path: Path) -> None:
    """Seeds 1 to 40 hold and seed 0 is not there: nothing counts, and the line says for what."""
    runs = make_runs(range(1, 41))

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path, runs, answer=Answer.UNDECIDED, naming="seed 0 is missing, and seeds count from 0"
    )


def test_tuning_seeds_make_no_verdict(tmp_path: Path) -> None:
    """40 clean tuning seeds are no evidence at all."""
    tuned = make_runs(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + 40))

    assert judge_naively(tuned) is Answer.HOLDS
    assert_refused(
        tmp_path, tuned, answer=Answer.UNDECIDED, naming="40 are of tuning seeds, which never do"
    )


def test_tuning_seeds_do_not_help_claim_seeds(tmp_path: Path) -> None:
    """5 claim seeds and 28 tuning seeds are 5 seeds."""
    runs = make_runs([*range(5), *range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + 28)])

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(tmp_path, runs, answer=Answer.UNDECIDED, naming="28 of tuning seeds never count")


def test_diverged_runs_are_not_left_out_as_accidents(tmp_path: Path) -> None:
    """33 of 33 hold once 3 of 36 are left out; with them it is 33 of 36."""
    runs = make_runs(range(36))
    for seed in (4, 17, 30):
        runs[seed] = make_run(seed=seed, status=Status.DIVERGED, epochs=(), mistakes=())

    assert judge_naively(run for run in runs if run.status is Status.FINISHED) is Answer.HOLDS
    assert_refused(
        tmp_path,
        runs,
        answer=Answer.UNDECIDED,
        naming="33 of 36 seeds hold (3 diverged, which is not to hold)",
    )


def test_the_best_epoch_does_not_speak_for_the_last_ones(tmp_path: Path) -> None:
    """Each of 40 seeds was at the target in two epochs, and never in each of the last three."""
    runs = make_runs(range(40), final=LUCKY)
    best_epochs = [max(epoch.validation_correct for epoch in run.epochs) for run in runs]
    naive = decide(
        [best >= MNIST.required(10_000) for best in best_epochs],
        reliability=MNIST.reliability,
        confidence=MNIST.confidence,
    )

    assert naive.answer is Answer.HOLDS
    assert_refused(
        tmp_path,
        runs,
        answer=Answer.FAILS,
        naming="(40 reached the target, but not in each of the last 3 epochs)",
    )


def test_unlike_conditions_are_not_added_up(tmp_path: Path) -> None:
    """20 of 20 on a CPU and 20 of 20 on a GPU are not 40 of 40."""
    on_gpu = replace(CONDITIONS, device="cuda sm_90")
    runs = [*make_runs(range(20)), *make_runs(range(20), conditions=on_gpu)]

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path,
        runs,
        answer=Answer.UNDECIDED,
        naming="20 under other conditions or on other images are never pooled with these",
    )


def test_runs_of_other_code_do_not_count(tmp_path: Path) -> None:
    """40 clean seeds of a recipe that was changed afterwards say nothing of the new one."""
    runs = make_runs(range(40), fingerprint="0" * 64)

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path, runs, answer=Answer.UNDECIDED, naming="stale: 40 runs are of other code"
    )


def test_runs_of_other_code_do_not_help_those_of_todays(tmp_path: Path) -> None:
    """5 seeds of today's code and 28 of yesterday's are 5 seeds."""
    runs = [*make_runs(range(5)), *make_runs(range(5, 33), fingerprint="0" * 64)]

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(tmp_path, runs, answer=Answer.UNDECIDED, naming="28 are stale: of other code")


def test_a_run_longer_than_the_budget_breaks_it_whatever_its_recipe_says(tmp_path: Path) -> None:
    """One of 33 clean runs took 16 epochs under a recipe of 15."""
    runs = make_runs(range(33))
    runs[8] = make_run(seed=8, epochs=tuple(map(make_epoch, (9_800,) * 13 + CLEAN)))

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path, runs, answer=Answer.FAILS, naming="over budget: 16 epochs of at most 15"
    )


def test_an_epoch_that_showed_more_images_than_there_are_breaks_the_budget(tmp_path: Path) -> None:
    """15 epochs of 120,000 images each are 30 under another name."""
    doubled = tuple(
        replace(epoch, training_total=120_000, training_correct=118_000)
        for epoch in make_run().epochs
    )
    runs = make_runs(range(33), epochs=doubled)

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path,
        runs,
        answer=Answer.FAILS,
        naming="an epoch of 120,000 training images, at most 60,000 allowed",
    )


def test_other_images_are_evidence_of_their_own(tmp_path: Path) -> None:
    """20 clean seeds scored on the test set and 20 on other images are not 40."""
    runs = [*make_runs(range(20)), *make_runs(range(20, 40), dataset="e" * 64)]

    assert judge_naively(runs) is Answer.HOLDS
    assert_refused(
        tmp_path,
        runs,
        answer=Answer.UNDECIDED,
        naming="20 of 20 seeds hold",
    )
    judged = run_bench(tmp_path, "judge --format markdown").stdout
    assert "20 under other conditions or on other images are never pooled with these" in judged
