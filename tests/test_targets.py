"""The highest target that HOLDS, against trying each target in turn."""

from __future__ import annotations

from fractions import Fraction

from builders import make_diverged, make_iteration, make_run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.challenges import MNIST
from bench.consistency import decide
from bench.evidence import run_holds, select_evidence
from bench.records import Answer, Challenge, Run
from bench.run_table import tabulate
from bench.targets import find_highest_target
from bench.verdict import judge

EASY = replace(
    MNIST, target=Fraction("0.999"), reliability=Fraction(1, 2), confidence=Fraction(3, 4)
)
"""A question that a handful of runs can decide."""

final_counts = st.lists(st.integers(9_988, 10_000), min_size=0, max_size=5)


@settings(deadline=None)
@given(st.lists(final_counts, max_size=12))
def test_it_is_the_last_of_all_targets_that_hold(counts: list[list[int]]) -> None:
    """Tried one by one, every target from the challenge's up to it HOLDS and none beyond it."""
    runs = [make_run(seed=n, validation_correct=each) for n, each in enumerate(counts)]
    highest = find_highest(runs, EASY)

    holding = [step for step in range(9_990, 10_001) if holds_at(runs, Fraction(step, 10_000))]
    assert holding == list(range(9_990, 9_990 + len(holding)))
    assert highest == Fraction(max(holding, default=9_990), 10_000)


def find_highest(runs: list[Run], challenge: Challenge) -> Fraction:
    return find_highest_target(tabulate(runs), challenge)


def holds_at(runs: list[Run], target: Fraction) -> bool:
    challenge = replace(EASY, target=target)
    decision = decide(
        [run_holds(run, challenge) for run in runs],
        reliability=EASY.reliability,
        confidence=EASY.confidence,
    )
    return decision.answer is Answer.HOLDS


def test_one_run_of_33_that_is_lower_counts() -> None:
    """As many as decide without a failure HOLD at the lowest of them; more forgive one."""
    low, high = (9_946, 9_947, 9_945), (9_951, 9_950, 9_952)
    runs = [make_run(seed=n, validation_correct=low if n == 7 else high) for n in range(75)]

    assert find_highest(runs[:32], MNIST) == MNIST.target
    assert find_highest(runs[:33], MNIST) == Fraction("0.9945")
    assert find_highest(runs, MNIST) == Fraction("0.995")


def test_a_diverged_run_holds_at_no_target() -> None:
    """However high its epochs were before."""
    runs = [make_diverged(seed=n, epochs=15) for n in range(40)]

    assert find_highest(runs, MNIST) == MNIST.target


def test_a_target_between_two_steps_is_never_undercut() -> None:
    """99.405 % is the target: the step below it is none of its own."""
    odd = replace(MNIST, target=Fraction("0.99405"))
    runs = [make_run(seed=n, validation_correct=(9_941,) * 3, total=10_000) for n in range(33)]

    assert find_highest(runs, odd) == Fraction("0.9941")
    assert find_highest(runs[:2], odd) == odd.target


def test_other_numbers_of_images_are_cut_not_rounded() -> None:
    """1,194 of 1,200 are 99.50 %, 1,193 are 99.416... %: cut to 99.41 %."""
    runs = [
        make_run(seed=n, validation_correct=(1_194, 1_193, 1_194), total=1_200) for n in range(33)
    ]

    assert find_highest(runs, MNIST) == Fraction("0.9941")


def test_the_verdict_says_it() -> None:
    """Where the runs HOLD at a higher target than was asked for, and only there."""
    higher, just = ((9_946,) * 3, (9_940,) * 3)

    assert (
        say(higher) == "33 of 33 seeds hold; decided after 33; HOLDS up to a target of 99.46 % too"
    )
    assert say(just) == "33 of 33 seeds hold; decided after 33"


def say(final: tuple[int, ...]) -> str:
    iteration = make_iteration()
    runs = [
        make_run(seed=n, validation_correct=final, fingerprint=iteration.fingerprint)
        for n in range(33)
    ]
    return judge(select_evidence(runs, iteration), iteration, MNIST).why
