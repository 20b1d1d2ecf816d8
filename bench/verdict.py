"""From evidence to a verdict: budget and reliability, then one answer and one line why."""

from __future__ import annotations

from msgspec import Struct

from bench.consistency import Decision, decide
from bench.evidence import Evidence, Selection, run_holds
from bench.figures import format_count
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Conditions


class Budget(Struct, frozen=True, kw_only=True):
    """Parameters strictly below, epochs at most what the challenge allows."""

    answer: Answer
    parameters: int
    parameters_allowed: int
    epochs: int
    epochs_allowed: int


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer on one iteration under one set of conditions.

    `budget` and `reliable` are `None` when there is no evidence; `why` is one sentence.
    """

    iteration: str
    challenge: Challenge
    answer: Answer
    why: str
    budget: Budget | None
    reliable: Decision | None
    evidence: Evidence | None
    stale: int
    tuning: int


def judge(
    selection: Selection,
    iteration: Iteration,
    challenge: Challenge,
    conditions: Conditions | None = None,
) -> Verdict:
    """Judge an iteration under the given conditions, by default those with the most runs."""
    return _judge_evidence(selection.under(conditions), selection, iteration, challenge)


def _judge_evidence(
    evidence: Evidence | None, selection: Selection, iteration: Iteration, challenge: Challenge
) -> Verdict:
    runs = evidence.runs if evidence else ()
    budget = reliable = None
    answer, why = Answer.UNDECIDED, _explain_absence(selection, iteration.name)
    if evidence and runs:
        budget = _judge_budget(runs[0].cost.parameters, iteration, challenge)
        reliable = decide(
            [run_holds(run, challenge) for run in runs],
            reliability=challenge.reliability,
            confidence=challenge.confidence,
        )
        answer, why = _combine(budget, reliable, evidence)
    return Verdict(
        iteration=iteration.name,
        challenge=challenge,
        answer=answer,
        why=why,
        budget=budget,
        reliable=reliable,
        evidence=evidence if runs else None,
        stale=selection.stale,
        tuning=selection.tuning,
    )


def judge_all(
    selection: Selection, iteration: Iteration, challenge: Challenge
) -> tuple[Verdict, ...]:
    """Judge an iteration under each set of conditions; without evidence, once."""
    return tuple(
        _judge_evidence(evidence, selection, iteration, challenge)
        for evidence in selection.evidence or (None,)
    )


def _judge_budget(parameters: int, iteration: Iteration, challenge: Challenge) -> Budget:
    epochs = iteration.recipe.epochs
    within = parameters < challenge.parameters and epochs <= challenge.epochs
    return Budget(
        answer=Answer.HOLDS if within else Answer.FAILS,
        parameters=parameters,
        parameters_allowed=challenge.parameters,
        epochs=epochs,
        epochs_allowed=challenge.epochs,
    )


def _combine(budget: Budget, reliable: Decision, evidence: Evidence) -> tuple[Answer, str]:
    count = f"{reliable.holding} of {reliable.runs} seeds hold"
    if budget.answer is Answer.FAILS:
        return Answer.FAILS, f"over budget: {_explain_budget(budget)}; {count}"
    if reliable.answer is not Answer.UNDECIDED:
        return reliable.answer, f"{count}; decided after {reliable.decided_after}"
    if evidence.missing:
        absent = ", ".join(map(str, evidence.missing[:5]))
        return Answer.UNDECIDED, f"{count}; seeds beyond a gap wait for {absent}"
    if reliable.further_seeds is None:
        return Answer.UNDECIDED, f"{count}; a decision is not foreseeable at this rate"
    return (
        Answer.UNDECIDED,
        f"{count}; {reliable.further_seeds} more would decide if they went as these",
    )


def _explain_budget(budget: Budget) -> str:
    if budget.epochs > budget.epochs_allowed:
        return f"{budget.epochs} epochs of at most {budget.epochs_allowed}"
    return (
        f"{format_count(budget.parameters)} parameters, fewer than "
        f"{format_count(budget.parameters_allowed)} allowed"
    )


def _explain_absence(selection: Selection, name: str) -> str:
    if any(evidence.waiting for evidence in selection.evidence):
        return f"seed 0 is missing; run `bench run {name} --seeds 0-0`"
    if selection.stale:
        return (
            f"stale: {selection.stale} runs are of other code (network, recipe or engine "
            f"changed); run `bench run {name}` again"
        )
    return f"no runs; run `bench run {name}`"
