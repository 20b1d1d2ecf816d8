"""What a submission is graded: its claim beside what was measured, a verdict, one line why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from bench.anatomy import Structure
from bench.evidence import Evidence
from bench.findings.intervals import Interval, estimate_proportion
from bench.findings.ratios import make_ratios
from bench.findings.scores import best_accuracies, validation_accuracy
from bench.grading.submissions import Submission
from bench.records import Answer, Challenge, Cost, Status
from bench.verdict import Verdict

UNTRAINED = "not trained within the budget: no seed finished"
INTERRUPTED = "not trained: interrupted before"


class Mark(StrEnum):
    """A verdict, or BROKEN: what was handed in cannot be run, built or trained."""

    HOLDS = "HOLDS"
    UNDECIDED = "UNDECIDED"
    FAILS = "FAILS"
    BROKEN = "BROKEN"


class Screened(Struct, frozen=True, kw_only=True):
    """What a look at a submission has found without training it.

    `network` is the class that was taken, `notes` what had to be done to the file.
    """

    network: str
    cost: Cost
    structure: Structure | None
    notes: tuple[str, ...] = ()


class Measured(Struct, frozen=True, kw_only=True):
    """What the seeds have shown; accuracies are proportions, `None` where no run finished.

    `lower` is the lower bound of the share of all seeds that hold (Clopper-Pearson). `last` is the
    mean accuracy of the last epoch, `best` that of each run's best epoch, which flatters. Of the
    seeds, `at_claim` had an epoch as good as was claimed, `None` without a claim. `trace` are the
    training loss and the right validation images of each epoch of seed 0.
    """

    seeds: int
    holding: int
    lower: float
    last: Interval | None
    best: Fraction | None
    at_claim: int | None
    trace: tuple[tuple[float, int], ...] = ()

    @property
    def optimism(self) -> Fraction | None:
        """How much the best epoch is above the last one, on average."""
        return None if self.best is None or self.last is None else self.best - self.last.mean


class Grade(Struct, frozen=True, kw_only=True):
    """One row of the leaderboard."""

    submission: Submission
    mark: Mark
    why: str
    screened: Screened | None = None
    measured: Measured | None = None

    @property
    def parameters(self) -> int | None:
        """Declared parameters, which are what a budget counts."""
        return self.screened.cost.parameters if self.screened else None

    @property
    def network(self) -> str | None:
        """The class that was graded, as far as it is known."""
        return self.screened.network if self.screened else self.submission.network

    @property
    def claims_parameters(self) -> bool | None:
        """Whether the number of parameters is as claimed; `None` where it cannot be told."""
        claim = self.submission.claim
        if claim is None or claim.parameters is None or self.parameters is None:
            return None
        return claim.parameters.fits(self.parameters)


def mark_broken(
    submission: Submission,
    why: str,
    *,
    screened: Screened | None = None,
    verdict: Verdict | None = None,
) -> Grade:
    """Return the grade of what cannot be run, built or trained; its finished runs are shown."""
    return Grade(
        submission=submission,
        mark=Mark.BROKEN,
        why=" ".join(why.split()),
        screened=screened,
        measured=measure(verdict, submission) if verdict else None,
    )


def mark_missing(submission: Submission) -> Grade:
    """Return the grade of a claim without a file."""
    where = submission.claim.where if submission.claim else "the claims"
    return mark_broken(submission, f"claimed in {where}, and no such file is there")


def mark_undecided(submission: Submission, why: str, screened: Screened | None = None) -> Grade:
    """Return the grade of what was not trained, through no fault of its own."""
    return Grade(submission=submission, mark=Mark.UNDECIDED, why=why, screened=screened)


def mark_over_budget(submission: Submission, screened: Screened, excess: str) -> Grade:
    """Return the grade of what no seed could save: it is not trained."""
    return Grade(
        submission=submission,
        mark=Mark.FAILS,
        why=f"over budget: {excess}; not trained",
        screened=screened,
    )


def mark_judged(submission: Submission, screened: Screened, verdict: Verdict) -> Grade:
    """Return the grade that a verdict gives."""
    measured = measure(verdict, submission)
    if measured is None:
        return mark_undecided(submission, UNTRAINED, screened)
    return Grade(
        submission=submission,
        mark=Mark(verdict.answer.value),
        why=verdict.why,
        screened=screened,
        measured=measured,
    )


def is_decided(verdict: Verdict) -> bool:
    """Whether a verdict is one that further seeds do not change."""
    return verdict.answer is not Answer.UNDECIDED


def measure(verdict: Verdict, submission: Submission) -> Measured | None:
    """Return what the runs behind a verdict have shown, `None` without runs."""
    if verdict.evidence is None or verdict.reliable is None:
        return None
    claim = submission.claim
    runs = verdict.evidence.runs
    best = best_accuracies(runs)
    claimed = claim.accuracy if claim else None
    return Measured(
        seeds=len(runs),
        holding=verdict.reliable.holding,
        lower=verdict.reliable.lower,
        last=_measure_last(verdict.evidence, verdict.challenge),
        best=_average_best(verdict.evidence),
        trace=tuple((epoch.training_loss, epoch.validation_correct) for epoch in runs[0].epochs),
        at_claim=None if claimed is None else sum(accuracy >= claimed for accuracy in best),
    )


def _measure_last(evidence: Evidence, challenge: Challenge) -> Interval | None:
    finished = [run for run in evidence.runs if run.status is Status.FINISHED and run.epochs]
    last = [validation_accuracy(run.epochs[-1]) for run in finished]
    return estimate_proportion(make_ratios(last), confidence=float(challenge.confidence))


def _average_best(evidence: Evidence) -> Fraction | None:
    """Return the mean of the best epochs of those runs that have a last one."""
    finished = [run for run in evidence.runs if run.status is Status.FINISHED and run.epochs]
    best = best_accuracies(finished)
    return sum(best, Fraction(0)) / len(best) if best else None


def find_alike(grades: Sequence[Grade]) -> tuple[tuple[str, ...], ...]:
    """Return groups of files whose first seeds went alike in every epoch: one network, one recipe.

    Two networks that differ in anything that trains differ in their losses.
    """
    groups: dict[tuple[tuple[float, int], ...], list[str]] = defaultdict(list)
    for grade in grades:
        if grade.measured is not None and grade.measured.trace:
            groups[grade.measured.trace].append(grade.submission.file)
    return tuple(tuple(sorted(files)) for files in groups.values() if len(files) > 1)
