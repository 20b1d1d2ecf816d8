"""A ledger that other processes are filling: what was appended since the last look, and judged.

Nothing is trained, written or locked here. Files may appear later, be appended to, end in a line
that is still being written, or be replaced as `bench merge` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from msgspec import Struct

from bench.claims import Follower
from bench.evidence import select_evidence
from bench.findings import find_medians
from bench.iterations import Iteration
from bench.ledger import RunKey, ledger_path, read_outlines, results_of, run_key
from bench.records import FIRST_TUNING_SEED, Answer, Challenge, Conditions, Run
from bench.verdict import Verdict, judge

LAST_SEEDS = 4


class Watched(Struct, frozen=True, kw_only=True):
    """An iteration now: its verdict under the conditions of its newest run, and the last seeds.

    `medians` are the seeds' median validation accuracies, epoch by epoch.
    """

    verdict: Verdict
    last_runs: tuple[Run, ...]
    medians: tuple[Fraction, ...]


class Arrival(Struct, frozen=True, kw_only=True):
    """A run that was not there before, the verdict since then, and whether the run counts in any.

    A run of other code or of a tuning seed counts in none.
    """

    run: Run
    verdict: Verdict
    counts: bool


class Watch:
    """What is known of some iterations' files, and what came while they were watched."""

    def __init__(self, iterations: Iterable[Iteration], challenge: Challenge, ledger: Path) -> None:
        self.challenge, self.ledger = challenge, ledger
        self._files = [_WatchedFile(iteration, challenge, ledger) for iteration in iterations]
        self._start = time.monotonic()
        self.arrived = 0
        """Runs that were recorded since the first look and count."""

    def look(self, *, first: bool = False) -> list[Arrival]:
        """Read what was appended and judge again; return the runs that are new, oldest first.

        At the first look all runs are known, and none is new.

        Raises:
            LedgerError: a file cannot be read, or a line of it is damaged.
        """
        arrivals = [arrival for file in self._files for arrival in file.look()]
        if first:
            return []
        self.arrived += sum(arrival.counts for arrival in arrivals)
        return arrivals

    @property
    def iterations(self) -> list[Watched]:
        """Every iteration as it is now, in the order in which they were asked for."""
        return [file.now for file in self._files]

    @property
    def is_empty(self) -> bool:
        """Whether no run at all is there."""
        return not any(file.runs for file in self._files)

    @property
    def is_decided(self) -> bool:
        """Whether every iteration HOLDS or FAILS."""
        return all(each.verdict.answer is not Answer.UNDECIDED for each in self.iterations)

    @property
    def seconds(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._start


class _WatchedFile:
    """The runs of one iteration's file, and what they show."""

    def __init__(self, iteration: Iteration, challenge: Challenge, ledger: Path) -> None:
        self._iteration, self._challenge = iteration, challenge
        self._path = ledger_path(ledger, challenge.name, iteration.name)
        self._follower = Follower(ledger, challenge.name, iteration.name, outlines=True)
        self._known: set[RunKey] = set()
        self.runs: dict[RunKey, Run] = {}
        self.now = self._judge()

    def look(self) -> list[Arrival]:
        """Return the runs that were never seen before."""
        addition = self._follower.follow()
        changed = bool(addition.runs) or (addition.whole and bool(self.runs))
        if addition.whole:
            self.runs = {}
        new = self._take_in(addition.runs)
        if changed:
            self.now = self._judge()
        return [Arrival(run=run, verdict=self.now.verdict, counts=self._counts(run)) for run in new]

    def _counts(self, run: Run) -> bool:
        return run.fingerprint == self._iteration.fingerprint and run.seed < FIRST_TUNING_SEED

    def _take_in(self, runs: Iterable[Run]) -> list[Run]:
        new = []
        for run in runs:
            key = run_key(run)
            if results_of(self.runs.setdefault(key, run)) != results_of(run):
                read_outlines(self._path)  # whose error names both
            if key not in self._known:
                self._known.add(key)
                new.append(run)
        return new

    def _judge(self) -> Watched:
        counting = [run for run in self.runs.values() if self._counts(run)]
        conditions = _find_newest(counting)
        selection = select_evidence(self.runs.values(), self._iteration)
        verdict = judge(selection, self._iteration, self._challenge, conditions)
        judged = [run for run in counting if run.conditions == conditions]
        return Watched(
            verdict=verdict,
            last_runs=tuple(judged[-LAST_SEEDS:]),
            medians=find_medians(verdict.evidence) if verdict.evidence else (),
        )


def _find_newest(runs: list[Run]) -> Conditions | None:
    """Return the conditions of the run that was started last; of several, of the last recorded."""
    return max(reversed(runs), key=lambda run: run.started).conditions if runs else None
