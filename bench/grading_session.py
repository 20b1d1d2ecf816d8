"""Seeds spent on submissions whose verdicts are open, and the grades that come of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.campaign import Campaign, Plan
from bench.datasets import Dataset
from bench.executors.processes import GivenUp
from bench.figures import format_accuracy, format_seconds
from bench.grading.marks import (
    LATE,
    Grade,
    is_decided,
    mark_broken,
    mark_judged,
    mark_missing,
    mark_over_budget,
    mark_undecided,
)
from bench.interruption import Interruption
from bench.progress import Progress
from bench.records import Challenge
from bench.screening import Look
from bench.session import Outcome, Session, choose_workers, start_campaign, train_campaign

LEAST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 20.0, 600.0
SHARE_OF_BUDGET = 8
"""A seed that finishes no epoch within this part of the budget is given up."""

LEAST_SECONDS = 1e-3
"""Of a plan: 0 would be no limit."""

FLYING = 8
"""Seeds in training that are shown, of any number."""


class GradingProgress(Progress):
    """How many submissions are decided, what is being trained, and the time left.

    A submission of which a seed was given up is broken: no further seed of it is trained.
    """

    def note_given_up(self, iteration: str, seeds: tuple[int, ...], reason: str) -> None:
        """Say that a submission cannot be trained, and train it no more."""
        super().note_given_up(iteration, seeds, reason)
        self._campaign.withdraw(iteration)

    def _describe_rate(self) -> str:
        left = self._campaign.seconds_left
        spent = "" if left is None else f", {format_seconds(left)} left at most"
        return f"{self._count_decided()} of {len(self._campaign.iterations)} decided{spent}"

    def _count_decided(self) -> int:
        return len(self._campaign.iterations) - len(self._campaign.undecided)

    def refresh(self) -> None:
        """Redraw the live view."""
        if self._watched:
            self._live.update(Group(self._render_decided(), self._render_flying()))

    def _render_decided(self) -> Table:
        total, decided = len(self._campaign.iterations), self._count_decided()
        table = Table.grid(padding=(0, 2))
        table.add_row(ProgressBar(total=total, completed=decided, width=40), self._describe_rate())
        return table

    def _render_flying(self) -> Text:
        lines = [
            f"{name} seed {seed}: epoch {epoch} "
            f"{format_accuracy(score.validation_correct, score.validation_total)}"
            for (name, seed), (epoch, score) in list(self._flying.items())[-FLYING:]
        ]
        return Text("\n".join(lines))


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """The grades, and what kept the ledger from taking runs, if anything did."""

    grades: tuple[Grade, ...]
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class GradingSession:
    """Where and how submissions are trained: `seeds` of each at most, none after `deadline`.

    `deadline` is by the monotonic clock; `budget_seconds` is what it was reckoned from.
    """

    challenge: Challenge
    dataset: Dataset
    device: torch.device
    workers: int | None
    ledger: Path
    seeds: tuple[int, ...]
    deadline: float
    budget_seconds: float

    def grade(self, console: Console, looks: Sequence[Look], interruption: Interruption) -> Graded:
        """Train what can be trained, seed by seed, until it is decided; grade all of it."""
        trained = [look for look in looks if look.inspection and look.excess is None]
        if not trained:
            return Graded(grades=tuple(map(grade_untrained, looks)), outcome=Outcome())
        session = self._make_session(trained)
        left = max(self.deadline - time.monotonic(), LEAST_SECONDS)
        plan = Plan(seeds=self.seeds, until_decided=True, time_budget_seconds=left)
        campaign = start_campaign(session, plan)
        _announce(console, session, campaign)
        with GradingProgress(console, campaign) as progress:
            outcome = train_campaign(session, campaign, progress, interruption)
        given_up = {failure.iteration: failure for failure in reversed(outcome.given_up)}
        grades = tuple(_grade_trained(look, campaign, given_up) for look in looks)
        return Graded(grades=grades, outcome=outcome)

    def _make_session(self, looks: Sequence[Look]) -> Session:
        found = {
            look.inspection.iteration.name: look.inspection for look in looks if look.inspection
        }
        engines = {name: inspection.choice for name, inspection in found.items()}
        return Session(
            iterations=tuple(inspection.iteration for inspection in found.values()),
            challenge=self.challenge,
            dataset=self.dataset,
            device=self.device,
            engines=engines,
            costs={name: inspection.cost for name, inspection in found.items()},
            workers=choose_workers(self.device, self.workers, engines),
            ledger=self.ledger,
            patience_seconds=_choose_patience(self.budget_seconds),
        )


def _choose_patience(budget_seconds: float) -> float:
    patience = budget_seconds / SHARE_OF_BUDGET
    return min(MOST_PATIENCE_SECONDS, max(LEAST_PATIENCE_SECONDS, patience))


def _announce(console: Console, session: Session, campaign: Campaign) -> None:
    names = " and ".join(sorted({choice.engine for choice in session.engines.values()}))
    left = campaign.seconds_left or 0.0
    console.print(
        f"training {len(campaign.iterations)} submissions on {session.challenge.name}, "
        f"{session.workers} at a time on {session.device} with the {names} engine, for "
        f"{format_seconds(left)}; {campaign.already_recorded} runs recorded already in "
        f"{session.ledger}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def grade_untrained(look: Look, why: str = LATE) -> Grade:
    """Grade what is broken, missing or over budget; all else is undecided, and `why` says why."""
    submission, screened = look.submission, look.screened
    if submission.path is None:
        return mark_missing(submission)
    if look.broken is not None:
        return mark_broken(submission, look.broken)
    if screened is not None and look.excess is not None:
        return mark_over_budget(submission, screened, look.excess)
    return mark_undecided(submission, why, screened)


def _grade_trained(look: Look, campaign: Campaign, given_up: Mapping[str, GivenUp]) -> Grade:
    found, screened = look.inspection, look.screened
    if found is None or screened is None or look.excess is not None:
        return grade_untrained(look)
    verdict = campaign.verdict(found.iteration.name)
    failure = given_up.get(found.iteration.name)
    if failure is not None and not is_decided(verdict):
        return mark_broken(look.submission, failure.reason, screened=screened, verdict=verdict)
    return mark_judged(look.submission, screened, verdict)
