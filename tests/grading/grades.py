"""Grades that nobody earned: a test names only what matters to it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from torch import nn

from bench.findings.intervals import Interval
from bench.grading.claims import Claimed
from bench.grading.marks import Grade, Mark, Measured, Screened
from bench.grading.numbers import parse_count
from bench.grading.submissions import Submission
from bench.records import Cost
from bench.structure import describe_structure

STRUCTURE = describe_structure(
    nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1),
        nn.Conv2d(8, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )
)  # fmt: skip


def make_submission(
    file: str = "anna.py",
    *,
    claimed: bool = True,
    parameters: str = "7,924",
    accuracy: Fraction | None = Fraction("0.9942"),
    student: str | None = None,
) -> Submission:
    """Return a file that was handed in, with or without a claim."""
    claim = Claimed(
        where="claims.csv:2",
        file=file,
        student=student,
        parameters=parse_count(parameters),
        accuracy=accuracy,
        epoch=14,
    )
    return Submission(file=file, path=Path(file), claim=claim if claimed else None)


def make_screened(
    *, parameters: int = 7_924, reached: int | None = None, network: str = "Net",
    notes: tuple[str, ...] = (),
) -> Screened:  # fmt: skip
    """Return what a look at a submission found."""
    cost = Cost(
        parameters=parameters,
        reached_parameters=parameters if reached is None else reached,
        macs=1,
        layers=(),
        uncounted=(),
    )
    return Screened(network=network, cost=cost, structure=STRUCTURE, notes=notes)


def make_measured(
    *,
    seeds: int = 10,
    holding: int = 9,
    lower: float = 0.5,
    trace: tuple[tuple[float, int], ...] = (),
) -> Measured:
    """Return what some seeds have shown: 99.39999 % in the last epoch, 99.41 % in the best."""
    return Measured(
        seeds=seeds,
        holding=holding,
        lower=lower,
        last=Interval(mean=Fraction("0.9939999"), lower=0.993, upper=0.995),
        best=Fraction("0.9941"),
        at_claim=2,
        trace=trace,
    )


def make_grade(
    mark: Mark = Mark.HOLDS,
    *,
    file: str = "anna.py",
    why: str = "33 of 33 seeds hold",
    lower: float | None = 0.5,
    parameters: int | None = 7_924,
    submission: Submission | None = None,
    screened: Screened | None = None,
) -> Grade:
    """Return one row; without `lower` it was not trained, without `parameters` not looked at."""
    found = None if parameters is None else make_screened(parameters=parameters)
    return Grade(
        submission=submission or make_submission(file),
        mark=mark,
        why=why,
        screened=screened or found,
        measured=None if lower is None else make_measured(lower=lower),
    )
