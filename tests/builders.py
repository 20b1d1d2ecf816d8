"""Builders of synthetic records: everything has a default, a test names what matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.challenges import MNIST
from bench.evidence import Evidence, select_evidence
from bench.iterations import Iteration
from bench.records import (
    FORMAT,
    Challenge,
    Conditions,
    Cost,
    EpochScore,
    LayerCost,
    Machine,
    Mistake,
    Run,
    Status,
    UncountedOperator,
)
from bench.verdict import Verdict, judge
from models.recipe import SGD, Affine, Claim, MultiStep, Narrative, Recipe, Statement

FINGERPRINT = "f" * 64
DATASET = "d" * 64
CONDITIONS = Conditions(device="cpu", precision="fp32", engine="eager", torch="2.11")
MACHINE = Machine(
    device="Example CPU",
    driver=None,
    processor="Example CPU, 8 cores",
    system="Linux 6.1",
    torch="2.11.0",
    python="3.11.9",
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
)
LAYERS = (
    LayerCost(
        name="edges.0", kind="Conv2d", output_shape=(8, 26, 26), parameters=72, macs=48_672,
        receptive_field=3,
    ),
    LayerCost(
        name="classes", kind="Conv2d", output_shape=(10, 1, 1), parameters=160, macs=160,
        receptive_field=None,
    ),
)  # fmt: skip
COST = Cost(
    parameters=7_924,
    reached_parameters=7_924,
    macs=1_446_000,
    layers=LAYERS,
    uncounted=(UncountedOperator(operator="max_pool2d", calls=1),),
)
CLAIM = Claim(parameters="7,924", training_accuracy=99.12, validation_accuracy=99.42, epoch=14)
STEADY = (9_700, 9_850, 9_900, 9_920, 9_930, 9_935, 9_938, 9_939, 9_940, 9_941, 9_945, 9_946,
          9_944, 9_947, 9_946)  # fmt: skip
"""Validation counts of a run that holds 99.4 %, first reached in epoch 9."""

SHAKY = (*STEADY[:-1], 9_939)
"""The same, but one image below the target in the last epoch."""


def make_epoch(
    *, validation_correct: int, total: int = 10_000, training_correct: int = 59_400
) -> EpochScore:
    """Return one epoch on 60,000 training images."""
    return EpochScore(
        training_correct=training_correct,
        training_total=60_000,
        training_loss=0.05,
        validation_correct=validation_correct,
        validation_total=total,
        validation_loss=0.04,
        seconds=20.0,
    )


def make_run(
    *,
    seed: int = 0,
    validation_correct: Sequence[int] = STEADY,
    training_correct: Sequence[int] | None = None,
    total: int = 10_000,
    status: Status = Status.FINISHED,
    iteration: str = "iteration_4",
    fingerprint: str = FINGERPRINT,
    challenge: Challenge = MNIST,
    conditions: Conditions = CONDITIONS,
    machine: Machine = MACHINE,
    dataset: str = DATASET,
    cost: Cost = COST,
    wall_seconds: float = 300.0,
    mistakes: Sequence[Mistake] | None = None,
) -> Run:
    """Return a run with one epoch for each count of correct validation images.

    `mistakes` are those of the last epoch: as many as it got wrong unless a test says otherwise.
    """
    training = training_correct or [59_400] * len(validation_correct)
    epochs = tuple(
        make_epoch(validation_correct=correct, total=total, training_correct=trained)
        for correct, trained in zip(validation_correct, training, strict=True)
    )
    return Run(
        format=FORMAT,
        challenge=challenge.name,
        iteration=iteration,
        fingerprint=fingerprint,
        seed=seed,
        dataset=dataset,
        conditions=conditions,
        machine=machine,
        cost=cost,
        status=status,
        epochs=epochs,
        mistakes=(
            tuple(_make_mistakes(epoch) for epoch in epochs[-challenge.window :])
            if mistakes is None
            else (tuple(mistakes),) * challenge.window
        ),
        started="2026-01-01T00:00:00+00:00",
        wall_seconds=wall_seconds,
    )


def _make_mistakes(epoch: EpochScore) -> tuple[Mistake, ...]:
    """Return the first images as those that are wrong: fours taken for nines."""
    wrong = epoch.validation_total - epoch.validation_correct
    return tuple(Mistake(index, 4, 9) for index in range(wrong))


def make_diverged(*, seed: int = 0, epochs: int = 0, iteration: str = "iteration_4") -> Run:
    """Return a run whose loss stopped being finite after so many epochs."""
    return make_run(
        seed=seed,
        validation_correct=STEADY[:epochs],
        status=Status.DIVERGED,
        iteration=iteration,
    )


def make_iteration(
    *,
    name: str = "iteration_4",
    title: str = "A learning-rate schedule",
    claim: Claim | None = CLAIM,
    analysis: tuple[str | Statement, ...] = ("Consistent in the final epochs.",),
    epochs: int = 15,
    fingerprint: str = FINGERPRINT,
) -> Iteration:
    """Return an iteration as its file would tell it."""
    return Iteration(
        name=name,
        path=Path(f"{name}.py"),
        narrative=Narrative(
            title=title,
            target=("Converge faster with a higher learning rate.",),
            claim=claim,
            analysis=analysis,
        ),
        recipe=Recipe(
            optimizer=SGD(momentum=0.9),
            schedule=MultiStep(rate=0.1, milestones=(10,)),
            batch_size=128,
            epochs=epochs,
            augmentation=Affine(degrees=7.0),
        ),
        fingerprint=fingerprint,
    )


def make_evidence(runs: Sequence[Run], iteration: Iteration | None = None) -> Evidence:
    """Return the evidence that the rules select from runs of one iteration, at least one of them.

    Runs of none are evidence too: seeds, conditions and digests are then the builders' own.
    """
    iteration = iteration or make_iteration()
    selected = select_evidence(runs, iteration).evidence
    return (
        selected[0]
        if selected
        else Evidence(
            iteration=iteration.name,
            fingerprint=iteration.fingerprint,
            dataset=DATASET,
            conditions=CONDITIONS,
            runs=(),
            waiting=(),
            missing=(),
        )
    )


def make_verdict(
    runs: Sequence[Run], iteration: Iteration | None = None, challenge: Challenge = MNIST
) -> Verdict:
    """Return the verdict of the rules on runs of one iteration."""
    iteration = iteration or make_iteration()
    return judge(select_evidence(runs, iteration), iteration, challenge)
