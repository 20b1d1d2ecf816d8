"""From verdicts to an exit code."""

from __future__ import annotations

from collections.abc import Iterable

from bench.evidence import Selection
from bench.records import Answer, Conditions
from bench.settings import GateConditions
from bench.verdict import Verdict

EXIT_CODES = {Answer.HOLDS: 0, Answer.FAILS: 1, Answer.UNDECIDED: 3}


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 1 when any verdict FAILS, else 3 when any is UNDECIDED, else 0."""
    answers = {verdict.answer for verdict in verdicts}
    for answer in (Answer.FAILS, Answer.UNDECIDED):
        if answer in answers:
            return EXIT_CODES[answer]
    return EXIT_CODES[Answer.HOLDS]


def choose_conditions(selection: Selection, required: GateConditions) -> Conditions | None:
    """Return the conditions with most runs that the gate allows, `None` if there are none."""
    for evidence in selection.evidence:
        if evidence.runs and _allows(required, evidence.conditions):
            return evidence.conditions
    return None


def _allows(required: GateConditions, found: Conditions) -> bool:
    pairs = (
        (required.device, found.device),
        (required.precision, found.precision),
        (required.engine, found.engine),
        (required.torch, found.torch),
        (required.block, found.block),
    )
    return all(wanted in (None, given) for wanted, given in pairs)
