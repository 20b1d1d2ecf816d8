"""Where commands print: as wide as the terminal, or wide enough for a table in a pipe or a log."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console

PIPE_COLUMNS = 160


class LastingStream:
    """A stream whose reader may go away: what it can no longer show is dropped, and work goes on.

    Runs of an hour must not be lost because a terminal was closed or `tee` was interrupted first.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or drop it."""
        with suppress(OSError):
            self._stream.flush()


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on standard output or error; `COLUMNS` and `NO_COLOR` are respected.

    What goes to standard error tells of work: the work outlives whoever listens.
    """
    file = cast("IO[str]", LastingStream(sys.stderr)) if stderr else None
    console = Console(file=file)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console
