"""What to try next and what to give up, by Optuna: TPE proposes, successive halving prunes.

The only file that knows Optuna, which is imported when a search begins. Its study lives in memory
and is the same whenever it is told the same in the same order: each proposal is drawn from a seed
of its own, so that none depends on what an earlier process had drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.exports.destinations import import_extra
from bench.searching.spaces import Field, Range, Space


def load_optuna() -> Any:
    """Return Optuna, which says nothing of its own.

    Raises:
        ExportError: it is not installed.
    """
    optuna = import_extra("optuna", extra="search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@dataclass(frozen=True, slots=True)
class Proposal:
    """One trial of Optuna's, and what is drawn for it: by path, the place or index."""

    trial: Any
    drawn: dict[str, int]

    def draw(self, where: str, field: Field) -> int:
        """Draw a field."""
        if isinstance(field, Range):
            log, step = (field.log, field.step) if field.whole else (False, 1)
            number = self.trial.suggest_int(where, *field.ends, log=log, step=step)
        else:
            number = self.trial.suggest_categorical(where, field.ends)
        self.drawn[where] = int(number)
        return self.drawn[where]


_STRIDE = 1_000_003
"""Between the seeds of two studies, so that their proposals are drawn from different ones."""


class Proposals:
    """Optuna's study of a space; higher values are better."""

    def __init__(self, space: Space) -> None:
        self._optuna = load_optuna()
        self._seed, self._seeds = space.random_seed, len(space.seeds)
        self._study = self._optuna.create_study(
            direction="maximize",
            pruner=self._optuna.pruners.SuccessiveHalvingPruner(
                min_resource=space.first, reduction_factor=space.keep
            ),
        )

    def ask(self, number: int, recorded: Mapping[str, int] | None) -> Proposal:
        """Return the next proposal, `number`; one that was drawn before is what it was."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=(self._seed * _STRIDE + number) % 2**32,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        if recorded is not None:
            self._study.enqueue_trial(dict(recorded))
        return Proposal(self._study.ask(), {})

    def judge(self, proposal: Proposal, value: float, seeds: int) -> bool:
        """Note the value after so many seeds; say whether more are worth training."""
        proposal.trial.report(value, step=seeds)
        if seeds == self._seeds:
            self._study.tell(proposal.trial, value)
            return False
        if proposal.trial.should_prune():
            self._study.tell(proposal.trial, state=self._optuna.trial.TrialState.PRUNED)
            return False
        return True

    def refuse(self, proposal: Proposal) -> None:
        """Note that a proposal cannot be trained: it counts as worse than all that were."""
        self._study.tell(proposal.trial, state=self._optuna.trial.TrialState.PRUNED)

    def forget(self, proposal: Proposal) -> None:
        """Note that nothing came of a proposal that says anything about it."""
        self._study.tell(proposal.trial, state=self._optuna.trial.TrialState.FAIL)
