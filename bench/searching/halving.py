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

from msgspec.structs import replace

from bench.errors import BenchError, EngineError, RecipeError, SearchError, UnansweredError
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
                self._fail(job.trial, job.proposal, result)
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

    def _fail(self, trial: Trial, proposal: Proposal, reason: str) -> None:
        self._proposals.forget(proposal)
        self._listener.note_failed(trial, reason)
        self.failures.append(f"configuration {trial.number}: {reason}")

    def _draw(self, trials: int) -> _Job | None:
        """Return the next configuration that can be trained; the others are noted and passed."""
        while self._drawn < trials:
            number = self._drawn
            known = self._study.trials[number] if number < len(self._study.trials) else None
            if self._trainer.is_closing and (known is None or known.is_open):
                return None
            proposal = self._proposals.ask(number, None if known is None else known.drawn)
            self._drawn += 1
            job = self._take(number, proposal, known)
            if job is not None:
                return job
            self._check_refusals()
        return None

    def _take(self, number: int, proposal: Proposal, known: Trial | None) -> _Job | None:
        """Look at a configuration unless that was done; `None` where it cannot be trained."""
        iteration, reason = self._configure(proposal)
        if known is None or known.is_open:
            trial = Trial(number=number, drawn=proposal.drawn, refused=reason)
            failure: str | None = None
            if iteration is not None:
                trial, failure = self._look(trial, iteration)
            self._study.put(trial)
            if failure is not None:
                self._fail(trial, proposal, failure)
                return None
        else:
            trial = known
        self._listener.note_drawn(trial, is_new=trial is not known)
        if trial.refused is None and iteration is not None:
            self._study.check_code(number, iteration)
            return _Job(trial, proposal, iteration)
        self._proposals.refuse(proposal)
        return None

    def _configure(self, proposal: Proposal) -> tuple[Iteration | None, str | None]:
        try:
            return self._family.configure(proposal.draw), None
        except RecipeError as error:
            return None, str(error)

    def _look(self, trial: Trial, iteration: Iteration) -> tuple[Trial, str | None]:
        """Look at a configuration's network; refuse what cannot be built or is over budget.

        What may be otherwise another time is no refusal, but is returned as what failed: a process
        that ended or took too long, an engine that is missing.
        """
        trial = replace(trial, iteration=iteration.name, fingerprint=iteration.fingerprint)
        try:
            found = self._trainer.inspect(iteration)
        except (UnansweredError, EngineError) as error:
            return trial, str(error)
        except BenchError as error:
            return replace(trial, refused=str(error)), None
        trial = replace(trial, parameters=found.parameters, conditions=found.conditions)
        if found.parameters < self._goal.parameters:
            return trial, None
        reason = (
            f"{format_count(found.parameters)} parameters, not fewer than "
            f"{format_count(self._goal.parameters)}"
        )
        return replace(trial, refused=reason, over_budget=True), None

    def _check_refusals(self) -> None:
        """Stop where nothing of a space can be built."""
        trials = self._study.trials[: self._drawn]
        if len(trials) == MOST_REFUSED and all(each.parameters is None for each in trials):
            reason = trials[-1].refused or self.failures[-1]
            raise SearchError(
                f"{self._space.path}: none of {MOST_REFUSED} configurations can be trained: "
                f"{reason}"
            )
