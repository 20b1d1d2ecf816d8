"""The author's sentences, tested: each is tied to a finding by a criterion that is stated here.

Every criterion asks whether an interval over seeds lies wholly on one side of a margin. If it does,
the sentence is confirmed or contradicted; if it reaches over the margin, it is undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from bench.challenges import shows_digits
from bench.figures import cut_points, format_count, format_percent
from bench.findings import Findings, Interval, Share, measure_share
from bench.records import Answer, Challenge
from bench.verdict import Verdict
from models.recipe import Narrative, Says, Statement

OVERFITTING = Fraction("0.001")
"""To overfit: training accuracy 0.1 points above validation accuracy, or more."""

FALL = Fraction("0.0001")
"""To fall: to lose 0.01 points an epoch, or more; one image of 10,000."""

SLOW_SHARE = Fraction(1, 3)
"""To be slow: most seeds are not near the target within this share of the epochs allowed."""

CLOSE = Fraction("0.002")
"""To be close below the target: at most 0.2 points."""

DIFFICULT_SHARE = Fraction(1, 2)
"""Many difficult digits: more than this share of the errors that the target allows."""

REACHABLE = Fraction(1, 10)
"""To be within reach: this share of seeds is there in some epoch, or more."""


class Mark(StrEnum):
    """What the runs say of a sentence."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"

    def negate(self) -> Mark:
        """Return what the runs say of the opposite sentence."""
        return _OPPOSITE[self]


_OPPOSITE = {
    Mark.CONFIRMED: Mark.CONTRADICTED,
    Mark.CONTRADICTED: Mark.CONFIRMED,
    Mark.UNDECIDED: Mark.UNDECIDED,
}
_MARKS = {
    Answer.HOLDS: Mark.CONFIRMED,
    Answer.FAILS: Mark.CONTRADICTED,
    Answer.UNDECIDED: Mark.UNDECIDED,
}


class Sentence(Struct, frozen=True, kw_only=True):
    """A line of an analysis; mark and figure are `None` where it cannot be measured."""

    text: str
    mark: Mark | None
    figure: str | None


class Measured(Struct, frozen=True, kw_only=True):
    """Whether what is asked is so, and the figure that says it in one sentence."""

    mark: Mark
    figure: str


class Case(Struct, frozen=True, kw_only=True):
    """What a question is put to."""

    verdict: Verdict
    findings: Findings

    @property
    def challenge(self) -> Challenge:
        """The challenge that the runs were judged by."""
        return self.verdict.challenge


class Question(Struct, frozen=True, kw_only=True):
    """One question to the runs, in both ways of saying it and with both sentences for it."""

    affirms: Says
    denies: Says
    yes: str
    no: str
    measure: Callable[[Case], Measured]


def analyse(
    narrative: Narrative, verdict: Verdict, findings: Findings | None
) -> tuple[Sentence, ...]:
    """Return the author's sentences, tested; without any, a diagnosis made from the runs.

    On images that they were not said of, the author's sentences stay as they are.
    """
    if not narrative.analysis:
        return diagnose(verdict, findings)
    if not speaks_of(narrative, verdict.challenge):
        return tuple(_quote(line) for line in narrative.analysis)
    return tuple(_test(line, verdict, findings) for line in narrative.analysis)


def speaks_of(narrative: Narrative, challenge: Challenge) -> bool:
    """Say whether claim and analysis of an iteration are about a challenge's images."""
    return narrative.about in (challenge.dataset, challenge.name)


def _quote(line: str | Statement) -> Sentence:
    text = line if isinstance(line, str) else line.text
    return Sentence(text=text, mark=None, figure=None)


def diagnose(verdict: Verdict, findings: Findings | None) -> tuple[Sentence, ...]:
    """Return what the runs say to every question, in the words that they bear out."""
    if findings is None:
        return ()
    case = Case(verdict=verdict, findings=findings)
    return tuple(_answer(question, case) for question in QUESTIONS)


def _answer(question: Question, case: Case) -> Sentence:
    measured, text = question.measure(case), question.yes
    mark = measured.mark
    if mark is Mark.CONTRADICTED:
        mark, text = mark.negate(), question.no
    if not shows_digits(case.challenge):
        text = text.replace("digits", "images")
    return Sentence(text=text, mark=mark, figure=measured.figure)


