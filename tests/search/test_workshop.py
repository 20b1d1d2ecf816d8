"""The workshop between a search, its ledger and the workers, of which these train nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from planted_runs import make_cost, make_run
from spaces_for_tests import RATES, read, read_family

from bench.challenges import DIGITS
from bench.datasets import Dataset, make_dataset, split_for_tuning
from bench.errors import SearchError
from bench.executors.inspection import Inspection
from bench.executors.processes import Collected, explain_failure
from bench.interruption import Interruption
from bench.iterations import Iteration
from bench.records import Conditions, Run
from bench.searching import workshop as workshops
from bench.searching.configurations import Family
from bench.searching.halving import Goal, Search
from bench.searching.results import collect_results
from bench.searching.spaces import Space
from bench.searching.studies import Study, Trial
from bench.searching.workshop import Equipment, Workshop
from bench.training.devices import describe_conditions
from bench.training.engines import EngineChoice
from bench.training.runs import Unit

SPACE = f"seeds = 4\nkeep = 2\nbeside = 3\n{RATES}"
SEEDS = (1_000_000, 1_000_001)


@dataclass
class Bench:
    """Workshops on one ledger; `engine` is what inspections choose, `trained` what was finished.

    `patience` is after how many more runs there is an interruption.
    """

    folder: Path
    images: Dataset
    engine: str = "native"
    patience: int = -1
    trained: Counter[tuple[str, int]] = field(default_factory=Counter)

    def open(self) -> Workshop:
        equipment = Equipment(
            challenge=DIGITS, dataset=self.images, device=torch.device("cpu"), engine="auto",
            block=None, side_by_side=1, workers=2, ledger=self.folder / "ledger",
        )  # fmt: skip
        self.interruption = Interruption()
        return Workshop(equipment, Silence(), self.interruption, deadline=None)  # type: ignore[arg-type]

    def inspect(self, iteration: Iteration, *_: object, **__: object) -> Inspection:
        choice = EngineChoice(engine=self.engine, block=1, notice=None)
        return Inspection(cost=make_cost(), choice=choice, iteration=iteration, notes=())

    def plant(self, unit: Unit) -> tuple[Run, ...]:
        self.trained.update((unit.iteration.name, seed) for seed in unit.seeds)
        self.patience -= len(unit.seeds)
        self.interruption.requested = self.patience == 0
        return tuple(
            make_run(
                iteration=unit.iteration, seed=seed, conditions=unit.conditions,
                challenge=DIGITS.name, dataset=split_for_tuning(self.images).digest,
                final=(9_950 - round(100 * abs(math.log10(rate_of(unit.iteration) / 0.1))),) * 3,
            )
            for seed in unit.seeds
        )  # fmt: skip


def rate_of(iteration: Iteration) -> float:
    rate: float = iteration.recipe.schedule.rate  # type: ignore[union-attr]
    return rate


class Silence:
    """A progress that shows nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    pixels, labels = torch.arange(240 * 64) % 251, torch.arange(240) % 10
    images = pixels.reshape(240, 8, 8).to(torch.uint8), labels.to(torch.uint8)
    made = Bench(tmp_path, make_dataset("digits", *images, *images, folder=None))

    class StubPool:
        """Gives runs one unit at a time, as a slow worker would."""

        def __init__(self, **_: object) -> None:
            self.waiting: list[Unit] = []

        @property
        def in_flight(self) -> int:
            return len(self.waiting)

        has_room = True

        def submit(self, unit: Unit) -> None:
            self.waiting.append(unit)

        def collect(self, **_: object) -> Collected:
            return Collected(runs=made.plant(self.waiting.pop(0)))

        def stop(self) -> tuple[Run, ...]:
            return ()

    monkeypatch.setattr(workshops, "WorkerPool", StubPool)
    monkeypatch.setattr(workshops, "inspect_iteration", made.inspect)
    return made


@pytest.fixture(scope="module")
def space() -> Space:
    return read(SPACE)


@pytest.fixture(scope="module")
def family() -> Family:
    return read_family(SPACE)


@pytest.fixture(scope="module")
def iteration(family: Family) -> Iteration:
    return family.configure(lambda _, drawn: drawn.ends[0])


