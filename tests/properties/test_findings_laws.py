"""Laws of the findings: what no choice of names, order or side may change."""

from __future__ import annotations

from fractions import Fraction

import pytest
from builders import make_diverged, make_evidence, make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.challenges import MNIST
from bench.evidence import Evidence
from bench.findings import (
    CENTRAL_SHARE,
    Point,
    compare_iterations,
    describe,
    find_front,
    measure_difficulty,
    measure_thresholds,
    score_runs,
    summarise,
    summarise_epochs,
    vary_challenge,
)
from bench.records import Mistake, Run
from models.recipe import Claim

CLAIM = Claim(parameters="7,924", training_accuracy=99.12, validation_accuracy=99.42)
epochs = st.lists(st.integers(9_850, 9_990), min_size=1, max_size=6)
outcomes = st.lists(epochs | st.integers(0, 3), max_size=8)
"""Of each seed the counts of its epochs, or after how many epochs it diverged."""
points = st.builds(
    Point,
    name=st.just("network"),
    cost=st.integers(1, 5),
    accuracy=st.integers(0, 5).map(lambda n: Fraction(n, 5)),
)
"""Few costs and accuracies, so that many are equal."""


def build_run(seed: int, outcome: list[int] | int) -> Run:
    if isinstance(outcome, int):
        return make_diverged(seed=seed, epochs=outcome)
    wrong = [Mistake(n, n % 10, (n + 1) % 10) for n in range(0, 10_000 - outcome[-1], 7)]
    return make_run(seed=seed, validation_correct=outcome, mistakes=wrong)


def build(outcomes: list[list[int] | int]) -> Evidence:
    return make_evidence([build_run(seed, outcome) for seed, outcome in enumerate(outcomes)])


@settings(max_examples=40)  # each example makes every finding twice
@given(outcomes=outcomes, data=st.data())
def test_permuting_the_labels_of_seeds_changes_nothing(
    outcomes: list[list[int] | int], data: st.DataObject
) -> None:
    """Which seed gave which run moves no mean, share, bound, claim or count of images."""
    shuffled = data.draw(st.permutations(outcomes))
    before, after = (describe(build(order), MNIST, CLAIM) for order in (outcomes, shuffled))

    assert after.claims == before.claims
    assert after.thresholds == before.thresholds
    assert after.difficulty == before.difficulty
    assert after.sampling == before.sampling
    assert after.epochs == before.epochs
    for field in ("runs", "scored", "holding", "optimism", "best_training", "best_validation"):
        assert getattr(after.summary, field) == getattr(before.summary, field)
    for field in ("window_accuracy", "window_trend", "late_trend", "training_gap"):
        first, second = getattr(before.summary, field), getattr(after.summary, field)
        assert (first is None) == (second is None)
        if first is not None:
            assert second.mean == first.mean
            assert (second.lower, second.upper) == pytest.approx((first.lower, first.upper))
    assert after.summary.first_epochs.median == before.summary.first_epochs.median
    assert [v.holding for v in after.sensitivity.windows] == [
        v.holding for v in before.sensitivity.windows
    ]


@given(outcomes=outcomes)
def test_a_higher_threshold_is_never_held_by_more_seeds(outcomes: list[list[int] | int]) -> None:
    """Shares fall with the threshold, and every share lies between its bounds."""
    shares = [each.share for each in measure_thresholds(build(outcomes), MNIST)]

    assert [s.part for s in shares] == sorted((s.part for s in shares), reverse=True)
    assert all(0 <= s.lower <= s.upper <= 1 for s in shares)
    assert all(s.lower <= s.part / s.whole <= s.upper for s in shares if s.whole)


@settings(max_examples=40)  # each example is judged some twenty times
@given(outcomes=outcomes)
def test_a_longer_window_or_a_higher_target_is_never_held_by_more_seeds(
    outcomes: list[list[int] | int],
) -> None:
    """More epochs, or more images asked of each, lose seeds and never win one."""
    sensitivity = vary_challenge(build(outcomes), MNIST)

    for varied in (sensitivity.windows, sensitivity.targets):
        holding = [variation.holding for variation in varied]
        assert holding == sorted(holding, reverse=True)


