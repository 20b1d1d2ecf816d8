"""The search itself, with runs that nobody trained: their values are read off the configuration.

What is drawn must depend on the space and the values alone: not on where a search was stopped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_runs import CONDITIONS, make_epoch, make_run
from spaces_for_tests import RATES, read, read_family

from bench.errors import BenchError, EngineError, IterationError, SearchError, UnansweredError
from bench.iterations import Iteration
from bench.records import Conditions, Run, Status
from bench.searching.configurations import Family
from bench.searching.halving import Goal, Search
from bench.searching.spaces import Objective, Space
from bench.searching.studies import Found, Study, Trial
from bench.searching.values import value_run

pytest.importorskip("optuna")

SPACE = f"seeds = 4\nkeep = 2\nbeside = 3\n{RATES}"
GOAL = Goal(window=3, parameters=10_000)
TRIALS = 14


@dataclass
class Planter:
    """Gives runs at once: best at a rate of 0.1, and a little different by seed.

    It closes after `patience` runs; what it gave is kept in `given`, as a ledger would.
    """

    given: dict[tuple[str, int], Run] = field(default_factory=dict)
    trained: set[tuple[str, int]] = field(default_factory=set)
    patience: float = math.inf
    parameters: int = 7_924
    too_large: int | None = None
    """A batch size whose networks are over the budget."""
    broken: IterationError | None = None

    @property
    def is_closing(self) -> bool:
        return self.patience <= 0

    def inspect(self, iteration: Iteration) -> Found:
        if self.broken is not None:
            raise self.broken
        over = iteration.recipe.batch_size == self.too_large
        return Found(parameters=10_000 if over else self.parameters, conditions=CONDITIONS)

    def want(
        self, iteration: Iteration, conditions: Conditions | None, seeds: Sequence[int]
    ) -> None:
        assert min(seeds) >= 1_000_000
        assert conditions == CONDITIONS

    def wait(self, iteration: Iteration, seeds: Sequence[int]) -> tuple[Run, ...] | str | None:
        for seed in seeds:
            key = iteration.name, seed
            if key not in self.given:
                if self.is_closing:
                    return None
                self.patience -= 1
                self.trained.add(key)
                self.given[key] = plant(iteration, seed)
        return tuple(self.given[iteration.name, seed] for seed in seeds)


def plant(iteration: Iteration, seed: int) -> Run:
    rate: float = iteration.recipe.schedule.rate  # type: ignore[union-attr]
    correct = 9_950 - round(100 * abs(math.log10(rate / 0.1))) - seed % 7
    return make_run(iteration=iteration, seed=seed, final=(correct + 1, correct, correct + 5))


@dataclass
class Diary:
    """Hears what becomes of configurations."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)

    def note_drawn(self, trial: Trial, *, is_new: bool) -> None:
        self.lines.append(("drawn", trial.number))

    def note_judged(self, trial: Trial, seeds: int, value: float, *, goes_on: bool) -> None:
        self.lines.append((trial.number, seeds, value, goes_on))

    def note_failed(self, trial: Trial, reason: str) -> None:
        self.lines.append(("failed", trial.number, reason))


@pytest.fixture(scope="module")
def space() -> Space:
    return read(SPACE)


@pytest.fixture(scope="module")
def family() -> Family:
    return read_family(SPACE)


def search(
    space: Space, family: Family, folder: Path, planter: Planter, trials: int = TRIALS
) -> tuple[Study, list[tuple[Any, ...]], bool]:
    study, diary = Study(folder), Diary()
    with study.lock():
        study.begin({"space": dict(space.written)}, space.path)
        done = Search(space, family, study, planter, diary, GOAL).run(trials)
    return study, diary.lines, done


@pytest.fixture(scope="module")
def whole(
    space: Space, family: Family, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Trial], list[tuple[Any, ...]], Planter]:
    """Return what a search is that nobody stops."""
    planter = Planter()
    study, lines, done = search(space, family, tmp_path_factory.mktemp("whole"), planter)
    assert done
    return study.trials, lines, planter


def test_promising_configurations_get_more_seeds(whole: Any) -> None:
    """All have one seed, half of them two, some four; those are better than the others."""
    trials, lines, planter = whole
    assert len(trials) == TRIALS
    seeds = Counter(name for name, _ in planter.trained)
    assert set(seeds.values()) == {1, 2, 4}
    assert Counter(seeds.values())[1] >= Counter(seeds.values())[4]
    judged = [line for line in lines if line[0] not in ("drawn", "failed")]
    after_one = {number: value for number, count, value, _ in judged if count == 1}
    full = [number for number, count, *_ in judged if count == 4]
    kept = sum(after_one[number] for number in full) / len(full)
    assert kept > sum(after_one.values()) / len(after_one)


