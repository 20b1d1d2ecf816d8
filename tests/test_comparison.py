"""Steps from one iteration to the next, against scipy's own Welch test and counts by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from builders import CONDITIONS, make_diverged, make_evidence, make_iteration, make_run
from msgspec import structs
from scipy import stats

from bench.challenges import MNIST
from bench.evidence import Evidence
from bench.findings import compare_consecutive, compare_iterations

CUDA = structs.replace(CONDITIONS, device="cuda sm_90")
FIRST = (9_930, 9_941, 9_925, 9_938)
SECOND = (9_945, 9_941, 9_950, 9_939, 9_947)


def evidence_of(
    counts: Sequence[int], *, name: str = "iteration_1", diverged: int = 0, conditions=CONDITIONS
) -> Evidence:
    """Return runs that keep one count through their window, and some that diverged."""
    runs = [
        make_run(seed=s, validation_correct=[n] * 3, iteration=name, conditions=conditions)
        for s, n in enumerate(counts)
    ]
    seeds = range(len(runs), len(runs) + diverged)
    runs += [make_diverged(seed=seed, iteration=name) for seed in seeds]
    return make_evidence(runs, make_iteration(name=name))


def test_a_difference_is_welchs():
    """Difference, interval and p equal those of scipy.stats.ttest_ind(equal_var=False)."""
    comparison = compare_iterations(evidence_of(FIRST), evidence_of(SECOND), MNIST)
    expected = stats.ttest_ind(np.array(SECOND) / 1e4, np.array(FIRST) / 1e4, equal_var=False)
    interval = expected.confidence_interval(0.95)
    difference = comparison.difference
    assert difference is not None
    assert difference.mean == Fraction(sum(SECOND), 50_000) - Fraction(sum(FIRST), 40_000)
    assert (difference.lower, difference.upper) == pytest.approx((interval.low, interval.high))
    assert comparison.p == pytest.approx(expected.pvalue)
    assert comparison.adjusted_p == comparison.p


def test_improvement_counts_pairs_and_ties_half():
    """By hand: of 2 x 3 pairs the later iteration wins 2, ties 1 and loses 3."""
    comparison = compare_iterations(
        evidence_of((9_940, 9_950)), evidence_of((9_930, 9_945, 9_950)), MNIST
    )
    assert comparison.improvement == Fraction(5, 12)
    wins = stats.mannwhitneyu((9_930, 9_945, 9_950), (9_940, 9_950)).statistic
    assert float(comparison.improvement) == pytest.approx(wins / 6)


def test_a_diverged_run_is_beaten_and_never_averaged():
    """The mean is over runs with a window; among pairs the diverged one loses to all others."""
    comparison = compare_iterations(
        evidence_of((9_940, 9_940), diverged=1), evidence_of((9_930, 9_930), diverged=1), MNIST
    )
    assert comparison.difference is not None
    assert comparison.difference.mean == Fraction("-0.001")
    assert (comparison.earlier_runs, comparison.later_runs) == (3, 3)
    assert comparison.improvement == Fraction(2 * 2 + 1, 2 * 9)  # two wins and one tie of nine


def test_p_is_corrected_over_all_steps_shown():
    """Three steps: Holm by hand multiplies the smallest p by 3, the next by 2, the largest by 1."""
    evidence = [
        evidence_of(counts, name=f"iteration_{n}")
        for n, counts in enumerate([FIRST, SECOND, (9_944, 9_946, 9_950), (9_960, 9_961, 9_962)], 1)
    ]
    steps = compare_consecutive(evidence, MNIST)
    assert [(s.earlier, s.later) for s in steps] == [
        ("iteration_1", "iteration_2"),
        ("iteration_2", "iteration_3"),
        ("iteration_3", "iteration_4"),
    ]
    ordered = sorted(steps, key=lambda step: step.p or 0)
    products = np.maximum.accumulate([(step.p or 0) * (3 - n) for n, step in enumerate(ordered)])
    assert [step.adjusted_p for step in ordered] == pytest.approx(np.minimum(products, 1).tolist())


def test_unlike_conditions_are_never_compared():
    """Iteration 2 ran on a GPU alone: the step on the CPU is from 1 to 3."""
    evidence = [
        evidence_of(FIRST, name="iteration_1"),
        evidence_of(FIRST, name="iteration_1", conditions=CUDA),
        evidence_of(SECOND, name="iteration_2", conditions=CUDA),
        evidence_of(SECOND, name="iteration_3"),
    ]
    steps = compare_consecutive(evidence, MNIST)
    assert [(s.earlier, s.later, s.conditions) for s in steps] == [
        ("iteration_1", "iteration_3", CONDITIONS),
        ("iteration_1", "iteration_2", CUDA),
    ]


@pytest.mark.parametrize(
    ("later", "p"), [((9_943, 9_943, 9_943, 9_943, 9_943), 1.0), ((9_944,) * 4, 0.0)]
)
def test_seeds_without_any_spread_differ_exactly_when_they_do(later: tuple[int, ...], p: float):
    """Floating-point noise of two equal means is no difference."""
    comparison = compare_iterations(evidence_of((9_943,) * 3), evidence_of(later), MNIST)
    difference = comparison.difference
    assert difference is not None
    assert comparison.p == p
    assert difference.lower == difference.upper == pytest.approx(float(difference.mean))


def test_one_seed_has_a_difference_and_no_interval():
    """A spread needs two seeds on either side; a step without p is not counted by Holm."""
    steps = compare_consecutive(
        [
            evidence_of((9_940,), name="iteration_1"),
            evidence_of(FIRST, name="iteration_2"),
            evidence_of(SECOND, name="iteration_3"),
        ],
        MNIST,
    )
    lone, whole = steps
    assert lone.difference is not None
    assert (lone.difference.lower, lone.difference.upper, lone.p, lone.adjusted_p) == (None,) * 4
    assert whole.adjusted_p == whole.p


def test_evidence_without_scores_compares_to_nothing():
    """No runs: no figure. Diverged runs alone: no difference, and a tie among their pairs."""
    nothing = compare_iterations(evidence_of(()), evidence_of(FIRST), MNIST)
    assert (nothing.difference, nothing.p, nothing.improvement) == (None, None, None)
    diverged = compare_iterations(evidence_of((), diverged=2), evidence_of((), diverged=3), MNIST)
    assert (diverged.difference, diverged.p, diverged.improvement) == (None, None, Fraction(1, 2))
    assert compare_consecutive([], MNIST) == ()
    assert compare_consecutive([evidence_of(FIRST)], MNIST) == ()
