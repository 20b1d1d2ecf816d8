"""New code against old: pairs, bounds, three answers, and what is never compared."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from planted_runs import CONDITIONS, LATEST, make_run

from bench.baselines import (
    DEFAULT_MARGIN,
    NonInferiority,
    Old,
    Standing,
    bound_median,
    compare_selections,
    decide_standing,
    pair_runs,
)
from bench.challenges import MNIST
from bench.consistency import decide
from bench.evidence import select_evidence
from bench.records import Run, Status

CONFIDENCE = Fraction("0.95")
HALF = Fraction(1, 2)
MARGIN = Fraction(5, 10_000)
OLD = "0" * 64
DIFFERENCES = st.one_of(
    st.integers(-12, 12).map(lambda images: Fraction(images, 10_000)),
    st.sampled_from([math.inf, -math.inf]),
)


def run_at(seed: int, images: int, **changes: object) -> Run:
    """Return a run whose final window has so many images right in each epoch."""
    return make_run(seed=seed, final=(images,) * 3, **changes)


def compare(
    new: list[Run], old: list[Run], margin: Fraction = MARGIN, fingerprint: str = OLD
) -> NonInferiority:
    """Compare runs of iteration 4 with runs of older code."""
    before = [replace(run, fingerprint=fingerprint) for run in old]
    iteration = LATEST
    earlier = Old(
        source="main",
        iteration="iteration_4",
        fingerprint=fingerprint,
        selection=select_evidence(before, dataclasses.replace(iteration, fingerprint=fingerprint)),
    )
    return compare_selections(
        iteration, select_evidence(new, iteration), earlier, MNIST, margin=margin
    )


def levels(*images: int, times: int = 1) -> list[Run]:
    return [run_at(seed, count) for seed, count in enumerate(images * times)]


@pytest.mark.parametrize(
    ("new", "old", "answer"),
    [
        (levels(9_946, times=5), levels(9_946, times=5), Standing.NOT_WORSE),
        (levels(9_942, times=5), levels(9_946, times=5), Standing.NOT_WORSE),
        (levels(9_941, times=5), levels(9_946, times=5), Standing.WORSE),
        (levels(9_941, times=4), levels(9_946, times=4), Standing.UNDECIDED),
        (levels(9_960, times=4), levels(9_946, times=50), Standing.UNDECIDED),
        (levels(9_941, 9_951, times=20), levels(9_946, times=40), Standing.UNDECIDED),
        (levels(9_960, times=40), levels(9_940, 9_945, times=20), Standing.NOT_WORSE),
        ([], levels(9_946, times=5), Standing.UNDECIDED),
        (levels(9_946, times=5), [], Standing.UNDECIDED),
    ],
    ids=[
        "equal", "four images down", "at the margin", "four pairs", "four of many pairs",
        "scattered around", "better", "no new runs", "no old runs",
    ],
)  # fmt: skip
def test_three_answers(new: list[Run], old: list[Run], answer: Standing) -> None:
    """Five pairs that agree decide; a slip of exactly the margin is WORSE, of less is not."""
    assert compare(new, old).answer is answer


def test_the_slip_of_the_example_is_seen_before_it_crosses_the_line() -> None:
    """From 99.46 to 99.41, both above 99.40, with seeds that scatter by five images: WORSE."""
    generator = np.random.default_rng(8)
    scatter = generator.normal(0, 5, (2, 60)).round().astype(int)
    old = [run_at(seed, 9_946 + int(shift)) for seed, shift in enumerate(scatter[0])]
    new = [run_at(seed, 9_941 + int(shift)) for seed, shift in enumerate(scatter[1])]

    found = compare(new, old)

    assert found.answer is Standing.WORSE
    assert found.upper is not None
    assert found.upper < 0
    assert compare(old, new).answer is Standing.NOT_WORSE


def test_a_diverged_run_is_worse_than_any_and_equal_to_its_like() -> None:
    """Divergence is not dropped: against runs that finish it loses, against its like it ties."""
    diverged = [
        make_run(seed=seed, status=Status.DIVERGED, epochs=(), mistakes=()) for seed in range(5)
    ]
    finished = levels(9_946, times=5)

    assert pair_runs(finished, diverged, MNIST) == [-math.inf] * 5
    assert compare(diverged, finished).answer is Standing.WORSE
    assert compare(finished, diverged).answer is Standing.NOT_WORSE
    both = compare(diverged, diverged)
    assert (both.answer, both.lower, both.upper) == (Standing.NOT_WORSE, 0, 0)
    assert compare(diverged, finished).lower is None


def test_pairs_are_those_of_the_same_seed() -> None:
    """The difference is of mean window accuracies, exact, and stops at the shorter side."""
    new = [make_run(seed=0, final=(9_940, 9_941, 9_943)), run_at(1, 9_950)]
    old = [run_at(0, 9_940), run_at(1, 9_940), run_at(2, 9_000)]

    assert pair_runs(old, new, MNIST) == [Fraction(4, 30_000), Fraction(10, 10_000)]


def test_the_same_code_is_not_worse_than_itself_without_any_run() -> None:
    """Nothing to compare where the fingerprint is the same."""
    found = compare([], levels(9_900), fingerprint=LATEST.fingerprint)

    assert (found.answer, found.pairs) == (Standing.NOT_WORSE, 0)
    assert "the same code" in found.why


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"conditions": replace(CONDITIONS, device="cuda sm_90")}, "same conditions (old: cuda"),
        ({"dataset": "e" * 64}, "on the same images"),
    ],
)
def test_unlike_runs_are_never_compared(changes: dict[str, object], says: str) -> None:
    """Other conditions or images: UNDECIDED with the reason, however many runs there are."""
    old = [replace(run, **changes) for run in levels(9_946, times=40)]

    found = compare(levels(9_946, times=40), old)

    assert found.answer is Standing.UNDECIDED
    assert says in found.why
    assert found.pairs == 0


def test_the_conditions_with_most_pairs_are_compared_and_nothing_is_pooled() -> None:
    """Six of one and five of the other: six pairs, though both sides have eleven runs."""
    gpu = replace(CONDITIONS, device="cuda sm_90")
    new = [*levels(9_946, times=5), *(replace(r, conditions=gpu) for r in levels(9_900, times=6))]
    old = [*levels(9_900, times=5), *(replace(r, conditions=gpu) for r in levels(9_946, times=6))]

    found = compare(new, old)

    assert (found.conditions, found.pairs, found.answer) == (gpu, 6, Standing.WORSE)


def test_an_undecided_comparison_says_what_is_lacking() -> None:
    """The forecast is the least number of further pairs at which the same shares decide."""
    found = compare(levels(9_946, times=3), levels(9_946, times=40))

    assert (found.answer, found.further_pairs) == (Standing.UNDECIDED, 2)
    assert "2 more pairs would decide if they went as these: 2 of the new" in found.why
    assert compare(levels(9_946, times=5), levels(9_946, times=40)).answer is Standing.NOT_WORSE


def test_means_are_described_beside_it() -> None:
    """Welch's interval of the means is there, and decides nothing."""
    found = compare(levels(9_946, 9_950, times=2), levels(9_946, 9_944, times=2))

    assert found.means is not None
    assert found.means.difference is not None
    assert found.means.difference.mean == Fraction(3, 10_000)


