"""The highest target that HOLDS, against trying each target in turn."""

from __future__ import annotations

from fractions import Fraction

from builders import make_diverged, make_run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.challenges import MNIST
from bench.consistency import decide
from bench.evidence import run_holds
from bench.records import Answer, Run
from bench.targets import find_highest_target

EASY = replace(MNIST, reliability=Fraction(1, 2), confidence=Fraction(3, 4))
"""A question that a handful of runs can decide."""

final_counts = st.lists(st.integers(9_990, 10_000), min_size=0, max_size=5)


@settings(deadline=None)
@given(st.lists(final_counts, max_size=12))
def test_it_is_the_last_of_all_targets_that_hold(counts: list[list[int]]) -> None:
    """Tried one by one, every target up to it HOLDS and none beyond it."""
    runs = [make_run(seed=n, validation_correct=each) for n, each in enumerate(counts)]
    highest = find_highest_target(runs, EASY)

    for step in range(9_988, 10_001):
        target = Fraction(step, 10_000)
        assert holds_at(runs, target) == (highest is not None and target <= highest)


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

    assert find_highest_target(runs[:32], MNIST) is None
    assert find_highest_target(runs[:33], MNIST) == Fraction("0.9945")
    assert find_highest_target(runs, MNIST) == Fraction("0.995")


def test_a_diverged_run_holds_at_no_target() -> None:
    """However high its epochs were before."""
    assert find_highest_target([make_diverged(seed=n, epochs=15) for n in range(40)], MNIST) is None


def test_other_numbers_of_images_are_cut_not_rounded() -> None:
    """1,194 of 1,200 are 99.50 %, 1,193 are 99.416... %: cut to 99.41 %."""
    runs = [
        make_run(seed=n, validation_correct=(1_194, 1_193, 1_194), total=1_200) for n in range(33)
    ]

    assert find_highest_target(runs, MNIST) == Fraction("0.9941")