def _test(line: str | Statement, verdict: Verdict, findings: Findings | None) -> Sentence:
    if isinstance(line, str):
        return _quote(line)
    if findings is None:
        return Sentence(text=line.text, mark=Mark.UNDECIDED, figure="No runs yet.")
    question = next(q for q in QUESTIONS if line.says in (q.affirms, q.denies))
    measured = question.measure(Case(verdict=verdict, findings=findings))
    mark = measured.mark if line.says == question.affirms else measured.mark.negate()
    return Sentence(text=line.text, mark=mark, figure=measured.figure)


def _measure_overfitting(case: Case) -> Measured:
    gap = case.findings.summary.training_gap
    return Measured(
        mark=_is_at_least(gap, OVERFITTING),
        figure="Training minus validation accuracy in the last epoch: "
        f"{_write_points(gap, case.challenge)}. To overfit is {cut_points(OVERFITTING)} or more.",
    )


def _measure_fall(case: Case) -> Measured:
    fall = _negate(case.findings.summary.late_trend)
    return Measured(
        mark=_is_at_least(fall, FALL),
        figure="Loss of validation accuracy per epoch in the second half of the epochs: "
        f"{_write_points(fall, case.challenge)}. To fall is {cut_points(FALL)} or more.",
    )


def _measure_slowness(case: Case) -> Measured:
    near, challenge = case.findings.near_target, case.challenge
    soon = int(challenge.epochs * SLOW_SHARE)
    late = sum(epoch is None or epoch > soon for epoch in near.by_seed)
    share = measure_share(late, len(near.by_seed), confidence=float(challenge.confidence))
    median = "never" if near.median is None else f"epoch {float(near.median):g}"
    return Measured(
        mark=_is_above(share, Fraction(1, 2)),
        figure=f"First at {format_percent(near.accuracy)}, median: {median}. Later than epoch "
        f"{soon}: {_write_share(share)}. To be slow is more than half.",
    )


def _measure_consistency(case: Case) -> Measured:
    challenge, reliable = case.challenge, case.verdict.reliable
    if reliable is None:
        return Measured(mark=Mark.UNDECIDED, figure="No runs yet.")
    return Measured(
        mark=_MARKS[reliable.answer],
        figure=f"{_count(reliable.holding, reliable.runs)} hold the target in each of the last "
        f"{challenge.window} epochs: {reliable.answer} for "
        f"{format_percent(challenge.reliability, decimals=0)} of all seeds.",
    )


def _measure_weight(case: Case) -> Measured:
    budget = case.verdict.budget
    if budget is None:
        return Measured(mark=Mark.UNDECIDED, figure="No runs yet.")
    heavy = budget.parameters >= budget.parameters_allowed
    return Measured(
        mark=Mark.CONFIRMED if heavy else Mark.CONTRADICTED,
        figure=f"{format_count(budget.parameters)} parameters. To be light enough is fewer than "
        f"{format_count(budget.parameters_allowed)}.",
    )


def _measure_difficult_digits(case: Case) -> Measured:
    difficulty, challenge = case.findings.difficulty, case.challenge
    if difficulty.images is None or difficulty.possibly_hard is None:
        return Measured(mark=Mark.UNDECIDED, figure="No seed finished.")
    allowed = difficulty.images - challenge.required(difficulty.images)
    limit = int(allowed * DIFFICULT_SHARE)
    mark = Mark.UNDECIDED
    if difficulty.surely_hard > limit:
        mark = Mark.CONFIRMED
    elif difficulty.possibly_hard <= limit:
        mark = Mark.CONTRADICTED
    return Measured(
        mark=mark,
        figure=f"{format_count(len(difficulty.hard))} images are wrong in most of "
        f"{_number(difficulty.seeds, 'seed')}, surely {format_count(difficulty.surely_hard)} and "
        f"possibly {format_count(difficulty.possibly_hard)}. Many is more than "
        f"{format_count(limit)}, half of the errors that the target allows.",
    )


def _measure_closeness(case: Case) -> Measured:
    challenge, mean = case.challenge, case.findings.summary.window_accuracy
    shortfall = _negate(mean, start=challenge.target)
    reached = _is_at_least(_negate(shortfall), Fraction(0))
    beyond = _is_at_least(_negate(shortfall), -CLOSE)
    mark = Mark.UNDECIDED
    if reached is Mark.CONFIRMED or beyond is Mark.CONTRADICTED:
        mark = Mark.CONTRADICTED
    elif reached is Mark.CONTRADICTED and beyond is Mark.CONFIRMED:
        mark = Mark.CONFIRMED
    return Measured(
        mark=mark,
        figure=f"Mean of the last {challenge.window} epochs minus the target: "
        f"{_write_points(_negate(shortfall), challenge)}. To be close below it is "
        f"{cut_points(-CLOSE)} or more, and less than 0.",
    )


