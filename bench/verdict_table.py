"""Verdicts as rows of text: for a README, and the page's summary."""

from __future__ import annotations

from collections.abc import Iterable

from bench.figures import format_count
from bench.verdict import Verdict

COLUMNS = ("iteration", "verdict", "why", "parameters", "conditions")


def list_cells(verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict in the order of `COLUMNS`."""
    return (
        verdict.iteration,
        str(verdict.answer),
        verdict.why,
        format_count(verdict.budget.parameters) if verdict.budget else "-",
        str(verdict.evidence.conditions) if verdict.evidence else "-",
    )


def write_markdown(verdicts: Iterable[Verdict]) -> str:
    """Return a Markdown table with one row a verdict; no cell can end its row or its column."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(list_cells, verdicts)]
    return "\n".join(f"| {' | '.join(map(_escape, row))} |" for row in rows)


def _escape(cell: str) -> str:
    return " ".join(cell.replace("|", r"\|").split())
