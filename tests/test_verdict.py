"""A verdict has two required findings, budget and reliability, and says why in one line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from planted_runs import CONDITIONS, LATEST, LUCKY, make_cost, make_run, make_runs

from bench.challenges import DIGITS, MNIST
from bench.evidence import select_evidence
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Run
from bench.seeds import parse_seeds
from bench.verdict import Verdict, judge, judge_all


def judge_runs(runs: Iterable[Run], iteration: Iteration = LATEST) -> Verdict:
    return judge(select_evidence(runs, iteration), iteration, MNIST)


def with_epochs(epochs: int) -> Iteration:
    """Return the latest iteration as if its recipe had that many epochs."""
    return dataclasses.replace(LATEST, recipe=dataclasses.replace(LATEST.recipe, epochs=epochs))


def test_clean_seeds_hold_after_thirty_three() -> None:
    """33 clean seeds of 33 HOLD, and a verdict that was reached is not taken back by a 34th."""
    verdict = judge_runs(make_runs(range(33)))

    assert verdict.answer is Answer.HOLDS
    assert verdict.why.startswith("33 of 33 seeds hold; decided after 33")
    later = judge_runs([*make_runs(range(33)), make_run(seed=33, final=LUCKY)])
    assert later.answer is Answer.HOLDS
    assert later.why.startswith("33 of 34 seeds hold; decided after 33")


def test_two_failing_seeds_of_two_fail() -> None:
    """At q = 0.90 the rule gives up after two failures in a row (20 is reached at 2 of 2)."""
    verdict = judge_runs(make_runs(range(2), final=LUCKY))

    assert verdict.answer is Answer.FAILS
    assert verdict.why == (
        "0 of 2 seeds hold (2 reached the target, but not in each of the last 3 epochs); "
        "decided after 2"
    )


def test_undecided_says_how_many_more_seeds_would_decide() -> None:
    """After 5 clean seeds 28 more would decide, because 33 clean ones do."""
    verdict = judge_runs(make_runs(range(5)))

    assert verdict.answer is Answer.UNDECIDED
    assert verdict.why == "5 of 5 seeds hold; 28 more would decide if they went as these"


def test_undecided_with_a_gap_names_the_missing_seeds() -> None:
    """Seeds behind a gap wait, and the line says for whom."""
    verdict = judge_runs(make_runs([0, 1, 2, 4, 6]))

    assert verdict.answer is Answer.UNDECIDED
    assert verdict.why == "3 of 3 seeds hold; seeds count from 0 without a gap, so 2 wait for 3, 5"


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [(9_999, Answer.HOLDS), (10_000, Answer.FAILS), (547_000, Answer.FAILS)],
)
def test_the_parameter_budget_is_strict(parameters: int, answer: Answer) -> None:
    """Fewer than 10,000 means that 9,999 parameters keep the budget and 10,000 break it."""
    verdict = judge_runs(make_runs(range(33), cost=make_cost(parameters=parameters)))

    assert verdict.answer is answer
    assert verdict.budget is not None
    assert verdict.budget.answer is answer
    assert verdict.budget.parameters == parameters


@pytest.mark.parametrize(
    ("epochs", "answer"), [(1, Answer.HOLDS), (15, Answer.HOLDS), (16, Answer.FAILS)]
)
def test_fifteen_epochs_are_allowed(epochs: int, answer: Answer) -> None:
    """Within 15 epochs means that 15 keep the budget and 16 break it."""
    verdict = judge_runs(make_runs(range(33)), with_epochs(epochs))

    assert verdict.answer is answer
    assert verdict.budget is not None
    assert verdict.budget.answer is answer


@pytest.mark.parametrize("seeds", [1, 5, 33, 60])
def test_over_budget_fails_whatever_the_seeds(seeds: int) -> None:
    """A network that is too large is not saved by clean seeds, nor UNDECIDED for want of them."""
    verdict = judge_runs(make_runs(range(seeds), cost=make_cost(parameters=10_000)))

    assert verdict.answer is Answer.FAILS
    assert verdict.why.startswith("over budget: 10,000 parameters")
    assert f"{seeds} of {seeds} seeds hold" in verdict.why


def test_too_many_epochs_are_named() -> None:
    """An iteration over the epoch budget says how many epochs it takes and how many it may."""
    verdict = judge_runs(make_runs(range(5)), with_epochs(16))

    assert verdict.why.startswith("over budget: 16 epochs of at most 15")


def test_parameters_that_no_gradient_reaches_count() -> None:
    """All declared parameters count: 10,000 of which 9,000 are trained break the budget."""
    verdict = judge_runs(make_runs(range(33), cost=make_cost(parameters=10_000, reached=9_000)))

    assert verdict.answer is Answer.FAILS


def test_within_budget_does_not_hold_by_itself() -> None:
    """A small network whose seeds fail FAILS, though its budget finding HOLDS."""
    verdict = judge_runs(make_runs(range(10), final=LUCKY))

    assert verdict.budget is not None
    assert (verdict.budget.answer, verdict.answer) == (Answer.HOLDS, Answer.FAILS)


def test_without_runs_there_is_nothing_to_judge() -> None:
    """An untrained iteration is UNDECIDED without findings and names the command to train it."""
    verdict = judge_runs([])

    assert verdict.answer is Answer.UNDECIDED
    assert verdict.budget is verdict.reliable is verdict.evidence is None
    assert "bench run iteration_4" in verdict.why


def test_stale_evidence_is_said_to_be_stale() -> None:
    """Runs of other code alone are UNDECIDED, and the line says that and how many they are."""
    verdict = judge_runs(make_runs(range(40), fingerprint="0" * 64))

    assert verdict.answer is Answer.UNDECIDED
    assert verdict.stale == 40
    assert verdict.why.startswith("stale: 40 runs")


def test_refused_runs_are_counted_beside_a_verdict() -> None:
    """A verdict tells how many stale and tuning runs it did not look at."""
    verdict = judge_runs(
        [
            *make_runs(range(33)),
            *make_runs(range(4), fingerprint="0" * 64),
            *make_runs(range(1_000_000, 1_000_006)),
        ]
    )

    assert (verdict.answer, verdict.stale, verdict.tuning) == (Answer.HOLDS, 4, 6)


def test_the_command_for_a_missing_seed_0_can_be_typed() -> None:
    """The advice names seeds as the command line takes them, beginning with the missing one."""
    verdict = judge_runs(make_runs([1, 2]))

    advised = re.search(r"--seeds (\S+?)`", verdict.why)
    assert verdict.answer is Answer.UNDECIDED
    assert advised is not None
    assert parse_seeds(advised[1])[0] == 0


def test_each_set_of_conditions_has_a_verdict_of_its_own() -> None:
    """Clean on the CPU and failing on a GPU is HOLDS there and FAILS here, never an average."""
    on_gpu = replace(CONDITIONS, device="cuda sm_90")
    runs = [*make_runs(range(33)), *make_runs(range(4), conditions=on_gpu, final=LUCKY)]
    selection = select_evidence(runs, LATEST)

    verdicts = judge_all(selection, LATEST, MNIST)

    found = {v.evidence.conditions: v.answer for v in verdicts if v.evidence}
    assert found == {CONDITIONS: Answer.HOLDS, on_gpu: Answer.FAILS}
    assert judge(selection, LATEST, MNIST, on_gpu).answer is Answer.FAILS
    assert judge(selection, LATEST, MNIST).answer is Answer.HOLDS


def test_each_dataset_has_a_verdict_of_its_own() -> None:
    """Under the same conditions, the dataset with fewer runs is judged too, by its own runs."""
    runs = [*make_runs(range(33)), *make_runs(range(4), dataset="e" * 64, final=LUCKY)]

    verdicts = judge_all(select_evidence(runs, LATEST), LATEST, MNIST)

    found = [(v.evidence.dataset[0], v.answer) for v in verdicts if v.evidence]
    assert found == [("d", Answer.HOLDS), ("e", Answer.FAILS)]


def test_an_iteration_without_runs_has_one_verdict() -> None:
    """Judging under all conditions does not lose an iteration that was never trained."""
    [verdict] = judge_all(select_evidence([], LATEST), LATEST, MNIST)

    assert verdict.answer is Answer.UNDECIDED


def test_a_challenge_brings_its_own_target() -> None:
    """9,800 of 10,000 are below the target of MNIST and above that of the digits."""
    selection = select_evidence(make_runs(range(33), final=(9_800,) * 3), LATEST)

    assert judge(selection, LATEST, MNIST).answer is Answer.FAILS
    assert judge(selection, LATEST, DIGITS).answer is Answer.HOLDS


@pytest.mark.parametrize(
    "runs",
    [[], make_runs(range(1, 3)), make_runs(range(3), fingerprint="0" * 64)],
    ids=["none", "no seed 0", "stale"],
)
@pytest.mark.parametrize(
    ("challenge", "option"),
    [
        (MNIST, ""),
        (DIGITS, " --dataset digits"),
        (replace(DIGITS, name="mine", file="tables/my own.toml"),
         " --challenge 'tables/my own.toml:mine'"),
    ],
    ids=["mnist", "digits", "own"],
)  # fmt: skip
def test_what_to_run_names_the_challenge(
    runs: list[Run], challenge: Challenge, option: str
) -> None:
    """The command as it is printed trains for the challenge that was judged."""
    why = judge(select_evidence(runs, LATEST), LATEST, challenge).why
    assert re.search(rf"run `bench run {LATEST.name}{re.escape(option)}(`| --seeds 0-0`)", why)