def _measure_reach(case: Case) -> Measured:
    above, challenge = case.findings.above_target, case.challenge
    seeds = len(above.by_seed)
    share = measure_share(seeds - above.never, seeds, confidence=float(challenge.confidence))
    return Measured(
        mark=_is_above(share, REACHABLE),
        figure=f"At {format_percent(above.accuracy)} in some epoch: {_write_share(share)}. To be "
        f"within reach is more than {format_percent(REACHABLE, decimals=0)}.",
    )


QUESTIONS = (
    Question(
        affirms="is consistent",
        denies="is not consistent",
        yes="It is consistent in the final epochs.",
        no="It is not consistent in the final epochs.",
        measure=_measure_consistency,
    ),
    Question(
        affirms="is too heavy",
        denies="is light enough",
        yes="It is too heavy.",
        no="It is light enough.",
        measure=_measure_weight,
    ),
    Question(
        affirms="overfits",
        denies="does not overfit",
        yes="It overfits.",
        no="It does not overfit.",
        measure=_measure_overfitting,
    ),
    Question(
        affirms="falls in later epochs",
        denies="does not fall in later epochs",
        yes="Validation accuracy falls in later epochs.",
        no="Validation accuracy does not fall in later epochs.",
        measure=_measure_fall,
    ),
    Question(
        affirms="converges slowly",
        denies="does not converge slowly",
        yes="It converges slowly.",
        no="It does not converge slowly.",
        measure=_measure_slowness,
    ),
    Question(
        affirms="is close below the target",
        denies="is not close below the target",
        yes="Its mean is close below the target.",
        no="Its mean is not close below the target.",
        measure=_measure_closeness,
    ),
    Question(
        affirms="has many difficult digits",
        denies="has few difficult digits",
        yes="It has many difficult digits.",
        no="It has few difficult digits.",
        measure=_measure_difficult_digits,
    ),
    Question(
        affirms="could reach 0.1 points more",
        denies="could not reach 0.1 points more",
        yes="0.1 points more are within reach.",
        no="0.1 points more are not within reach.",
        measure=_measure_reach,
    ),
)


def _is_at_least(interval: Interval | None, margin: Fraction) -> Mark:
    """Say whether an interval lies at or above a margin; one seed has no interval to say so."""
    if interval is None or interval.lower is None or interval.upper is None:
        return Mark.UNDECIDED
    if interval.lower >= float(margin):
        return Mark.CONFIRMED
    return Mark.CONTRADICTED if interval.upper < float(margin) else Mark.UNDECIDED


def _is_above(share: Share, margin: Fraction) -> Mark:
    """Say whether both exact bounds of a share lie on one side of a margin."""
    if share.lower > float(margin):
        return Mark.CONFIRMED
    return Mark.CONTRADICTED if share.upper < float(margin) else Mark.UNDECIDED


def _negate(interval: Interval | None, *, start: Fraction = Fraction(0)) -> Interval | None:
    """Return `start` minus an interval."""
    if interval is None:
        return None
    lower, upper = interval.lower, interval.upper
    return Interval(
        mean=start - interval.mean,
        lower=None if upper is None else round(float(start) - upper, 12),
        upper=None if lower is None else round(float(start) - lower, 12),
    )


def _write_points(interval: Interval | None, challenge: Challenge) -> str:
    if interval is None:
        return "no seed finished"
    mean = cut_points(interval.mean)
    if interval.lower is None or interval.upper is None:
        return f"{mean} (an interval needs two seeds)"
    level = format_percent(challenge.confidence, decimals=0)
    lower = cut_points(interval.lower).removesuffix(" points")
    return f"{mean} ({level} interval {lower} to {cut_points(interval.upper)})"


def _write_share(share: Share) -> str:
    lower, upper = (format_percent(bound, decimals=1) for bound in (share.lower, share.upper))
    return f"{_count(share.part, share.whole)} (exact bounds {lower} to {upper})"


def _count(part: int, whole: int) -> str:
    return f"{format_count(part)} of {_number(whole, 'seed')}"


def _number(count: int, noun: str) -> str:
    return f"{format_count(count)} {noun}" if count == 1 else f"{format_count(count)} {noun}s"