@given(first=outcomes, second=outcomes)
def test_a_comparison_read_the_other_way_round_is_its_mirror_image(
    first: list[list[int] | int], second: list[list[int] | int]
) -> None:
    """The difference changes its sign, p stays, and both chances of being better add up to 1."""
    one, other = build(first), build(second)
    there, back = compare_iterations(one, other, MNIST), compare_iterations(other, one, MNIST)

    assert back.p == pytest.approx(there.p) if there.p is not None else back.p is None
    if there.difference is not None and back.difference is not None:
        assert back.difference.mean == -there.difference.mean
        if there.difference.lower is not None and back.difference.upper is not None:
            assert back.difference.upper == pytest.approx(-there.difference.lower, abs=1e-11)
    if there.improvement is not None and back.improvement is not None:
        assert there.improvement + back.improvement == Fraction(1)


@given(outcomes=outcomes)
def test_an_iteration_is_no_better_than_itself(outcomes: list[list[int] | int]) -> None:
    """No difference, p of 1, and an even chance."""
    evidence = build(outcomes)
    comparison = compare_iterations(evidence, evidence, MNIST)

    assert comparison.p in (None, pytest.approx(1.0))
    assert comparison.improvement in (None, Fraction(1, 2))
    assert comparison.difference is None or comparison.difference.mean == 0


@given(counts=st.lists(st.integers(9_900, 9_990), min_size=1, max_size=60))
def test_nearly_all_seeds_lie_between_the_lower_and_the_upper_line(counts: list[int]) -> None:
    """At least 90 % of them: a twentieth or less is beyond either line, and no line is closer."""
    (epoch,) = summarise_epochs(build([[count] for count in counts]))
    lower, upper = epoch.validation_lower * 10_000, epoch.validation_upper * 10_000

    assert lower <= epoch.validation_median * 10_000 <= upper
    assert sum(lower <= count <= upper for count in counts) >= CENTRAL_SHARE * len(counts)
    for beyond, with_line in (
        (sum(n < lower for n in counts), sum(n <= lower for n in counts)),
        (sum(n > upper for n in counts), sum(n >= upper for n in counts)),
    ):
        assert 20 * beyond <= len(counts) < 20 * with_line


@given(outcomes=outcomes)
def test_the_scores_of_the_seeds_add_up_to_their_summary(
    outcomes: list[list[int] | int],
) -> None:
    """Holding seeds, first epochs, worst window and best epochs are those of the summary."""
    evidence = build(outcomes)
    scores, summary = score_runs(evidence, MNIST), summarise(evidence, MNIST)
    means = [score.window_mean for score in scores if score.window_mean is not None]
    bests = [score.best for score in scores if score.best is not None]

    assert sum(score.outcome == "holds" for score in scores) == summary.holding
    assert tuple(score.first_epoch for score in scores) == summary.first_epochs.by_seed
    assert (sum(means) / len(means) if means else None) == (
        summary.window_accuracy and summary.window_accuracy.mean
    )
    assert max(bests, default=None) == (summary.best_validation and summary.best_validation.highest)
    for score in scores:
        assert (score.outcome == "holds") == (
            score.window_minimum is not None and score.window_minimum >= MNIST.target
        )
        assert (score.best is None) == (score.best_epoch is None)
        assert (score.first_epoch is None) == (score.best is None or score.best < MNIST.target)


@given(outcomes=outcomes)
def test_confusions_add_up_to_the_errors_of_their_digit(outcomes: list[list[int] | int]) -> None:
    """Every wrong answer is in one confusion, and the most frequent one comes first."""
    difficulty = measure_difficulty(build(outcomes), MNIST)

    for digit in difficulty.digits:
        of_digit = [c.count for c in difficulty.confusions if c.label == digit.label]
        assert sum(of_digit) == digit.errors
    counts = [confusion.count for confusion in difficulty.confusions]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(digit.errors for digit in difficulty.digits)


@given(networks=st.lists(points, max_size=12))
def test_no_point_of_the_front_is_beaten_and_every_other_one_is(networks: list[Point]) -> None:
    """By the definition, pair by pair; equal points share their fate."""
    front = find_front(networks)
    unbeaten = [
        one
        for one in networks
        if not any(
            other.cost <= one.cost and other.accuracy >= one.accuracy and other != one
            for other in networks
        )
    ]

    assert sorted(front, key=lambda each: each.cost) == list(front)
    assert sorted(front, key=repr) == sorted(unbeaten, key=repr)
