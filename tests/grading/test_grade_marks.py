"""What runs say of a submission, and which submissions are one network under several names."""

from __future__ import annotations

from fractions import Fraction

import builders
import pytest
from grades import make_grade, make_measured, make_screened, make_submission
from msgspec.structs import replace

from bench.challenges import MNIST
from bench.grading.marks import (
    Mark,
    find_alike,
    mark_broken,
    mark_judged,
    mark_missing,
    mark_over_budget,
    measure,
)
from bench.verdict import find_excess


def judge(*counts: tuple[int, ...]):
    runs = [builders.make_run(seed=n, validation_correct=c) for n, c in enumerate(counts)]
    return builders.make_verdict(runs)


def test_runs_are_measured_by_their_last_epoch_and_held_against_the_claim():
    """Means by hand: (9,946 + 9,939) / 2 and (9,947 + 9,947) / 2 of 10,000."""
    claimed = make_submission(accuracy=Fraction("0.9947"))
    measured = measure(judge(builders.STEADY, builders.SHAKY), claimed)

    assert measured is not None
    assert (measured.seeds, measured.holding) == (2, 1)
    assert measured.last is not None
    assert measured.last.mean == Fraction(19_885, 20_000)
    assert measured.best == Fraction("0.9947")
    assert measured.optimism == Fraction("0.9947") - Fraction(19_885, 20_000)
    assert measured.at_claim == 2
    higher = make_submission(accuracy=Fraction("0.9948"))
    assert measure(judge(builders.STEADY), higher).at_claim == 0
    assert measure(judge(builders.STEADY), make_submission(claimed=False)).at_claim is None


def test_a_diverged_run_counts_as_a_seed_and_has_no_last_epoch():
    """It is not averaged, and not forgotten."""
    runs = [builders.make_diverged(seed=0, epochs=2)]
    measured = measure(builders.make_verdict(runs), make_submission())

    assert measured is not None
    assert (measured.seeds, measured.holding, measured.last, measured.best) == (1, 0, None, None)


@pytest.mark.parametrize(
    ("runs", "mark"),
    [
        ([builders.STEADY] * 33, Mark.HOLDS),
        ([builders.SHAKY] * 2, Mark.FAILS),
        ([builders.STEADY], Mark.UNDECIDED),
    ],
)
def test_a_verdict_is_the_mark(runs: list[tuple[int, ...]], mark: Mark):
    """With its reason in the verdict's own words."""
    verdict = judge(*runs)
    grade = mark_judged(make_submission(), make_screened(), verdict)

    assert (grade.mark, grade.why) == (mark, verdict.why)


def test_what_no_seed_was_finished_of_says_so():
    """It is not decided, and not its fault."""
    grade = mark_judged(make_submission(), make_screened(), judge())

    assert grade.mark is Mark.UNDECIDED
    assert grade.why == "not trained within the budget: no seed finished"


@pytest.mark.parametrize(
    ("parameters", "epochs", "says"),
    [
        (9_999, 15, None),
        (10_000, 15, "10,000 parameters, not fewer than 10,000"),
        (7_924, 16, "16 epochs of at most 15"),
    ],
)
def test_over_budget_fails_without_a_seed(parameters: int, epochs: int, says: str | None):
    """Strictly fewer parameters, at most so many epochs; no run could change it."""
    excess = find_excess(parameters=parameters, epochs=epochs, challenge=MNIST)

    assert excess == says
    if excess is not None:
        grade = mark_over_budget(make_submission(), make_screened(), excess)
        assert (grade.mark, grade.measured) == (Mark.FAILS, None)
        assert grade.why == f"over budget: {says}; not trained"


def test_what_is_broken_or_missing_is_one_line():
    """Line ends of an error are gone."""
    assert mark_broken(make_submission(), "a\n  b").why == "a b"
    assert mark_missing(make_submission()).why == (
        "claimed in claims.csv:2, and no such file is there"
    )


def test_files_that_train_alike_are_named_together():
    """One image or one digit of a loss more, and they are not alike."""
    alike = make_measured(trace=((0.5, 9_800), (0.25, 9_900)))
    other = make_measured(trace=((0.5, 9_800), (0.25, 9_901)))
    listed = [
        replace(make_grade(file=file), measured=measured)
        for file, measured in [("b.py", alike), ("c.py", other), ("a.py", alike), ("d.py", None)]
    ]

    assert find_alike(listed) == (("a.py", "b.py"),)
