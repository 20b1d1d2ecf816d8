"""A badge for a README: the question to the left, the answer to the right, as SVG."""

from __future__ import annotations

from markupsafe import Markup

from bench.figures import format_count
from bench.records import Answer
from bench.report.wording import SYMBOLS, format_exact_percent
from bench.verdict import Verdict

COLOURS = {Answer.HOLDS: "#00609c", Answer.FAILS: "#a83e00", Answer.UNDECIDED: "#5b5f66"}
"""Those of the page, each 4.5 : 1 against white at least."""

HEIGHT, PADDING, LETTER = 20, 7, 6.6
LONGEST_NAME = 40


def describe_badge(verdict: Verdict, name: str) -> str:
    """Return in words what a badge says."""
    return " ".join(_split(verdict, name))


def draw_badge(verdict: Verdict, name: str) -> Markup:
    """Return the badge; its texts are stretched to their boxes, so that any font fits."""
    question, answer = _split(verdict, name)
    left, right = (round(len(text) * LETTER) + 2 * PADDING for text in (question, answer))
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'viewBox="0 0 {width} {height}" role="img" '
        'aria-label="{question} {answer}"><title>{question} {answer}</title>'
        '<rect width="{left}" height="{height}" fill="#33383d"/>'
        '<rect x="{left}" width="{right}" height="{height}" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        '<text x="{padding}" y="14" textLength="{left_text}">{question}</text>'
        '<text x="{start}" y="14" textLength="{right_text}">{answer}</text></g></svg>'
    ).format(
        width=left + right,
        height=HEIGHT,
        left=left,
        right=right,
        left_text=left - 2 * PADDING,
        right_text=right - 2 * PADDING,
        padding=PADDING,
        start=left + PADDING,
        colour=COLOURS[verdict.answer],
        question=question,
        answer=answer,
    )


def _split(verdict: Verdict, name: str) -> tuple[str, str]:
    target = format_exact_percent(verdict.challenge.target)
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    decision = verdict.reliable
    count = (
        f" ({format_count(decision.holding)}/{format_count(decision.runs)} seeds)"
        if decision
        else ""
    )
    answer = f"{SYMBOLS[verdict.answer]} {verdict.answer}{count}"
    return f"{shown}: {target} consistently", answer
