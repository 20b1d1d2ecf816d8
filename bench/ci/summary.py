"""The gate as a page of Markdown, for the summary of a step on GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bench.figures import format_count, make_printable
from bench.gate import Gated, Outcome
from bench.records import Answer, Challenge
from bench.report.wording import ABSENT, SYMBOLS, format_exact_percent

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_FENCE = re.compile(r"`+")
_HEADER = ("iteration", "gate", "seeds that hold", "parameters", "conditions", "compared with")


def write_summary(gated: Sequence[Gated], challenge: Challenge, answer: Answer) -> str:
    """Return verdicts, budget and what to run next; no text of a stranger is more than text."""
    title = f"## Gate: {SYMBOLS[answer]} {answer}"
    asked = (
        f"{format_exact_percent(challenge.target)} on {challenge.name} in each of the last "
        f"{challenge.window} epochs, for at least {format_exact_percent(challenge.reliability)} of "
        f"all seeds, with fewer than {format_count(challenge.parameters)} parameters"
    )
    rows = [_HEADER, ("---",) * len(_HEADER), *map(_list_cells, gated)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    parts = [title, escape_markdown(asked), table, *_list_problems(gated)]
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Return text as Markdown that shows it: no markup, link, mention, HTML or end of a cell."""
    return _PUNCTUATION.sub(r"\\\g<0>", " ".join(make_printable(text).split()))


def fence(command: str) -> str:
    """Return a command as a block of code that nothing in it ends."""
    shown = make_printable(command)
    longest = max(map(len, _FENCE.findall(shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}sh\n{shown}\n{marks}"


def _list_cells(gated: Gated) -> list[str]:
    verdict, standing = gated.verdict, gated.standing
    decision, budget = verdict.reliable, verdict.budget
    cells = (
        verdict.iteration,
        f"{SYMBOLS[gated.answer]} {gated.answer}",
        f"{format_count(decision.holding)} of {format_count(decision.runs)}"
        if decision
        else ABSENT,
        f"{SYMBOLS[budget.answer]} {format_count(budget.parameters)}" if budget else ABSENT,
        str(verdict.evidence.conditions) if verdict.evidence else ABSENT,
        f"{standing.old.iteration} in {standing.old.source}: {standing.answer}"
        if standing
        else ABSENT,
    )
    return [escape_markdown(cell) for cell in cells]


def _list_problems(gated: Iterable[Gated]) -> Iterator[str]:
    problems = [(each.verdict.iteration, outcome) for each in gated for outcome in each.problems]
    if not problems:
        yield "Nothing stands in the way."
        return
    yield "### What stands in the way, and what to run next"
    for name, outcome in problems:
        yield from _describe(name, outcome)


def _describe(name: str, outcome: Outcome) -> Iterator[str]:
    yield f"**{escape_markdown(f'{name}, {outcome.check}')}**: {escape_markdown(outcome.text)}"
    if outcome.command:
        yield fence(outcome.command)
