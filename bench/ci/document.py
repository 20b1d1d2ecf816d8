"""The gate as one versioned document for other programs; its schema is docs/gate.schema.json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from bench.baselines import NonInferiority
from bench.gate import Gated, Outcome, exit_code, join_answers
from bench.judgement import Judged, describe
from bench.records import Answer, Challenge

FORMAT: Literal[1] = 1
"""Version of the document; a change that a reader must know of counts it up."""


class GatedIteration(Struct, frozen=True, kw_only=True):
    """One iteration: the worst answer of its checks, each check, and the verdict that they rest on.

    `baseline` is how it stands to what it was compared with, `null` when it was not.
    """

    iteration: str
    answer: Answer
    checks: tuple[Outcome, ...]
    verdict: Judged
    baseline: NonInferiority | None


class GateDocument(Struct, frozen=True, kw_only=True):
    """What the gate says of the iterations that it judged, and the code that it exits with."""

    format: Literal[1]
    exit_code: int
    answer: Answer
    challenge: Challenge
    iterations: tuple[GatedIteration, ...]


def make_document(gated: Iterable[Gated], challenge: Challenge) -> GateDocument:
    """Return the document on some iterations, without their runs."""
    listed = tuple(gated)
    answers = [each.answer for each in listed]
    return GateDocument(
        format=FORMAT,
        exit_code=exit_code(answers),
        answer=join_answers(answers),
        challenge=challenge,
        iterations=tuple(_describe(each) for each in listed),
    )


def _describe(gated: Gated) -> GatedIteration:
    return GatedIteration(
        iteration=gated.verdict.iteration,
        answer=gated.answer,
        checks=gated.outcomes,
        verdict=describe(gated.verdict, gated.iteration, gated.evidence),
        baseline=gated.standing,
    )
