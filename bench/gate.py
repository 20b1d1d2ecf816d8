"""From verdicts to an exit code, and to what stands in the way: which check, and what to run next.

A gate makes up to five checks of an iteration, each with one of three answers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from bench.baselines import NonInferiority, Standing
from bench.challenges import KNOWN_DIGESTS, MNIST, title_dataset
from bench.evidence import Evidence, Selection
from bench.figures import format_count, format_percent
from bench.foreign import write_words
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Conditions
from bench.report.commands import dataset_option
from bench.report.wording import format_seeds, write_seeds
from bench.settings import GateConditions
from bench.verdict import NAMED_SEEDS, Budget, Verdict, judge

EXIT_CODES = {Answer.HOLDS: 0, Answer.FAILS: 1, Answer.UNDECIDED: 3}
_STANDINGS = {
    Standing.NOT_WORSE: Answer.HOLDS,
    Standing.WORSE: Answer.FAILS,
    Standing.UNDECIDED: Answer.UNDECIDED,
}
_MOST_NAMED_DIGESTS = 3
_MOST_NAMED_RANGES = 50
"""Blocks of missing seeds that a command names; when those are trained, the next are named."""


class Check(StrEnum):
    """What a gate looks at."""

    EVIDENCE = "evidence"
    SEEDS = "seeds"
    BUDGET = "budget"
    ACCURACY = "accuracy"
    BASELINE = "baseline"


class Outcome(Struct, frozen=True, kw_only=True):
    """What one check found: `text` is a sentence without its end, `command` what to run next.

    `answer` is `None` where there was nothing to check.
    """

    check: Check
    answer: Answer | None
    text: str
    command: str | None = None

    @property
    def is_problem(self) -> bool:
        """Whether it keeps the gate shut."""
        return self.answer in (Answer.FAILS, Answer.UNDECIDED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gated:
    """One iteration at the gate, with the evidence of the conditions that count.

    `standing` is how it stands to what it is compared with, `None` when it is not.
    """

    iteration: Iteration
    verdict: Verdict
    evidence: Evidence | None
    outcomes: tuple[Outcome, ...]
    standing: NonInferiority | None = None

    @property
    def title(self) -> str:
        """The iteration, with the challenge where that is not MNIST."""
        challenge = self.verdict.challenge
        return f"{self.verdict.iteration}{'' if challenge == MNIST else f' on {challenge.name}'}"

    @property
    def answer(self) -> Answer:
        """FAILS when any check does, else UNDECIDED when any is, else HOLDS."""
        return join_answers(outcome.answer for outcome in self.outcomes)

    @property
    def problems(self) -> tuple[Outcome, ...]:
        """The checks that keep the gate shut."""
        return tuple(outcome for outcome in self.outcomes if outcome.is_problem)


def exit_code(answers: Iterable[Answer]) -> int:
    """Return 1 when any answer is FAILS, else 3 when any is UNDECIDED, else 0."""
    return EXIT_CODES[join_answers(answers)]


def join_answers(answers: Iterable[Answer | None]) -> Answer:
    """Return the worst of some answers; FAILS outweighs UNDECIDED, and no answer is none."""
    found = set(answers)
    for answer in (Answer.FAILS, Answer.UNDECIDED):
        if answer in found:
            return answer
    return Answer.HOLDS


def hold_to_gate(
    iteration: Iteration,
    selection: Selection,
    challenge: Challenge,
    required: GateConditions,
    standing: NonInferiority | None = None,
    *,
    ledger: str | None = None,
) -> Gated:
    """Judge an iteration under the conditions with most runs that the gate allows.

    Runs on other images than a known dataset's do not count. `ledger` is the folder that commands
    have to name, `None` when it is the project's.
    """
    everything, selection = selection, keep_known_images(selection, challenge)
    others = [each for each in everything.evidence if each not in selection.evidence]
    conditions = choose_conditions(selection, required)
    is_elsewhere = conditions is None and required != GateConditions()
    if is_elsewhere:
        selection = replace(selection, evidence=())
    verdict = judge(selection, iteration, challenge, conditions)
    evidence = selection.under(conditions)
    run = _Commands(iteration=iteration, challenge=challenge, evidence=evidence, ledger=ledger)
    elsewhere = _describe_other_images(others, challenge)
    return Gated(
        iteration=iteration,
        verdict=verdict,
        evidence=evidence,
        standing=standing,
        outcomes=(
            _check_evidence(
                verdict, evidence, required if is_elsewhere else None, run, elsewhere=elsewhere
            ),
            _check_seeds(verdict, evidence, run),
            _check_budget(verdict.budget, run),
            _check_accuracy(verdict, evidence, run),
            *([_check_baseline(standing, run)] if standing else []),
        ),
    )


def choose_conditions(selection: Selection, required: GateConditions) -> Conditions | None:
    """Return the conditions with most runs that the gate allows, `None` if there are none."""
    for evidence in selection.evidence:
        if evidence.runs and _allows(required, evidence.conditions):
            return evidence.conditions
    return None


def keep_known_images(selection: Selection, challenge: Challenge) -> Selection:
    """Return a selection with the evidence alone on the images of the challenge's dataset.

    They are known by their digest. Where none is known, all evidence is kept.
    """
    known = KNOWN_DIGESTS.get(challenge.dataset)
    kept = [each for each in selection.evidence if known in (None, each.dataset)]
    return replace(selection, evidence=tuple(kept))


def restrict(selection: Selection, required: GateConditions) -> Selection:
    """Return a selection with the evidence alone that the gate allows."""
    allowed = [e for e in selection.evidence if _allows(required, e.conditions)]
    return replace(selection, evidence=tuple(allowed))


def _allows(required: GateConditions, found: Conditions) -> bool:
    return all(wanted in (None, given) for _, wanted, given in _pair_conditions(required, found))


def _pair_conditions(
    required: GateConditions, found: Conditions | None
) -> Iterator[tuple[str, object, object]]:
    for name in GateConditions.__struct_fields__:
        yield name, getattr(required, name), getattr(found, name, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Commands:
    """Writes what to run for one iteration, under the conditions that the gate looked at."""

    iteration: Iteration
    challenge: Challenge
    evidence: Evidence | None
    ledger: str | None

    def train(self, seeds: str | None = None) -> str:
        wanted = f" --seeds {seeds}" if seeds else ""
        return f"bench run {write_words(self.iteration)}{wanted}{self._conditions()}{self._place()}"

    def count(self) -> str:
        return f"bench cost {write_words(self.iteration)}{dataset_option(self.challenge)}"

    def report(self) -> str:
        return f"bench report{self._place()}"

    def _place(self) -> str:
        ledger = f" --ledger {shlex.quote(self.ledger)}" if self.ledger else ""
        return f"{dataset_option(self.challenge)}{ledger}"

    def _conditions(self) -> str:
        if self.evidence is None:
            return ""
        found = self.evidence.conditions
        device = found.device.split(maxsplit=1)[0] if found.device.strip() else "auto"
        block = f" --block {found.block}" if found.block > 1 else ""
        return f" --device {shlex.quote(device)} --engine {shlex.quote(found.engine)}{block}"


def _describe_other_images(others: Sequence[Evidence], challenge: Challenge) -> str:
    if not others:
        return ""
    runs = sum(len(each.runs) + len(each.waiting) for each in others)
    digests = ", ".join(sorted({each.dataset[:12] for each in others})[:_MOST_NAMED_DIGESTS])
    return (
        f"{_count(runs, 'run')} on images that are not those of {title_dataset(challenge)} "
        f"(digest {digests})"
    )


def _check_evidence(
    verdict: Verdict,
    evidence: Evidence | None,
    required: GateConditions | None,
    run: _Commands,
    *,
    elsewhere: str,
) -> Outcome:
    if verdict.evidence:
        text = f"{_count(len(verdict.evidence.runs), 'run')} of this code count"
        besides = f"; {elsewhere} do not" if elsewhere else ""
        return _outcome(Check.EVIDENCE, Answer.HOLDS, f"{text}{besides}")
    if evidence and evidence.waiting:
        waiting = len(evidence.waiting)
        text = f"{_count(waiting, 'run')} of this code, of which none counts without seed 0"
        return _outcome(Check.EVIDENCE, None, text)
    if elsewhere:
        return _outcome(
            Check.EVIDENCE, Answer.UNDECIDED, f"{elsewhere}, which never count", run.train()
        )
    if required:
        wanted = ", ".join(
            f"{name} = {value}" for name, value, _ in _pair_conditions(required, None) if value
        )
        text = f"no runs that count under the conditions that the gate requires ({wanted})"
        return _outcome(Check.EVIDENCE, Answer.UNDECIDED, text, run.train())
    if verdict.stale:
        text = (
            f"stale: {_count(verdict.stale, 'run')} of other code; network, recipe or engine has "
            "changed since"
        )
        return _outcome(Check.EVIDENCE, Answer.UNDECIDED, text, run.train())
    tuning = f"; {verdict.tuning} of tuning seeds never do" if verdict.tuning else ""
    return _outcome(Check.EVIDENCE, Answer.UNDECIDED, f"no runs that count{tuning}", run.train())


def _check_seeds(verdict: Verdict, evidence: Evidence | None, run: _Commands) -> Outcome:
    decided = verdict.reliable is not None and verdict.reliable.answer is not Answer.UNDECIDED
    if evidence is None:
        return _outcome(Check.SEEDS, None, "no runs, and so no seed that is missing")
    if decided or not evidence.missing:
        return _outcome(Check.SEEDS, Answer.HOLDS, "no missing seed stands in the way")
    missing = evidence.missing
    named = format_seeds(missing[:NAMED_SEEDS]) + (", ..." if len(missing) > NAMED_SEEDS else "")
    text = (
        f"{'seed' if len(missing) == 1 else 'seeds'} {named} missing; seeds count from 0 without "
        f"a gap, so {format_count(len(evidence.waiting))} wait"
    )
    ranges = write_seeds(missing).split(",")[:_MOST_NAMED_RANGES]
    return _outcome(Check.SEEDS, Answer.UNDECIDED, text, run.train(",".join(ranges)))


def _check_budget(budget: Budget | None, run: _Commands) -> Outcome:
    if budget is None:
        return _outcome(Check.BUDGET, None, "no run that counts tells what the network has")
    parameters = format_count(budget.parameters)
    most = format_count(budget.parameters_allowed)
    if budget.answer is Answer.HOLDS:
        text = f"{parameters} parameters, fewer than {most}; {budget.epochs} epochs"
        return _outcome(Check.BUDGET, Answer.HOLDS, text)
    over, command = [], run.train()
    if budget.parameters >= budget.parameters_allowed:
        over.append(f"{parameters} parameters, not fewer than {most}")
        command = run.count()
    if budget.epochs > budget.epochs_allowed:
        over.append(f"{budget.epochs} epochs, at most {budget.epochs_allowed} allowed")
    if budget.images > budget.images_allowed:
        images, allowed = map(format_count, (budget.images, budget.images_allowed))
        over.append(f"{images} training images in an epoch, at most {allowed} allowed")
    return _outcome(Check.BUDGET, Answer.FAILS, f"over: {'; '.join(over)}", command)


def _check_accuracy(verdict: Verdict, evidence: Evidence | None, run: _Commands) -> Outcome:
    decision = verdict.reliable
    if decision is None or evidence is None:
        return _outcome(Check.ACCURACY, None, "no run that counts tells whether seeds hold")
    counted = f"{format_count(decision.holding)} of {format_count(decision.runs)} seeds hold"
    asked = format_percent(verdict.challenge.reliability, decimals=0)
    if decision.answer is Answer.HOLDS:
        return _outcome(Check.ACCURACY, Answer.HOLDS, f"{counted}; at least {asked} of all do")
    if decision.answer is Answer.FAILS:
        text = f"does not hold: {counted}; fewer than {asked} of all do"
        return _outcome(Check.ACCURACY, Answer.FAILS, text, run.report())
    if evidence.missing or verdict.answer is Answer.FAILS:
        # the missing seeds come first; and nothing decides for what is over its budget
        return _outcome(Check.ACCURACY, None, f"{counted}, which does not decide yet")
    more = decision.further_seeds
    if more is None:
        text = f"undecided: {counted}; no number of seeds decides at this rate"
        return _outcome(Check.ACCURACY, Answer.UNDECIDED, text, run.train())
    text = f"undecided: {counted}; {format_count(more)} more would decide if they went as these"
    seeds = f"{decision.runs}-{decision.runs + more - 1}"
    return _outcome(Check.ACCURACY, Answer.UNDECIDED, text, run.train(seeds))


def _check_baseline(standing: NonInferiority, run: _Commands) -> Outcome:
    answer = _STANDINGS[standing.answer]
    old = f"{standing.old.iteration} in {standing.old.source}"
    text = f"{standing.answer.lower()} than {old}: {standing.why}"
    if standing.answer is Standing.UNDECIDED:
        text = f"not shown to be as good as {old}: {standing.why}"
    command = None
    if answer is Answer.FAILS:
        command = run.report()
    elif answer is Answer.UNDECIDED:
        wanted = standing.pairs + (standing.further_pairs or 0)
        if standing.conditions is None and not standing.old_runs:
            wanted = standing.new_runs
        lacking = f"{standing.new_runs}-{wanted - 1}" if wanted > standing.new_runs else None
        if standing.old_runs < wanted:
            text = f"{text}; {_train_old(standing, wanted, run.iteration)}"
        if lacking or standing.old_runs >= wanted:
            command = run.train(lacking)
    return _outcome(Check.BASELINE, answer, text, command)


def _train_old(standing: NonInferiority, wanted: int, new: Iteration) -> str:
    """Say how the old code gets the runs that it lacks: not by training the new one."""
    is_same = standing.old.iteration == new.name
    name = write_words(new) if is_same else shlex.quote(standing.old.iteration)
    return (
        "train the old code at its revision (`git worktree add ../old REVISION`, and there `bench "
        f"run {name} --seeds {standing.old_runs}-{wanted - 1}` under the same conditions), and "
        "name its ledger with --against"
    )


def _count(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


def _outcome(check: Check, answer: Answer | None, text: str, command: str | None = None) -> Outcome:
    return Outcome(check=check, answer=answer, text=text, command=command)
