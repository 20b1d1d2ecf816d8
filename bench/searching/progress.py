"""What a user sees of a search: a live view, or a line for each event where no one watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.figures import format_accuracy, format_count, format_percent, format_seconds
from bench.records import Run
from bench.searching.spaces import Space, describe_changes
from bench.searching.studies import Trial

if TYPE_CHECKING:
    from bench.executors.processes import EpochDone


class SearchProgress:
    """Configurations judged, the best so far, and epochs of the runs in flight.

    Use as a context manager around the search; the live view disappears when it ends.
    """

    def __init__(self, console: Console, space: Space, *, trials: int, window: int) -> None:
        self._console, self._space, self._window = console, space, window
        self._trials, self._judged = trials, 0
        self._best: tuple[tuple[int, float], str] = (0, 0.0), ""
        self._flying: dict[tuple[str, int], str] = {}
        self._news: set[str | None] = set()
        """Configurations of which a run was finished now."""
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._watched = console.is_terminal

    def __enter__(self) -> SearchProgress:
        if self._watched:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._watched:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def note_epoch(self, done: EpochDone) -> None:
        """Show a finished epoch of a run in flight."""
        accuracy = format_accuracy(done.score.validation_correct, done.score.validation_total)
        self._flying[done.iteration, done.seed] = f"epoch {done.epoch} {accuracy}"

    def note_run(self, run: Run) -> None:
        """Show a finished run."""
        self._flying.pop((run.iteration, run.seed), None)
        self._news.add(run.iteration)
        last = run.epochs[-self._window :]
        final = " ".join(format_accuracy(e.validation_correct, e.validation_total) for e in last)
        self.say(
            f"{run.iteration} seed {run.seed}: {run.status}, final epochs {final or '-'}; "
            f"{format_seconds(run.wall_seconds)}"
        )

    def note_drawn(self, trial: Trial, *, is_new: bool) -> None:
        """Show a new configuration, and why it is not trained."""
        self._judged += trial.refused is not None
        if not is_new:
            return
        what = describe_changes(self._space.describe(trial.drawn))
        if trial.refused is not None:
            self.say(f"configuration {trial.number}: {what}: not trained: {trial.refused}")
        else:
            count = format_count(trial.parameters or 0)
            self.say(f"configuration {trial.number}: {what}: {count} parameters, {trial.iteration}")

    def note_judged(self, trial: Trial, seeds: int, value: float, *, goes_on: bool) -> None:
        """Keep the best, and say what becomes of a configuration."""
        name = f"configuration {trial.number}"
        shown = f"{format_percent(value)} over {seeds} seed{'s' if seeds > 1 else ''}"
        if (seeds, value) > self._best[0]:
            self._best = (seeds, value), f"{name}, {shown}"
        self._judged += not goes_on
        if trial.iteration not in self._news:
            return  # judged as before
        every = seeds == len(self._space.seeds)
        end = "all its seeds" if every else "goes on" if goes_on else "given up"
        self.say(f"{name}: {shown}: {end}")

    def note_failed(self, trial: Trial, reason: str) -> None:
        """Say why a configuration is not trained any more."""
        self._judged += 1
        self.say(f"configuration {trial.number}: failed: {' '.join(reason.split())}")

    def refresh(self) -> None:
        """Redraw the live view."""
        if not self._watched:
            return
        bar = Table.grid(padding=(0, 2))
        best = f", best {self._best[1]}" if self._best[1] else ""
        bar.add_row(
            ProgressBar(total=self._trials, completed=self._judged, width=30),
            f"{self._judged} of {self._trials} configurations judged{best}",
        )
        lines = [f"{name} seed {seed}: {what}" for (name, seed), what in self._flying.items()]
        self._live.update(Group(bar, Text("\n".join(lines))))