@settings(max_examples=15)
@given(st.lists(DIFFERENCES, max_size=25))
def test_bounds_are_what_the_martingale_refutes(differences: list[Fraction | float]) -> None:
    """For every d, the lower bound is above d just when "more than half are at most d" falls."""
    lower, upper = bound_median(differences, confidence=CONFIDENCE)

    for images in range(-13, 14):
        d = Fraction(images, 10_000)
        assert (lower > d) == _is_refuted([difference > d for difference in differences])
        assert (upper < d) == _is_refuted([difference < d for difference in differences])


def _is_refuted(heads: list[bool]) -> bool:
    decision = decide(heads, reliability=HALF, confidence=CONFIDENCE)
    return any(log >= decision.log_threshold for log in decision.log_holds)


@settings(max_examples=25)
@given(st.lists(DIFFERENCES, min_size=1, max_size=25))
def test_bounds_never_widen(differences: list[Fraction | float]) -> None:
    """With each further pair the lower bound rises or stays, and the upper one falls or stays."""
    prefixes = list(accumulate([each] for each in differences))
    bounds = [bound_median(prefix, confidence=CONFIDENCE) for prefix in prefixes]

    assert all(a[0] <= b[0] and a[1] >= b[1] for a, b in pairwise(bounds))


@given(st.lists(DIFFERENCES, max_size=40))
def test_the_sides_are_mirror_images(differences: list[Fraction | float]) -> None:
    """Swapping old and new swaps the bounds and their signs."""
    lower, upper = bound_median(differences, confidence=CONFIDENCE)

    mirrored = bound_median([-each for each in differences], confidence=CONFIDENCE)

    assert mirrored == (-upper, -lower)


@pytest.mark.parametrize(
    ("lower", "upper", "answer"),
    [
        (Fraction(-4, 10_000), Fraction(-1, 10_000), Standing.NOT_WORSE),
        (Fraction(-5, 10_000), Fraction(-1, 10_000), Standing.WORSE),
        (Fraction(-5, 10_000), Fraction(0), Standing.UNDECIDED),
        (-math.inf, math.inf, Standing.UNDECIDED),
    ],
)
def test_the_margin_itself_is_not_within_it(
    lower: Fraction | float, upper: Fraction | float, answer: Standing
) -> None:
    """Strictly above the margin is NOT WORSE; strictly below zero, and not that, is WORSE."""
    assert decide_standing(lower, upper, margin=MARGIN) is answer


def test_the_default_margin_is_five_images_of_mnist() -> None:
    """0.05 points of 10,000 images."""
    assert DEFAULT_MARGIN * 10_000 == 5


def test_several_common_conditions_are_told() -> None:
    """The bound holds for conditions that were fixed beforehand, and not for the ones with most."""
    on_gpu = replace(CONDITIONS, device="cuda sm_90")
    one = levels(9_946, times=5)
    both = [*one, *(replace(run, conditions=on_gpu) for run in one)]

    assert "conditions" not in compare(one, both).why
    found = compare(both, both)
    assert found.answer is Standing.NOT_WORSE
    assert "; 2 sets of conditions are common to both; name those to compare" in found.why
