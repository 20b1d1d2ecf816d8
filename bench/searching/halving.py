"""The search: a queue of configurations, each with the seeds that it gets next.

The first of the queue is waited for and judged, and what follows from it is put at the end: its
next seeds, or the next configuration. So what is drawn depends on the space and on the runs alone:
not on how many workers there are, on which of them is first, or on where a search was stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.errors import BenchError, RecipeError, SearchError
from bench.figures import format_count
from bench.iterations import Iteration
from bench.records import Conditions, Run
from bench.searching.configurations import Family
from bench.searching.proposals import Proposal, Proposals
from bench.searching.spaces import Space
from bench.searching.studies import Found, Study, Trial
from bench.searching.values import average, value_run

MOST_REFUSED = 5
"""When none of so many configurations can be built, it is the space that is wrong."""


class Trainer(Protocol):
    """Where runs come from: `bench.searching.workshop.Workshop`."""

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is begun."""

    def inspect(self, iteration: Iteration) -> Found:
        """Look at a configuration's network."""

    def want(
        self, iteration: Iteration, conditions: Conditions | None, seeds: Sequence[int]
    ) -> None:
        """Ask for runs under these conditions, of which no others are taken."""

    def wait(self, iteration: Iteration, seeds: Sequence[int]) -> tuple[Run, ...] | str | None:
        """Return runs, why one was given up, or `None` when there will be none now."""


class Listener(Protocol):
    """Who is told of the search."""

    def note_drawn(self, trial: Trial, *, is_new: bool) -> None:
        """Hear of the next configuration, and whether it was drawn now."""

    def note_judged(self, trial: Trial, seeds: int, value: float, *, goes_on: bool) -> None:
        """Hear what a configuration is worth after some of its seeds."""

    def note_failed(self, trial: Trial, reason: str) -> None:
        """Hear of a configuration that could not be trained."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A configuration and how many rungs it has taken before the one that is waited for."""

    trial: Trial
    proposal: Proposal
    iteration: Iteration
    rung: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What is looked for: the value of a run over `window` epochs, below `parameters`."""

    window: int
    parameters: int


class Search:
    """One search; `failures` are the reasons why configurations were given up."""

    def __init__(
        self,
        space: Space,
        family: Family,
        study: Study,
        trainer: Trainer,
        listener: Listener,
        goal: Goal,
    ) -> None:
        self._space, self._family, self._study = space, family, study
        self._trainer, self._listener, self._goal = trainer, listener, goal
        self._proposals = Proposals(space)
        self._drawn = 0
        self.failures: list[str] = []

    def run(self, trials: int) -> bool:
        """Draw configurations until there are so many, and judge them; say whether all are.

        Raises:
            SearchError: none of the first configurations can be built, or the study's files are of
                other code.
            LedgerError: the ledger cannot be read or written.
        """
        queue: deque[_Job] = deque()
        while True:
            while len(queue) < self._space.beside and (job := self._draw(trials)) is not None:
                self._want(job)
                queue.append(job)
            if not queue:
                return self._drawn == trials
            job = queue.popleft()
            result = self._trainer.wait(job.iteration, self._seeds(job))
            if result is None:
                return False
            if isinstance(result, str):
                self._fail(job, result)
            elif (following := self._judge(job, result)) is not None:
                self._want(following)
                queue.append(following)

    def _seeds(self, job: _Job) -> tuple[int, ...]:
        """Return the seeds of a job and of those before it."""
        return self._space.seeds[: self._space.rungs[job.rung]]

    def _want(self, job: _Job) -> None:
        self._trainer.want(job.iteration, job.trial.conditions, self._seeds(job))

    def _judge(self, job: _Job, runs: tuple[Run, ...]) -> _Job | None:
        """Judge a configuration by the seeds it has; return what follows, `None` at its end."""
        worth = average(
            value_run(run, window=self._goal.window, objective=self._space.objective)
            for run in runs
        )
        goes_on = self._proposals.judge(job.proposal, float(worth), len(runs))
        self._listener.note_judged(job.trial, len(runs), float(worth), goes_on=goes_on)
        if not goes_on:
            return None
        return _Job(job.trial, job.proposal, job.iteration, job.rung + 1)

    def _fail(self, job: _Job, reason: str) -> None:
        self._proposals.forget(job.proposal)
        self._listener.note_failed(job.trial, reason)
        self.failures.append(f"configuration {job.trial.number}: {reason}")

    def _draw(self, trials: int) -> _Job | None:
        """Return the next configuration that can be trained; the others are noted and passed."""
        while self._drawn < trials:
            number = self._drawn
            known = number < len(self._study.trials)
            if not known and self._trainer.is_closing:
                return None
            recorded = self._study.trials[number].drawn if known else None
            proposal = self._proposals.ask(number, recorded)
            self._drawn += 1
            iteration, reason = self._configure(proposal)
            if not known:
                self._study.append(self._look(number, proposal, iteration, reason))
            trial = self._study.trials[number]
            self._listener.note_drawn(trial, is_new=not known)
            if trial.refused is None and iteration is not None:
                self._check_code(trial, iteration)
                return _Job(trial, proposal, iteration)
            self._proposals.refuse(proposal)
            self._check_refusals()
        return None

    def _configure(self, proposal: Proposal) -> tuple[Iteration | None, str | None]:
        try:
            return self._family.configure(proposal.draw), None
        except RecipeError as error:
            return None, str(error)

    def _look(
        self, number: int, proposal: Proposal, iteration: Iteration | None, reason: str | None
    ) -> Trial:
        """Look at a configuration's network; refuse what cannot be built or is over budget."""
        if iteration is None:
            return Trial(number=number, drawn=proposal.drawn, refused=reason)
        name, fingerprint = iteration.name, iteration.fingerprint
        found: Found | None = None
        try:
            found = self._trainer.inspect(iteration)
        except BenchError as error:
            reason = str(error)
        over = found is not None and found.parameters >= self._goal.parameters
        if over and found is not None:
            reason = (
                f"{format_count(found.parameters)} parameters, not fewer than "
                f"{format_count(self._goal.parameters)}"
            )
        return Trial(
            number=number,
            drawn=proposal.drawn,
            iteration=name,
            fingerprint=fingerprint,
            parameters=None if found is None else found.parameters,
            conditions=None if found is None else found.conditions,
            refused=reason,
            over_budget=over,
        )

    def _check_refusals(self) -> None:
        """Stop where nothing of a space can be built."""
        trials = self._study.trials[: self._drawn]
        broken = [t for t in trials if t.refused is not None and not t.over_budget]
        if len(trials) == len(broken) == MOST_REFUSED:
            raise SearchError(
                f"{self._space.path}: none of {MOST_REFUSED} configurations can be trained: "
                f"{broken[-1].refused}"
            )

    def _check_code(self, trial: Trial, iteration: Iteration) -> None:
        if trial.fingerprint != iteration.fingerprint:
            raise SearchError(
                f"{self._study.folder}: configuration {trial.number} is of other code than "
                f"{self._space.model} now; put that back, or name another --study"
            )
