"""A ledger edited by hand is caught: by any command, by the gate, or by `bench verify` alone.

Each test forges a ledger of real trainings the way someone would who wants HOLDS, and says which
command catches it, with which exit code, and which does not (docs/protocol.md, Threat model).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checkouts import EPOCHS, Checkout, make_checkout
from msgspec.structs import replace

from bench.records import EpochScore, Run

pytestmark = pytest.mark.faults

SEEDS = 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout whose iteration 4 has five trained seeds, none of which holds."""
    checkout = make_checkout(tmp_path_factory.mktemp("trained") / "checkout")
    done = checkout.bench("run", "iteration_4", "--dataset", "digits", "--seeds", str(SEEDS))
    assert done.returncode == 0, done.stderr
    return checkout


@pytest.fixture
def checkout(trained: Checkout, tmp_path: Path) -> Checkout:
    """Return a copy of it to tamper with."""
    return trained.copy(tmp_path / "checkout")


def verify(checkout: Checkout, *, sample: int) -> tuple[int, str]:
    done = checkout.bench("verify", "iteration_4", "--sample", str(sample))
    assert done.stderr == ""
    return done.returncode, done.stdout


def gate(checkout: Checkout) -> tuple[int, str]:
    done = checkout.bench("gate", "iteration_4", "--dataset", "digits")
    assert done.stderr == ""
    return done.returncode, done.stdout


def raise_accuracy(run: Run) -> Run:
    """Return a run whose epochs all have 355 of 359 images right, and lists of four mistakes."""
    epochs = tuple(replace(epoch, validation_correct=355) for epoch in run.epochs)
    return replace(run, epochs=epochs, mistakes=(run.mistakes[0][:4],) * len(run.mistakes))


def change_losses(epoch: EpochScore, *, by: float) -> EpochScore:
    return replace(
        epoch,
        training_loss=epoch.training_loss * by,
        validation_loss=epoch.validation_loss * by,
    )


def test_an_honest_ledger_is_confirmed_to_the_last_bit(checkout: Checkout) -> None:
    """What is caught below is caught for its own fault: verify 0; the gate 1, for it FAILS."""
    code, says = verify(checkout, sample=SEEDS)

    assert code == 0
    assert len(re.findall(r"^identical ", says, re.MULTILINE)) == SEEDS
    assert f"all {EPOCHS} epochs, to the last bit" in says
    assert gate(checkout)[0] == 1


def test_an_accuracy_raised_is_caught_by_any_command(checkout: Checkout, tmp_path: Path) -> None:
    """Whoever forgets the checksum is told the line: gate, judge, merge, verify and more exit 2."""
    content = checkout.ledger_file.read_bytes()
    forged = re.sub(rb'"validation_correct":\d+', b'"validation_correct":355', content, count=1)
    checkout.ledger_file.write_bytes(forged)

    for command in (
        ["gate", "iteration_4", "--dataset", "digits"],
        ["judge"],
        ["report"],
        ["verify"],
        ["merge", "reports/ledger", "--ledger", str(tmp_path / "all")],
        ["bundle"],
    ):
        done = checkout.bench(*command)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "iteration_4.jsonl:1: damaged line" in done.stderr


def test_an_accuracy_that_its_own_mistakes_deny_is_caught_on_paper(checkout: Checkout) -> None:
    """With a new checksum, but the old list of mistakes: verify exits 1 and trains nothing."""
    first, *rest = checkout.runs
    epochs = tuple(replace(epoch, validation_correct=355) for epoch in first.epochs)
    checkout.write([replace(first, epochs=epochs), *rest])

    code, says = verify(checkout, sample=0)

    assert code == 1
    assert re.search(r"^contradicted +iteration_4 seed 0 .*counts 4 wrong images", says)
    assert says.count("contradicted  ") == 1


def test_an_accuracy_raised_with_care_is_caught_by_a_rerun_alone(checkout: Checkout) -> None:
    """Counts, mistakes and checksum agree: verify passes it on paper and exits 1 on retraining."""
    first, *rest = checkout.runs
    checkout.write([raise_accuracy(first), *rest])

    on_paper, _ = verify(checkout, sample=0)
    code, says = verify(checkout, sample=SEEDS)

    assert (on_paper, code) == (0, 1)
    assert re.search(r"\ncontradicted +iteration_4 seed 0 .*validation correct 355 recorded", says)
    assert len(re.findall(r"^identical ", says, re.MULTILINE)) == SEEDS - 1


