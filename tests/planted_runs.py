"""Runs that nobody trained, and ledgers to plant them in: a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.challenges import MNIST_DIGEST
from bench.iterations import MODELS, Iteration, read_iteration
from bench.ledger import encode_run, ledger_path
from bench.records import FORMAT, Conditions, Cost, EpochScore, Machine, Mistake, Run, Status

LATEST = read_iteration(MODELS / "iteration_4.py")
CONDITIONS = Conditions(device="cpu", precision="fp32", engine="eager", torch="2.13")
DATASET = "d" * 64
CLEAN = (9_945, 9_942, 9_944)
"""Validation counts of a final window above 9,940."""
LUCKY = (9_945, 9_942, 9_939)
"""Validation counts that are above 9,940 until the last epoch."""

MISTAKES = (
    Mistake(index=8, label=5, predicted=6),
    Mistake(index=18, label=3, predicted=8),
    Mistake(index=247, label=4, predicted=2),
)
MACHINE = Machine(
    device="Example CPU",
    driver=None,
    processor="Example CPU",
    system="Linux x86_64",
    torch="2.13.0",
    python="3.11.9",
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    instructions="cpu family 25, model 17, stepping 1, abilities 0123456789ab",
    compiler="g++ 12.2.0",
)


def make_cost(*, parameters: int = 7_924, reached: int | None = None) -> Cost:
    """Return a cost without layers; by default a gradient reaches every parameter."""
    return Cost(
        parameters=parameters,
        reached_parameters=parameters if reached is None else reached,
        macs=1_446_000,
        layers=(),
        uncounted=(),
    )


def make_epoch(correct: int, *, total: int = 10_000) -> EpochScore:
    """Return an epoch that got `correct` of `total` validation images right."""
    return EpochScore(
        training_correct=59_000,
        training_total=60_000,
        training_loss=0.0625,
        validation_correct=correct,
        validation_total=total,
        validation_loss=0.03125,
        seconds=8.5,
    )


def make_run(
    *,
    seed: int = 0,
    final: tuple[int, ...] = CLEAN,
    iteration: Iteration = LATEST,
    conditions: Conditions = CONDITIONS,
    **changes: Any,
) -> Run:
    """Return a finished run of 15 epochs whose last ones are `final`, with fields changed."""
    early = (9_800,) * (15 - len(final))
    run = Run(
        format=FORMAT,
        challenge="mnist",
        iteration=iteration.name,
        fingerprint=iteration.fingerprint,
        seed=seed,
        dataset=DATASET,
        conditions=conditions,
        machine=MACHINE,
        cost=make_cost(),
        status=Status.FINISHED,
        epochs=tuple(make_epoch(correct) for correct in early + final),
        mistakes=(MISTAKES, MISTAKES[:2], MISTAKES[1:]),
        started="2026-01-02T03:04:05+00:00",
        wall_seconds=127.5,
    )
    return replace(run, **changes)


def make_runs(seeds: Iterable[int], **changes: Any) -> list[Run]:
    """Return one run per seed, alike in all else."""
    return [make_run(seed=seed, **changes) for seed in seeds]


def make_mnist_run(**changes: Any) -> Run:
    """Return a run as `make_run` does, on MNIST by its digest: what a gate takes."""
    return make_run(**{"dataset": MNIST_DIGEST, **changes})


def make_mnist_runs(seeds: Iterable[int], **changes: Any) -> list[Run]:
    """Return one run per seed on MNIST by its digest, alike in all else."""
    return [make_mnist_run(seed=seed, **changes) for seed in seeds]


def plant_ledger(folder: Path, runs: Iterable[Run]) -> Path:
    """Write runs into the files they belong in, behind what is there, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        path = ledger_path(folder, run.challenge, run.iteration)
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(encode_run(run))
    return folder
