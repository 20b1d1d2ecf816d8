"""Tables and paragraphs of the generated pages in docs/."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def render_paragraph(text: str) -> str:
    """Return a paragraph filled to 100 columns, whatever its white space was."""
    return fill(" ".join(text.split()), width=100, break_on_hyphens=False)
