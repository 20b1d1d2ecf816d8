"""What a user sees while runs are trained: a live table, or one line a run where no one watches."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.campaign import Campaign
from bench.figures import format_accuracy, format_seconds
from bench.records import EpochScore, Run
from bench.seeds import name_seeds

FLYING = 8
"""Seeds in training that are shown of an iteration, of any number."""


class Progress:
    """Runs done, seeds per minute, current accuracies and time left, per iteration.

    Use as a context manager around the training; the live table disappears when it ends.
    """

    def __init__(self, console: Console, campaign: Campaign) -> None:
        self._console, self._campaign = console, campaign
        self._start = time.monotonic()
        self._finished = 0
        self._flying: dict[tuple[str, int], tuple[int, EpochScore]] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._watched = console.is_terminal
        self._waiting = False
        self._next_refresh = 0.0

    def __enter__(self) -> Progress:
        if self._watched:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._watched:
            self._live.stop()

    def note_epoch(self, iteration: str, seed: int, epoch: int, score: EpochScore) -> None:
        """Show a finished epoch of a run in flight."""
        self._flying[iteration, seed] = epoch, score

    def note_run(self, run: Run) -> None:
        """Show a finished run."""
        self._flying.pop((run.iteration, run.seed), None)
        self._finished += 1
        window = run.epochs[-self._campaign.challenge.window :]
        final = " ".join(format_accuracy(e.validation_correct, e.validation_total) for e in window)
        self._console.print(
            f"{run.iteration} seed {run.seed}: {run.status}, final epochs {final or '-'}; "
            f"{format_seconds(run.wall_seconds)}; {self._describe_rate()}",
            highlight=False,
        )

    def note_given_up(self, iteration: str, seeds: tuple[int, ...], reason: str) -> None:
        """Say that a run will not be finished, and why."""
        for seed in seeds:
            self._flying.pop((iteration, seed), None)
        self._console.print(
            f"{iteration} {name_seeds(seeds)}: given up: {' '.join(reason.split())}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def note_narrowed(self, iteration: str, too_wide: int, block: int) -> None:
        """Say that fewer seeds are trained side by side from now on, and why."""
        for key in [key for key in self._flying if key[0] == iteration]:
            del self._flying[key]
        self._console.print(
            f"{iteration}: {too_wide} seeds side by side take more memory than there is; going on "
            f"with {block}, which are other conditions: runs of {too_wide} do not count with these",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        """Say something about where runs are trained."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def note_waiting(self) -> None:
        """Say once that what is left is trained by other processes."""
        if not self._waiting:
            self._waiting = True
            self._console.print(
                "the seeds that are left are being trained into this ledger by another `bench "
                "run`: waiting for it (Ctrl-C stops waiting)",
                highlight=False,
                soft_wrap=True,
            )

    def refresh(self) -> None:
        """Redraw the live table, unless that would take more than a tenth of the time."""
        begun = time.monotonic()
        if self._watched and begun >= self._next_refresh:
            self._live.update(Group(self._render_table(), Text(self._describe_rate())))
            self._next_refresh = begun + 10 * (time.monotonic() - begun)

    def _describe_rate(self) -> str:
        elapsed = time.monotonic() - self._start
        rate = self._finished / elapsed * 60 if elapsed else 0.0
        left = self._campaign.count_left()
        if not self._finished:
            return f"{left} runs to go at most"
        budget = self._campaign.seconds_left
        remaining = left / rate * 60 if budget is None else min(left / rate * 60, budget)
        return (
            f"{rate:.2f} seeds a minute, {left} runs to go at most, "
            f"{format_seconds(remaining)} left at most"
        )

    def _render_table(self) -> Table:
        table = Table("iteration", "verdict", "runs", "", "now training")
        planned = len(self._campaign.plan.seeds)
        for name, iteration in self._campaign.iterations.items():
            done = self._campaign.count_done(name)
            flying = [
                f"seed {seed}: epoch {epoch}/{iteration.recipe.epochs} "
                f"{format_accuracy(score.validation_correct, score.validation_total)}"
                for (flying_name, seed), (epoch, score) in self._flying.items()
                if flying_name == name
            ]
            table.add_row(
                name,
                str(self._campaign.verdict(name).answer),
                f"{done}/{planned}",
                ProgressBar(total=planned, completed=done, width=20),
                _shorten(flying),
            )
        return table


def _shorten(flying: list[str]) -> str:
    more = [f"and {len(flying) - FLYING} more"] if len(flying) > FLYING else []
    return ", ".join(flying[:FLYING] + more)