@settings(max_examples=15)
@given(stops=st.lists(st.integers(1, 12), max_size=4))
def test_a_search_that_is_stopped_is_as_one_that_is_not(
    stops: list[int],
    space: Space,
    family: Family,
    whole: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Wherever it is: the same configurations, judgements and runs."""
    folder = tmp_path_factory.mktemp("stopped")
    planter = Planter()
    for patience in stops:
        planter.patience = patience
        search(space, family, folder, planter)
    planter.patience = math.inf
    study, lines, done = search(space, family, folder, planter)
    assert done
    assert (study.trials, lines) == whole[:2]
    assert planter.trained == whole[2].trained


def test_what_was_drawn_is_kept_though_optuna_would_draw_otherwise(
    space: Space, family: Family, whole: Any, tmp_path: Path
) -> None:
    """As another version of it might: the file of trials decides."""
    study, _, _ = search(space, family, tmp_path, Planter(), trials=5)
    other = next(d for d in range(1_000) if d != study.trials[2].drawn["recipe.schedule.rate"])
    drawn = study.trials[2].drawn | {"recipe.schedule.rate": other}
    iteration = family.recall(drawn)
    line = Trial(
        number=2, drawn=drawn, iteration=iteration.name, fingerprint=iteration.fingerprint,
        parameters=7_924, conditions=CONDITIONS,
    )  # fmt: skip
    trials, study.trials = study.trials, study.trials[:2]
    for trial in (line, *trials[3:]):
        study.put(trial)
    planter = Planter()
    again, _, _ = search(space, family, tmp_path, planter, trials=5)
    assert again.trials[2] == line
    assert (iteration.name, 1_000_000) in planter.trained


def test_a_file_of_trials_that_is_lost_is_drawn_again(
    space: Space, family: Family, whole: Any, tmp_path: Path
) -> None:
    """And the runs are found by their code."""
    planter = Planter()
    search(space, family, tmp_path, planter)
    (tmp_path / "trials.jsonl").unlink()
    study, lines, _ = search(space, family, tmp_path, planter)
    assert (study.trials, lines) == whole[:2]
    assert planter.trained == whole[2].trained


def test_more_trials_go_on_where_fewer_ended(space: Space, family: Family, tmp_path: Path) -> None:
    planter = Planter()
    few, _, _ = search(space, family, tmp_path, planter, trials=6)
    assert len(few.trials) == 6
    many, _, done = search(space, family, tmp_path, planter, trials=9)
    assert done
    assert many.trials[:6] == few.trials


def test_over_the_budget_is_passed_over(space: Space, family: Family, tmp_path: Path) -> None:
    """Counted as drawn, never trained; a network must have fewer parameters."""
    planter = Planter(too_large=64)
    study, _, _ = search(space, family, tmp_path, planter)
    over = [trial for trial in study.trials if trial.over_budget]
    assert 0 < len(over) < len(study.trials) == TRIALS
    assert all(t.refused == "10,000 parameters, not fewer than 10,000" for t in over)
    assert {trial.iteration for trial in over}.isdisjoint(name for name, _ in planter.trained)


def test_a_run_that_is_given_up_costs_its_configuration(
    space: Space, family: Family, tmp_path: Path
) -> None:
    class Careless(Planter):
        def wait(self, iteration: Iteration, seeds: Sequence[int]) -> Any:
            if iteration.recipe.batch_size == 32:
                return "took its worker down"
            return super().wait(iteration, seeds)

    _, lines, done = search(space, family, tmp_path, Careless())
    failed = [line for line in lines if line[0] == "failed"]
    assert done
    assert 0 < len(failed) < TRIALS
    assert {reason for _, _, reason in failed} == {"took its worker down"}


@pytest.mark.parametrize("error", [UnansweredError, EngineError])
def test_a_look_that_came_to_nothing_is_taken_again(
    error: type[BenchError], space: Space, family: Family, whole: Any, tmp_path: Path
) -> None:
    """A process that the system ended says nothing of its configuration, as no answer in time."""

    @dataclass
    class Busy(Planter):
        looks: int = 0

        def inspect(self, iteration: Iteration) -> Found:
            self.looks += 1
            if self.looks == 2:
                raise error("model.py:Net: ended its process")
            return super().inspect(iteration)

    planter = Busy()
    study, lines, done = search(space, family, tmp_path, planter, trials=5)
    assert done
    assert [trial.number for trial in study.trials if trial.is_open] == [1]
    assert ("failed", 1, "model.py:Net: ended its process") in lines
    again, lines, done = search(space, family, tmp_path, planter, trials=5)
    assert done
    assert again.trials[1] == whole[0][1]
    assert [t.drawn for t in again.trials] == [t.drawn for t in study.trials]
    assert not [line for line in lines if line[0] == "failed"]
    assert (again.trials[1].iteration, 1_000_000) in planter.trained


def test_what_a_model_says_of_itself_is_a_refusal(
    space: Space, family: Family, tmp_path: Path
) -> None:
    """It is not built again."""

    class Picky(Planter):
        def inspect(self, iteration: Iteration) -> Found:
            if iteration.recipe.batch_size == 64:
                raise IterationError("model.py:Net: cannot be run (ValueError: 64)")
            return super().inspect(iteration)

    study, lines, done = search(space, family, tmp_path, Picky())
    refused = [trial for trial in study.trials if trial.refused is not None]
    assert done
    assert 0 < len(refused) < TRIALS
    assert not [line for line in lines if line[0] == "failed"]


@pytest.mark.parametrize("kind", [IterationError, UnansweredError])
def test_a_space_of_which_nothing_can_be_built_is_an_error(
    kind: type[IterationError], space: Space, family: Family, tmp_path: Path
) -> None:
    planter = Planter(broken=kind("model.py:Net: cannot be run; correct it"))
    with pytest.raises(SearchError, match=r"none of 5 configurations .*model\.py:Net"):
        search(space, family, tmp_path, planter)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("to = 0.2", "to = 0.3", r"recipe\.schedule\.rate\.to was 0\.2 when .* and is 0\.3"),
        ("seeds = 4", "seeds = 5", r"seeds was 4 when .* and is 5"),
        ("[32, 64, 128]", "[32, 64]", r"choices\[2\] was 128 when .* and is left out"),
    ],
)
def test_another_space_is_another_study(
    old: str, new: str, message: str, space: Space, family: Family, tmp_path: Path
) -> None:
    search(space, family, tmp_path, Planter(), trials=1)
    text = SPACE.replace(old, new)
    with pytest.raises(SearchError, match=message):
        search(read(text), read_family(text), tmp_path, Planter(), trials=1)


def test_whole_numbers_are_no_fractions_to_a_study(tmp_path: Path) -> None:
    """From 4 to 20 there are 17 numbers to draw, from 4.0 to 20.0 a thousand steps."""
    for written in ("{ from = 4, to = 20 }", "{ from = 4.0, to = 20.0 }"):
        space = read(f'model = "net.py:Net"\narguments.width = {written}')
        study = Study(tmp_path)
        if not study.has_begun:
            study.begin({"space": dict(space.written)}, space.path)
    with pytest.raises(SearchError, match=r"arguments\.width\.from was 4 when .* and is 4\.0; put"):
        study.resume({"space": dict(space.written)}, space.path)


def test_two_at_once_are_refused(space: Space, family: Family, tmp_path: Path) -> None:
    with Study(tmp_path).lock(), pytest.raises(SearchError, match=r"another `bench search`"):
        search(space, family, tmp_path, Planter())


def test_a_damaged_file_says_what_to_do(space: Space, family: Family, tmp_path: Path) -> None:
    search(space, family, tmp_path, Planter(), trials=2)
    (tmp_path / "trials.jsonl").write_text('{"number": 0, "drawn": {}}\n{"numb\n')
    with pytest.raises(SearchError, match=r"trials\.jsonl: damaged .* move it away"):
        search(space, family, tmp_path, Planter(), trials=2)


def test_a_run_is_worth_the_lowest_of_its_window() -> None:
    """Of 9,800, 9,950, 9,940 and 9,945: by hand."""
    run = make_run(final=(9_950, 9_940, 9_945))
    assert float(value_run(run, window=3, objective="minimum")) == 0.9940
    assert float(value_run(run, window=3, objective="mean")) == 0.9945
    assert float(value_run(run, window=4, objective="minimum")) == 0.98
    early = make_run(status=Status.DIVERGED, epochs=(make_epoch(9_999),))
    assert value_run(early, window=3, objective="minimum") == 0


@pytest.mark.parametrize("objective", ["minimum", "mean"])
def test_a_run_shorter_than_the_window_is_worth_nothing(objective: Objective) -> None:
    """The lowest of two epochs is never below that of three."""
    short = make_run(epochs=(make_epoch(9_990), make_epoch(9_991)))
    assert value_run(short, window=3, objective=objective) == 0
    assert value_run(short, window=2, objective=objective) > Fraction(9_989, 10_000)
