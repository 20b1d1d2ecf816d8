"""What a terminal shows of grading: submissions while they are looked at, and the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.figures import format_count, format_percent
from bench.grading.marks import Grade
from bench.grading.submissions import Submission

if TYPE_CHECKING:
    from bench.screening import Look


class Looks:
    """Submissions that were looked at so far; use as a context manager around the looking."""

    def __init__(self, console: Console, listed: Sequence[Submission]) -> None:
        self._console, self._listed = console, listed
        self._done: list[Look] = []
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Looks:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def note(self, look: Look) -> None:
        """Take in what was found of one, and show it."""
        self._done.append(look)
        file = look.submission.file
        if look.broken is not None:
            self._say(f"{file}: broken: {look.broken}")
        for note in look.inspection.notes if look.inspection else ():
            self._say(f"{file}: {note}")
        if look.excess is not None:
            self._say(f"{file}: over budget, not trained: {look.excess}")
        if self._console.is_terminal:
            self._live.update(self._render())

    def all(self) -> list[Look]:
        """Return all submissions, those that were not looked at with nothing found."""
        from bench.screening import Look  # it needs torch

        rest = self._listed[len(self._done) :]
        return [*self._done, *(Look(submission=submission) for submission in rest)]

    def _render(self) -> Table:
        done, total = len(self._done), len(self._listed)
        table = Table.grid(padding=(0, 2))
        table.add_row(
            f"{done} of {total} looked at", ProgressBar(total=total, completed=done, width=40)
        )
        return table

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_grades(console: Console, ranked: Sequence[tuple[int, Grade]]) -> None:
    """Print the leaderboard, one submission a row."""
    table = Table()
    table.add_column("rank", justify="right")
    for column in ("submission", "verdict"):
        table.add_column(column)
    for column in ("parameters", "last epoch", "seeds"):
        table.add_column(column, justify="right")
    table.add_column("why")
    for place, grade in ranked:
        measured = grade.measured
        last = measured.last if measured else None
        row = (
            str(place),
            grade.submission.file,
            str(grade.mark),
            "-" if grade.parameters is None else format_count(grade.parameters),
            "-" if last is None else format_percent(last.mean),
            "-" if measured is None else f"{measured.holding} of {measured.seeds}",
            grade.why,
        )
        table.add_row(*map(Text, row))  # text of a student is no markup
    console.print(table)
