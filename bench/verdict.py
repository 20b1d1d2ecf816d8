"""From evidence to a verdict: budget and reliability, then one answer and one line why."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from bench.challenges import dataset_option
from bench.consistency import Decision, decide
from bench.evidence import Evidence, Selection, find_holding, find_reached
from bench.figures import format_count, format_percent
from bench.foreign import write_words
from bench.iterations import Iteration
from bench.records import (
    MOST_IMAGES_AN_EPOCH,
    Answer,
    Challenge,
    Conditions,
)
from bench.run_table import Flags, RunTable, tabulate
from bench.targets import find_highest_target

NAMED_SEEDS = 5
"""Missing seeds that a sentence names before it breaks off."""


class Budget(Struct, frozen=True, kw_only=True):
    """Parameters strictly below, epochs and images an epoch at most what is allowed.

    `epochs` is the recipe's number or that of the longest run, `images` the most training images
    that an epoch of any run has shown.
    """

    answer: Answer
    parameters: int
    parameters_allowed: int
    epochs: int
    epochs_allowed: int
    images: int
    images_allowed: int


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
    runs = tabulate(evidence.runs if evidence else ())
    budget = reliable = None
    answer, why = Answer.UNDECIDED, _explain_absence(selection, iteration, challenge)
    if evidence and len(runs):
        budget = _judge_budget(runs, iteration, challenge)
        holds = find_holding(runs, challenge)
        reliable = decide(
            holds.tolist(),
            reliability=challenge.reliability,
            confidence=challenge.confidence,
        )
        answer = reliable.answer if budget.answer is Answer.HOLDS else Answer.FAILS
        failures = _explain_failures(runs, holds, challenge)
        why = _explain(answer, budget, reliable, failures, evidence, selection)
        if answer is Answer.HOLDS:
            why += _explain_higher(runs, challenge)
    return Verdict(
        iteration=iteration.name,
        challenge=challenge,
        answer=answer,
        why=why,
        budget=budget,
        reliable=reliable,
        evidence=evidence if len(runs) else None,
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


def find_excess(*, parameters: int, epochs: int, challenge: Challenge) -> str | None:
    """Say what of a network and its recipe is over budget before any run, `None` if nothing is."""
    budget = _hold_to_budget(parameters, epochs, 0, challenge)
    return None if budget.answer is Answer.HOLDS else _explain_budget(budget)


def _judge_budget(runs: RunTable, iteration: Iteration, challenge: Challenge) -> Budget:
    epochs = max(iteration.recipe.epochs, int(runs.lengths.max()))
    images = int(runs.epochs("training_total").max(initial=0))
    return _hold_to_budget(runs[0].cost.parameters, epochs, images, challenge)


def _hold_to_budget(parameters: int, epochs: int, images: int, challenge: Challenge) -> Budget:
    within = (
        parameters < challenge.parameters
        and epochs <= challenge.epochs
        and images <= MOST_IMAGES_AN_EPOCH
    )
    return Budget(
        answer=Answer.HOLDS if within else Answer.FAILS,
        parameters=parameters,
        parameters_allowed=challenge.parameters,
        epochs=epochs,
        epochs_allowed=challenge.epochs,
        images=images,
        images_allowed=MOST_IMAGES_AN_EPOCH,
    )


def _explain(
    answer: Answer,
    budget: Budget,
    reliable: Decision,
    failures: str,
    evidence: Evidence,
    selection: Selection,
) -> str:
    count = f"{reliable.holding} of {reliable.runs} seeds hold"
    if budget.answer is Answer.FAILS:
        return f"over budget: {_explain_budget(budget)}; {count}"
    if answer is Answer.HOLDS:
        return f"{count}; decided after {reliable.decided_after}"
    count += failures
    if answer is Answer.FAILS:
        return f"{count}; decided after {reliable.decided_after}"
    forecast = _explain_gap(evidence) if evidence.missing else _forecast(reliable)
    return "; ".join([count, forecast, *_explain_exclusions(evidence, selection)])


def _explain_failures(runs: RunTable, holds: Flags, challenge: Challenge) -> str:
    """Say of the runs that do not hold how many a milder judge would not count as that."""
    diverged = int(np.count_nonzero(~runs.finished))
    reached = runs.reduce(np.logical_or, find_reached(runs, challenge.target), False)
    tempting = int(np.count_nonzero(runs.finished & ~holds & reached))
    reasons = []
    if diverged:
        reasons.append(f"{diverged} diverged, which is not to hold")
    if tempting:
        reasons.append(
            f"{tempting} reached the target, but not in each of the last {challenge.window} epochs"
        )
    return f" ({'; '.join(reasons)})" if reasons else ""


def _explain_higher(runs: RunTable, challenge: Challenge) -> str:
    """Say up to which higher target the runs HOLD too, nothing where there is none."""
    highest = find_highest_target(runs, challenge)
    if highest == challenge.target:
        return ""
    return f"; HOLDS up to a target of {format_percent(highest)} too"


def _explain_gap(evidence: Evidence) -> str:
    absent = ", ".join(map(str, evidence.missing[:NAMED_SEEDS]))
    more = ", ..." if len(evidence.missing) > NAMED_SEEDS else ""
    return f"seeds count from 0 without a gap, so {len(evidence.waiting)} wait for {absent}{more}"


def _forecast(reliable: Decision) -> str:
    if reliable.further_seeds is None:
        return "a decision is not foreseeable at this rate"
    return f"{reliable.further_seeds} more would decide if they went as these"


def _explain_exclusions(evidence: Evidence, selection: Selection) -> list[str]:
    """Name the rules that keep recorded runs out of this evidence, with how many they keep out."""
    elsewhere = sum(
        len(other.runs) + len(other.waiting)
        for other in selection.evidence
        if other is not evidence
    )
    rules = (
        (elsewhere, "under other conditions or on other images are never pooled with these"),
        (selection.stale, "are stale: of other code"),
        (selection.tuning, "of tuning seeds never count"),
    )
    return [f"{format_count(runs)} {rule}" for runs, rule in rules if runs]


def _explain_budget(budget: Budget) -> str:
    if budget.epochs > budget.epochs_allowed:
        return f"{budget.epochs} epochs of at most {budget.epochs_allowed}"
    if budget.images > budget.images_allowed:
        return (
            f"an epoch of {format_count(budget.images)} training images, at most "
            f"{format_count(budget.images_allowed)} allowed"
        )
    return (
        f"{format_count(budget.parameters)} parameters, not fewer than "
        f"{format_count(budget.parameters_allowed)}"
    )


def _explain_absence(selection: Selection, iteration: Iteration, challenge: Challenge) -> str:
    name = f"{write_words(iteration)}{dataset_option(challenge)}"
    if any(evidence.waiting for evidence in selection.evidence):
        return (
            "seed 0 is missing, and seeds count from 0 without a gap; "
            f"run `bench run {name} --seeds 0-0`"
        )
    if selection.stale:
        return (
            f"stale: {selection.stale} runs are of other code (network, recipe or engine "
            f"changed); run `bench run {name}` again"
        )
    if selection.tuning:
        return (
            f"no runs that count: {selection.tuning} are of tuning seeds, which never do; "
            f"run `bench run {name}`"
        )
    return f"no runs; run `bench run {name}`"
