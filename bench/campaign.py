"""Which seed comes next: round-robin over the iterations until decided, done, or out of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace

from bench.evidence import select_evidence
from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, Answer, Challenge, Conditions, Run
from bench.verdict import Verdict, judge


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to train: `seeds` of each iteration, in order, and when to stop before the last."""

    seeds: tuple[int, ...]
    until_decided: bool
    time_budget_seconds: float | None


class Campaign:
    """Hands out seeds and takes in runs, so that stopping at any moment leaves a balanced report.

    Runs already recorded under the same conditions with the same code and data are not repeated.
    """

    def __init__(
        self,
        iterations: tuple[Iteration, ...],
        challenge: Challenge,
        plan: Plan,
        *,
        conditions: dict[str, Conditions],
        datasets: set[str],
        recorded: Iterable[Run],
    ) -> None:
        self.iterations = {iteration.name: iteration for iteration in iterations}
        self.challenge, self.plan = challenge, plan
        self.conditions, self._datasets = conditions, datasets
        self._runs: dict[str, list[Run]] = {name: [] for name in self.iterations}
        self._otherwise: dict[str, set[Conditions]] = {name: set() for name in self.iterations}
        self._done: set[tuple[str, int]] = set()
        self._handed_out: set[tuple[str, int]] = set()
        self._deadline = (
            time.monotonic() + plan.time_budget_seconds if plan.time_budget_seconds else None
        )
        self._given_up: set[tuple[str, int]] = set()
        self._settled = 0
        """How many seeds at the start of the plan wait for no iteration: never looked at again."""
        self._verdicts: dict[str, Verdict] = {}
        self.awaits_others = False
        """Whether seeds that are left were claimed by other processes at the last look."""
        for run in recorded:
            self.take_recorded(run)
        self.already_recorded = sum(self.count_done(name) for name in self.iterations)

    def take_recorded(self, run: Run) -> None:
        """Take in a run from the ledger, if it is a new one of this code, data and conditions."""
        if self.is_done(run.iteration, run.seed):
            return
        fingerprint = self.iterations[run.iteration].fingerprint
        if run.fingerprint != fingerprint or run.dataset not in self._datasets:
            return
        if run.conditions == self.conditions[run.iteration]:
            self.take(run)
        else:
            self._otherwise[run.iteration].add(run.conditions)

    @property
    def recorded_otherwise(self) -> dict[str, list[Conditions]]:
        """Under which conditions iterations are recorded that have no run under those of now."""
        return {
            name: sorted(others)
            for name, others in self._otherwise.items()
            if others and not self._runs[name]
        }

    def take(self, run: Run) -> None:
        """Take in a finished run."""
        self._runs[run.iteration].append(run)
        self._verdicts.pop(run.iteration, None)
        self._done.add((run.iteration, run.seed))

    def is_done(self, name: str, seed: int) -> bool:
        """Whether a seed's run is finished and recorded."""
        return (name, seed) in self._done

    def give_up(self, name: str, seeds: Iterable[int]) -> None:
        """Note seeds that were handed out and that will not be finished here."""
        self._given_up.update((name, seed) for seed in seeds)

    def narrow(self, name: str, block: int, recorded: Iterable[Run]) -> None:
        """Train an iteration's seeds fewer side by side from now on: other conditions.

        Runs of the wider blocks stay in the ledger as evidence of its own. `recorded` are the runs
        that the ledger has already, those of these conditions among them.
        """
        self.conditions[name] = replace(self.conditions[name], block=block)
        self._runs[name] = []
        self._verdicts.pop(name, None)
        self._settled = 0
        for keys in (self._done, self._handed_out):
            keys -= {key for key in keys if key[0] == name}
        for run in recorded:
            self.take_recorded(run)

    def withdraw(self, name: str) -> None:
        """Hand out no more seeds of an iteration, which cannot be trained."""
        self.give_up(name, self.plan.seeds)

    @property
    def unfinished(self) -> dict[str, tuple[int, ...]]:
        """Seeds that were started and are not recorded, by the name of their iteration."""
        seeds = {
            name: tuple(sorted(s for n, s in self._handed_out - self._done if n == name))
            for name in self.iterations
        }
        return {name: those for name, those in seeds.items() if those}

    def verdict(self, name: str) -> Verdict:
        """Judge an iteration by the runs so far."""
        if name not in self._verdicts:
            iteration = self.iterations[name]
            selection = select_evidence(self._runs[name], iteration)
            self._verdicts[name] = judge(
                selection, iteration, self.challenge, self.conditions[name]
            )
        return self._verdicts[name]

    @property
    def seconds_left(self) -> float | None:
        """Seconds of the time budget that are left, `None` without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return self.seconds_left == 0.0

    @property
    def undecided(self) -> list[str]:
        """Names of the iterations without a verdict."""
        return [n for n in self.iterations if self.verdict(n).answer is Answer.UNDECIDED]

    def next_block(
        self, claim: Callable[[str, int], bool] = lambda _name, _seed: True
    ) -> tuple[Iteration, tuple[int, ...]] | None:
        """Return the next iteration and seeds, or `None` when there is nothing to start now.

        `claim` says whether a seed is ours to train; one that is not is asked about again next
        time, and `awaits_others` tells that there are such.

        As many seeds as the iteration's conditions train side by side, fewer when no more are
        left. Tuning seeds train on other images, so no block holds both kinds.
        """
        self.awaits_others = False
        if self.out_of_time:
            return None
        wanted = set(self.undecided) if self.plan.until_decided else set(self.iterations)
        for seed in self._list_open():
            for name, iteration in self.iterations.items():
                if name not in wanted or not self._is_waiting(name, seed):
                    continue
                if claim(name, seed):
                    return iteration, self._hand_out(name, seed, claim)
                self.awaits_others |= not self.is_done(name, seed)
        return None

    def _list_open(self) -> Iterator[int]:
        """Return the planned seeds from the first on that waits for some iteration."""
        seeds = self.plan.seeds
        while self._settled < len(seeds) and not any(
            self._is_waiting(name, seeds[self._settled]) for name in self.iterations
        ):
            self._settled += 1
        return islice(seeds, self._settled, None)

    def _is_waiting(self, name: str, seed: int) -> bool:
        key = name, seed
        return not (key in self._done or key in self._handed_out or key in self._given_up)

    def _hand_out(
        self, name: str, first: int, claim: Callable[[str, int], bool]
    ) -> tuple[int, ...]:
        tuning = first >= FIRST_TUNING_SEED
        waiting = (
            seed
            for seed in self._list_open()
            if (seed >= FIRST_TUNING_SEED) == tuning
            and seed != first
            and self._is_waiting(name, seed)
            and claim(name, seed)
        )
        seeds = (first, *islice(waiting, self.conditions[name].block - 1))
        self._handed_out.update((name, seed) for seed in seeds)
        return seeds

    def count_done(self, name: str) -> int:
        """Return how many planned runs of an iteration are finished."""
        return sum((name, seed) in self._done for seed in self.plan.seeds)

    def count_left(self) -> int:
        """Return how many planned runs are not finished, were all of them trained."""
        return sum(len(self.plan.seeds) - self.count_done(name) for name in self.iterations)
