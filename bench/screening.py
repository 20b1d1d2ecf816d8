"""Submissions looked at before any is trained: what each is, what it costs, which are broken."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path

import torch
from msgspec import structs

from bench.errors import BenchError
from bench.executors.inspection import Inspection, inspect_iteration
from bench.foreign import find_iterations
from bench.grading.marks import Screened
from bench.grading.submissions import Submission
from bench.iterations import Iteration, list_iterations
from bench.records import Challenge
from bench.verdict import find_excess

COMPILES_NOTHING = "eager"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a look at a submission gave: an inspection, or one line why there is none.

    `excess` says what is over budget, so that no seed is worth training.
    """

    submission: Submission
    inspection: Inspection | None = None
    broken: str | None = None
    excess: str | None = None

    @property
    def screened(self) -> Screened | None:
        """Return what is shown of the inspection."""
        if self.inspection is None:
            return None
        return Screened(
            network=self.inspection.iteration.network,
            cost=self.inspection.cost,
            structure=self.inspection.structure,
            notes=tuple(f"{note[:1].upper()}{note[1:]}." for note in self.inspection.notes),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Screening:
    """How submissions are looked at: `recipe` is for those whose claim names none.

    `recipes` is the folder from which claims see their recipes.
    """

    folder: Path
    challenge: Challenge
    device: torch.device
    engine: str
    recipe: str
    recipes: Path | None
    workers: int

    def look_at_all(
        self, submissions: Sequence[Submission], note: Callable[[Look], None]
    ) -> tuple[Look, ...]:
        """Look at each submission, several at once; `note` is told of each in their order.

        A KeyboardInterrupt ends it; what was told of stands.
        """
        executor = ThreadPoolExecutor(max_workers=self.workers)
        looks: list[Look] = []
        try:
            for look in executor.map(self._look, submissions):
                looks.append(look)
                note(look)
        except KeyboardInterrupt:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # nothing else of this process has any yet
                process.kill()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        return tuple(_tell_apart(looks))

    def _look(self, submission: Submission) -> Look:
        if submission.path is None:
            return Look(submission=submission)
        try:
            iteration = self._find_iteration(submission, submission.path)
            found = self._inspect(iteration, COMPILES_NOTHING)
            excess = find_excess(
                parameters=found.cost.parameters,
                epochs=iteration.recipe.epochs,
                challenge=self.challenge,
            )
            if excess is None and self.engine != COMPILES_NOTHING:
                found = self._inspect(iteration, self.engine)
            return Look(submission=submission, inspection=found, excess=excess)
        except BenchError as error:
            return Look(submission=submission, broken=_shorten(str(error), submission.path))
        except Exception as error:  # whatever is in a file costs its own row only
            reason = f"could not be looked at ({type(error).__name__}: {error})"
            return Look(submission=submission, broken=_shorten(reason, submission.path))

    def _find_iteration(self, submission: Submission, path: Path) -> Iteration:
        claim = submission.claim
        arguments = claim.arguments if claim else ()
        return find_iterations(
            (f"{path}:{submission.network}" if submission.network else str(path),),
            recipe=self._choose_recipe(submission, path),
            arguments=[f"{name}={literal}" for name, literal in arguments],
            root=self.folder,
        )[0]

    def _choose_recipe(self, submission: Submission, path: Path) -> str | None:
        """Return the recipe by the name under which it is found: a file lies beside the claims.

        An iteration of the harness has its own.
        """
        claimed = submission.claim.recipe if submission.claim else None
        if claimed is None:
            ours = submission.network in (None, "Network") and _is_iteration(path)
            return None if ours else self.recipe
        beside = self.recipes / claimed if self.recipes is not None else None
        return str(beside) if beside is not None and beside.is_file() else claimed

    def _inspect(self, iteration: Iteration, engine: str) -> Inspection:
        return inspect_iteration(
            iteration,
            self.device,
            engine=engine,
            shape=self.challenge.shape,
            classes=len(self.challenge.classes),
        )


def _is_iteration(path: Path) -> bool:
    return path.resolve() in {iteration.path.resolve() for iteration in list_iterations()}


def _shorten(message: str, path: Path) -> str:
    """Leave the path out of a message that stands beside the file's name already."""
    for known in (str(path.absolute()), str(path)):
        message = re.sub(rf"{re.escape(known)}(?::\w+)?: ", "", message).replace(known, path.name)
    return " ".join(message.split())


def _tell_apart(looks: Sequence[Look]) -> list[Look]:
    """Give those whose names in the ledger are alike names that differ."""
    count = Counter(look.inspection.iteration.name for look in looks if look.inspection)
    return [_rename(look) if count[_name(look)] > 1 else look for look in looks]


def _name(look: Look) -> str:
    return look.inspection.iteration.name if look.inspection else ""


def _rename(look: Look) -> Look:
    found = look.inspection
    if found is None:
        return look
    place = f"{look.submission.file}:{look.submission.network}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    iteration = replace(found.iteration, name=f"{found.iteration.name[:90]}-{digest}")
    return replace(look, inspection=structs.replace(found, iteration=iteration))
