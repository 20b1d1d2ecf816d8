"""Where commands print: as wide as the terminal, or wide enough for a table in a pipe or a log."""

from __future__ import annotations

import os

from rich.console import Console

PIPE_COLUMNS = 160


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on standard output or error; `COLUMNS` and `NO_COLOR` are respected."""
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console
