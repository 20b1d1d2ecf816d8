"""The structural facts of a network as a terminal shows them."""

from __future__ import annotations

from rich.console import Console

from bench.anatomy import Structure, explain
from bench.figures import make_printable


def print_structure(console: Console, structure: Structure) -> None:
    """Print one fact a line."""
    for sentence in map(make_printable, explain(structure)):
        console.print(f"- {sentence}", highlight=False, markup=False, soft_wrap=True)
    console.print()
