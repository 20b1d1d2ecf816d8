"""Verdicts as one versioned document for other programs; its schema is docs/judgement.schema.json.

Exact fractions are written as numbers. None of them decides anything: that was done on counts.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bench.consistency import Decision
from bench.evidence import Evidence
from bench.findings import Summary, summarise
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Conditions
from bench.verdict import Budget, Verdict

FORMAT: Literal[1] = 1
"""Version of the document; a change that a reader must know of counts it up."""


class Paths(Struct, frozen=True, kw_only=True):
    """Natural logarithms of both martingales after 1, 2, ... runs."""

    log_holds: tuple[float, ...]
    log_fails: tuple[float, ...]


class Reliability(Struct, frozen=True, kw_only=True):
    """What the rule says of the runs so far.

    `decided_after` is the number of runs after which it decided, `further_seeds` how many more
    would decide if they went as the ones so far (`null`: not foreseeable, or decided). `log_holds`
    and `log_fails` are the natural logarithms of both martingales after the last run, and
    `log_threshold` what the first of them must reach. `lower` and `upper` are Clopper-Pearson
    bounds, which decide nothing. `paths` is there when it was asked for.
    """

    answer: Answer
    holding: int
    runs: int
    decided_after: int | None
    further_seeds: int | None
    log_holds: float
    log_fails: float
    log_threshold: float
    lower: float
    upper: float
    paths: Paths | None


class Judged(Struct, frozen=True, kw_only=True):
    """The verdict on one iteration under one set of conditions, and on what it rests.

    `seeds` is how many count, from 0 on; those of `waiting` were run and do not count until those
    of `missing` are. `stale` and `tuning` runs never count. `budget`, `reliable` and `summary`,
    which describes and decides nothing, are `null` when no run counts; `dataset` and `conditions`
    when there is none at all.
    """

    iteration: str
    fingerprint: str
    dataset: str | None
    conditions: Conditions | None
    answer: Answer
    why: str
    budget: Budget | None
    reliable: Reliability | None
    seeds: int
    waiting: tuple[int, ...]
    missing: tuple[int, ...]
    stale: int
    tuning: int
    summary: Summary | None


class Judgement(Struct, frozen=True, kw_only=True):
    """Verdicts on the iterations of one challenge, in the order in which they were asked for."""

    format: Literal[1]
    challenge: Challenge
    verdicts: tuple[Judged, ...]


def describe(
    verdict: Verdict,
    iteration: Iteration,
    evidence: Evidence | None,
    *,
    with_paths: bool = False,
) -> Judged:
    """Return the verdict on some evidence, `None` where there is none, without its runs."""
    return Judged(
        iteration=verdict.iteration,
        fingerprint=iteration.fingerprint,
        dataset=evidence.dataset if evidence else None,
        conditions=evidence.conditions if evidence else None,
        answer=verdict.answer,
        why=verdict.why,
        budget=verdict.budget,
        reliable=_describe_decision(verdict.reliable, with_paths) if verdict.reliable else None,
        seeds=len(evidence.runs) if evidence else 0,
        waiting=evidence.waiting if evidence else (),
        missing=evidence.missing if evidence else (),
        stale=verdict.stale,
        tuning=verdict.tuning,
        summary=summarise(verdict.evidence, verdict.challenge) if verdict.evidence else None,
    )


def encode_document(document: Struct) -> bytes:
    """Return a document as indented JSON with its end of line, fractions as numbers."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=_write_fraction)) + b"\n"


def make_schema(document: type[Struct] = Judgement) -> bytes:
    """Return the JSON Schema (2020-12) of a document, as docs/judgement.schema.json has one."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(document, schema_hook=_describe_fraction),
    }
    _join_lines(schema)
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic")) + b"\n"


def _join_lines(schema: Any) -> None:
    """Rewrite descriptions, which are docstrings, as text without their indentation."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            schema["description"] = " ".join(schema["description"].split())
        for value in schema.values():
            _join_lines(value)


def _describe_decision(decision: Decision, with_paths: bool) -> Reliability:
    paths = Paths(log_holds=decision.log_holds, log_fails=decision.log_fails)
    return Reliability(
        answer=decision.answer,
        holding=decision.holding,
        runs=decision.runs,
        decided_after=decision.decided_after,
        further_seeds=decision.further_seeds,
        log_holds=decision.log_holds[-1],
        log_fails=decision.log_fails[-1],
        log_threshold=decision.log_threshold,
        lower=decision.lower,
        upper=decision.upper,
        paths=paths if with_paths else None,
    )


def _write_fraction(value: Any) -> float:
    if isinstance(value, Fraction):
        return float(value)
    raise NotImplementedError(type(value))


def _describe_fraction(kind: type) -> dict[str, Any]:
    if kind is Fraction:
        return {"type": "number"}
    raise NotImplementedError(kind)
