"""Verdicts as tables of a terminal: symbol, word and colour, and the epochs as a sparkline.

A colour never tells what symbol and word do not. Where the terminal's encoding has no blocks and no
signs, ASCII stands for them; where the terminal is narrow, a verdict is a paragraph, and every word
is wrapped, never cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.figures import format_count, format_percent, make_printable
from bench.findings import find_medians
from bench.records import Answer, Challenge
from bench.report.wording import SYMBOLS, format_exact_percent
from bench.sparkline import draw_sparkline, full_cell
from bench.verdict import Verdict

STYLES = {Answer.HOLDS: "bold green", Answer.FAILS: "bold red", Answer.UNDECIDED: "bold yellow"}
ASCII_SYMBOLS = {Answer.HOLDS: "+", Answer.FAILS: "x", Answer.UNDECIDED: "?"}
ABSENT = "-"
WIDE_COLUMNS = 120
"""From this width on a verdict is a row of all columns."""

_BETWEEN_CLAUSES = re.compile(r"; (?![^()]*\))")
"""A semicolon that is not inside brackets."""


def print_verdicts(console: Console, verdicts: Iterable[Verdict]) -> None:
    """Print one row a verdict, and what the signs of the epochs mean."""
    table = make_table(*(_WIDE if is_wide(console) else _NARROW))
    shown: Challenge | None = None
    for verdict in verdicts:
        shown = verdict.challenge if verdict.evidence else shown
        make_row = _make_wide_row if is_wide(console) else _make_narrow_row
        table.add_row(*make_row(verdict, ascii_only=console.options.ascii_only))
    console.print(table)
    if shown is not None:
        console.print(explain_epochs(shown, ascii_only=console.options.ascii_only))


def is_wide(console: Console, columns: int = WIDE_COLUMNS) -> bool:
    """Say whether a console is so many columns wide."""
    return console.width >= columns


def make_table(*columns: str, show_lines: bool = True) -> Table:
    """Return a table whose words are wrapped or folded, never cut off; a verdict keeps its line."""
    table = Table(show_lines=show_lines)
    for column in columns:
        least = len("iteration_10") if column == "iteration" else None
        table.add_column(column, overflow="fold", no_wrap=column == "verdict", min_width=least)
    return table


def show_answer(answer: Answer, *, ascii_only: bool) -> Text:
    """Return symbol and word of an answer, in its colour."""
    symbols = ASCII_SYMBOLS if ascii_only else SYMBOLS
    return Text(f"{symbols[answer]} {answer}", style=STYLES[answer])


def show_text(text: str, style: str = "") -> Text:
    """Return a text in which nothing steers a terminal."""
    return Text(make_printable(text), style=style)


def show_epochs(medians: Sequence[Fraction], target: Fraction, *, ascii_only: bool) -> Text:
    """Return one cell an epoch, those at or above the target in green."""
    if not medians:
        return Text(ABSENT)
    line = Text(draw_sparkline(medians, target, ascii_only=ascii_only))
    line.highlight_words([full_cell(ascii_only=ascii_only)], style="green")
    return line


def explain_epochs(challenge: Challenge, *, ascii_only: bool) -> Text:
    """Return what the cells of a sparkline mean."""
    target = format_exact_percent(challenge.target)
    return show_text(
        f"epochs: median validation accuracy of the seeds, epoch by epoch; "
        f"{full_cell(ascii_only=ascii_only)} is at or above {target}, the others are below it.",
        style="dim",
    )


def count_holding(verdict: Verdict) -> str:
    """Return how many seeds hold, of how many."""
    reliable = verdict.reliable
    return f"{reliable.holding} of {reliable.runs}" if reliable else ABSENT


def say_what_would_decide(verdict: Verdict) -> str:
    """Return in a few words what a verdict lacks, or when it was reached."""
    if verdict.budget is None or verdict.reliable is None or verdict.evidence is None:
        return re.split("[:;,]", verdict.why)[0]  # no runs, stale, or seed 0 is missing
    if verdict.budget.answer is Answer.FAILS:
        return "over budget"
    if verdict.reliable.decided_after is not None:
        return f"decided after {format_count(verdict.reliable.decided_after)}"
    if verdict.evidence.missing:
        return f"seed {verdict.evidence.missing[0]} is missing"
    further = verdict.reliable.further_seeds
    return "not foreseeable" if further is None else f"{format_count(further)} more"


def show_conditions(verdict: Verdict) -> Text:
    """Return the conditions of the runs that were judged."""
    return show_text(str(verdict.evidence.conditions) if verdict.evidence else ABSENT)


_WIDE = ("iteration", "verdict", "why", "epochs", "parameters", "conditions")
_NARROW = ("verdict", "what the recorded runs show")


def _make_wide_row(verdict: Verdict, *, ascii_only: bool) -> tuple[Text, ...]:
    return (
        show_text(verdict.iteration, style="bold"),
        show_answer(verdict.answer, ascii_only=ascii_only),
        _list_clauses(verdict),
        _show_epochs_and_last(verdict, between="\n", ascii_only=ascii_only),
        Text(format_count(verdict.budget.parameters) if verdict.budget else ABSENT),
        show_conditions(verdict),
    )


def _make_narrow_row(verdict: Verdict, *, ascii_only: bool) -> tuple[Text, ...]:
    lines = [show_text(verdict.iteration, style="bold"), _list_clauses(verdict)]
    if verdict.evidence and verdict.budget:
        epochs = _show_epochs_and_last(verdict, between=" ", ascii_only=ascii_only)
        lines += [
            Text.assemble("epochs ", epochs),
            Text(f"{format_count(verdict.budget.parameters)} parameters"),
            show_conditions(verdict),
        ]
    return show_answer(verdict.answer, ascii_only=ascii_only), _join_lines(*lines)


def _show_epochs_and_last(verdict: Verdict, *, between: str, ascii_only: bool) -> Text:
    medians = find_medians(verdict.evidence) if verdict.evidence else ()
    epochs = show_epochs(medians, verdict.challenge.target, ascii_only=ascii_only)
    last = f"{format_percent(medians[-1])} in epoch {len(medians)}" if medians else ""
    return Text.assemble(epochs, between, last) if last else epochs


def _list_clauses(verdict: Verdict) -> Text:
    """Return the sentence that tells why with a clause a line."""
    clauses: list[Any] = _BETWEEN_CLAUSES.split(verdict.why)
    return _join_lines(*map(show_text, clauses))


def _join_lines(*lines: Text) -> Text:
    return Text("\n").join(lines)