def train(bench: Bench, iteration: Iteration, seeds: Sequence[int]) -> tuple[Run, ...]:
    with bench.open() as workshop:
        workshop.want(iteration, workshop.inspect(iteration).conditions, seeds)
        runs = workshop.wait(iteration, seeds)
    assert isinstance(runs, tuple)
    return runs


def conditions_of(engine: str) -> Conditions:
    return describe_conditions(torch.device("cpu"), "fp32", engine=engine)


@pytest.mark.parametrize("stops", [(), (1, 4, 7)])
def test_no_run_is_trained_twice(bench: Bench, stops: tuple[int, ...]) -> None:
    """Though configurations are drawn again, of six there are, and the search is stopped."""
    pytest.importorskip("optuna")
    text = SPACE.replace("{ from = 0.02, to = 0.2, log = true }", "{ choices = [0.05, 0.1] }")
    space, family = read(text), read_family(text)
    study = Study(bench.folder)
    for patience in (*stops, -1):
        bench.patience = patience
        with study.lock(), bench.open() as workshop:
            study.begin({"space": dict(space.written)}, space.path)
            goal = Goal(window=3, parameters=10_000)
            done = Search(space, family, study, workshop, Silence(), goal).run(14)
        assert done == (patience < 0)
    names = [trial.iteration for trial in study.trials]
    assert len(set(names)) < len(names) == 14
    assert set(bench.trained.values()) == {1}
    assert {name for name, _ in bench.trained} == set(names)


def test_runs_under_other_conditions_are_not_taken(bench: Bench, iteration: Iteration) -> None:
    """The native engine's seed is in the ledger; where `auto` is another one, it is trained."""
    train(bench, iteration, SEEDS[:1])
    bench.engine = "eager"
    runs = train(bench, iteration, SEEDS)
    assert {run.conditions for run in runs} == {conditions_of("eager")}
    assert bench.trained == {(iteration.name, SEEDS[0]): 2, (iteration.name, SEEDS[1]): 1}


def test_a_configuration_does_not_go_on_under_other_conditions(
    bench: Bench, iteration: Iteration
) -> None:
    """Begun by the native engine, where there is no compiler any more; what is there is judged."""
    train(bench, iteration, SEEDS[:1])
    bench.engine = "eager"
    with bench.open() as workshop:
        workshop.want(iteration, conditions_of("native"), SEEDS[:1])
        assert workshop.wait(iteration, SEEDS[:1])
        with pytest.raises(SearchError, match=r"begun on cpu, fp32, native .* now on .* eager"):
            workshop.want(iteration, conditions_of("native"), SEEDS)


def test_a_block_that_is_too_wide_says_what_to_do(
    bench: Bench, iteration: Iteration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search keeps its conditions, so it does not halve the block by itself."""

    def fail(unit: Unit) -> Collected:
        wide = replace(unit, conditions=msgspec.structs.replace(unit.conditions, block=8))
        return Collected(given_up=(explain_failure(wide, torch.OutOfMemoryError()),))

    pool = "bench.searching.workshop.WorkerPool"
    monkeypatch.setattr(f"{pool}.collect", lambda pool, **_: fail(pool.waiting.pop(0)))
    with bench.open() as workshop:
        workshop.want(iteration, workshop.inspect(iteration).conditions, SEEDS[:1])
        assert workshop.wait(iteration, SEEDS[:1]) == (
            "8 seeds side by side take more memory than there is; "
            "take a smaller --block and another --study"
        )


def test_results_are_of_one_set_of_conditions(
    bench: Bench, space: Space, iteration: Iteration
) -> None:
    """Of two engines' runs of a configuration, those that its line of trials says."""
    for engine, seeds in (("native", SEEDS[:1]), ("eager", SEEDS)):
        bench.engine = engine
        train(bench, iteration, seeds)
    study = Study(bench.folder)
    study.trials = [
        Trial(
            number=0, drawn={"recipe.batch_size": 0, "recipe.schedule.rate": 0},
            iteration=iteration.name, fingerprint=iteration.fingerprint, parameters=7_924,
            conditions=conditions_of("native"),
        )
    ]  # fmt: skip
    (standing,) = collect_results(space, study, DIGITS.name, window=3).standings
    assert standing.seeds == SEEDS[:1]