def test_an_invented_ledger_opens_the_gate_and_no_rerun(checkout: Checkout) -> None:
    """33 plausible runs that nobody trained: the gate exits 0, and verify of any sample 1."""
    pattern = raise_accuracy(checkout.runs[0])
    checkout.write(
        replace(
            pattern,
            seed=seed,
            epochs=tuple(change_losses(e, by=1 + seed / 1000) for e in pattern.epochs),
        )
        for seed in range(33)
    )

    assert gate(checkout)[0] == 0
    assert verify(checkout, sample=0)[0] == 0
    code, says = verify(checkout, sample=2)
    assert code == 1
    assert len(re.findall(r"^contradicted ", says, re.MULTILINE)) == 2


def test_a_removed_seed_is_named_by_the_gate(checkout: Checkout) -> None:
    """The evidence ends before it: the gate exits 3."""
    checkout.write(run for run in checkout.runs if run.seed != 1)

    code, says = gate(checkout)

    assert code == 3
    assert "seeds count from 0 without a gap, so 3 wait for 1" in says


def test_a_seed_put_in_the_place_of_a_removed_one_is_caught_by_a_rerun(checkout: Checkout) -> None:
    """No gap is left for the gate to name; the seed trained again is another run: verify 1."""
    *runs, last = (run for run in checkout.runs if run.seed != 1)
    checkout.write([*runs, replace(last, seed=1)])

    assert "without a gap" not in gate(checkout)[1]
    code, says = verify(checkout, sample=SEEDS)
    assert code == 1
    assert re.findall(r"^contradicted +iteration_4 (seed \d+)", says, re.MULTILINE) == ["seed 1"]


def test_a_run_copied_under_a_new_seed_is_caught_on_paper(checkout: Checkout) -> None:
    """Two seeds never have the same losses to the last digit: verify exits 1 and trains nothing."""
    copy = replace(checkout.runs[0], seed=SEEDS, started="2026-03-03T03:03:03+00:00")
    checkout.write([*checkout.runs, copy])

    code, says = verify(checkout, sample=0)

    assert code == 1
    assert re.search(rf"^contradicted +iteration_4 seed {SEEDS} .*a copy: seed 0 has", says)


def test_fewer_parameters_than_there_are_are_caught_by_a_rerun(checkout: Checkout) -> None:
    """The budget is recorded too: whoever lowers it is contradicted by the count here."""
    checkout.write(replace(run, cost=replace(run.cost, parameters=5_000)) for run in checkout.runs)

    code, says = verify(checkout, sample=1)

    assert code == 1
    assert "5,000 parameters recorded and 7,924 counted here" in says


def test_runs_of_other_code_are_stale(checkout: Checkout) -> None:
    """The gate exits 3; verify exits 3 as well and names the commit to check out."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    checkout.write(
        replace(run, fingerprint="0" * 64, machine=replace(run.machine, commit=commit))
        for run in checkout.runs
    )

    assert gate(checkout)[0] == 3
    code, says = verify(checkout, sample=1)
    assert code == 3
    assert f"{SEEDS} runs are stale" in says
    assert "git checkout 0123456789ab" in says


def test_other_bits_from_another_machine_are_judged_by_statistics(checkout: Checkout) -> None:
    """Losses that differ are compatible when recorded elsewhere, and contradicted when here."""
    here = [
        replace(run, epochs=tuple(change_losses(e, by=1.001) for e in run.epochs))
        for run in checkout.runs
    ]
    elsewhere = [
        replace(run, machine=replace(run.machine, processor="Another", device="Another"))
        for run in here
    ]

    checkout.write(elsewhere)
    code, says = verify(checkout, sample=2)
    assert code == 0
    assert len(re.findall(r"^compatible .*on another machine", says, re.MULTILINE)) == 2

    checkout.write(here)
    assert verify(checkout, sample=2)[0] == 1


def test_plausible_numbers_from_another_machine_are_caught_by_their_number(
    checkout: Checkout,
) -> None:
    """33 runs that all hold, said to come from elsewhere: five seeds here do not look like them."""
    pattern = raise_accuracy(checkout.runs[0])
    machine = replace(pattern.machine, processor="Another", device="Another")
    checkout.write(
        replace(
            pattern,
            seed=seed,
            machine=machine,
            epochs=tuple(change_losses(e, by=1 + seed / 1000) for e in pattern.epochs),
        )
        for seed in range(33)
    )

    code, says = verify(checkout, sample=5)

    assert code == 1
    assert "do not look like 28 other seeds recorded" in says


def test_runs_of_a_gpu_that_is_not_here_are_trained_on_what_is(checkout: Checkout) -> None:
    """Seeds that were trained side by side on a GPU are judged by seeds of this machine's CPU."""
    checkout.write(
        replace(
            run,
            conditions=replace(run.conditions, device="cuda sm_10", engine="stacked", block=64),
            machine=replace(run.machine, device="Example GPU", driver="1.2"),
        )
        for run in checkout.runs
    )

    code, says = verify(checkout, sample=1)

    assert code == 0
    assert re.search(r"^compatible .*trained again under cpu, fp32, ", says, re.MULTILINE)
