"""Hard images and digits, counted by hand, and the sampling error of the test set."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt
from random import Random
from typing import Any

import pytest
from builders import make_diverged, make_evidence, make_run
from msgspec import structs
from numpy.typing import NDArray
from scipy import stats

from bench.challenges import MNIST, MNIST_DIGEST, MNIST_DIGITS
from bench.findings import Difficulty, estimate_sampling_error, measure_difficulty
from bench.records import Mistake, Run
from bench.run_table import RunTable

LEANING_FOUR = Mistake(115, 4, 9)
OPEN_NINE = Mistake(947, 9, 8)


def runs_of(*mistakes: Sequence[Mistake], dataset: str = MNIST_DIGEST) -> list[Run]:
    return [
        make_run(
            seed=seed,
            validation_correct=[10_000 - len(each)] * 3,
            mistakes=each,
            dataset=dataset,
        )
        for seed, each in enumerate(mistakes)
    ]


def difficulty_of(*runs: Run) -> Difficulty:
    return measure_difficulty(make_evidence(runs), MNIST)


def test_an_image_is_hard_when_more_than_half_of_the_seeds_get_it_wrong():
    """Of 4 seeds: 3 wrong is hard, 2 wrong is not."""
    runs = runs_of([LEANING_FOUR, OPEN_NINE], [LEANING_FOUR, OPEN_NINE], [LEANING_FOUR], [])
    (image,) = difficulty_of(*runs).hard
    assert (image.index, image.label, image.wrong, image.predicted) == (115, 4, 3, 9)


def test_the_hardest_image_comes_first_with_what_it_is_mostly_taken_for():
    """Order is by seeds wrong, then by index; the smallest digit among equally frequent ones."""
    runs = runs_of(
        [Mistake(7, 5, 3), Mistake(9, 2, 7), Mistake(3, 6, 0)],
        [Mistake(7, 5, 6), Mistake(9, 2, 7), Mistake(3, 6, 0)],
        [Mistake(9, 2, 1), Mistake(3, 6, 0)],
    )
    hard = difficulty_of(*runs).hard
    assert [(i.index, i.wrong, i.predicted) for i in hard] == [(3, 3, 0), (9, 3, 7), (7, 2, 3)]


@pytest.mark.parametrize("at_once", [1, 7, 40])
def test_mistakes_are_counted_a_bounded_number_at_a_time(
    monkeypatch: pytest.MonkeyPatch, at_once: int
):
    """However few at once, the same is found; at most the last run's go beyond the bound."""
    random = Random(3)
    wrong = [sorted(random.sample(range(50), random.choice([0, 1, 12]))) for _ in range(60)]
    runs = runs_of(*([Mistake(i, i % 7, (i + n) % 10) for i in w] for n, w in enumerate(wrong)))
    expected = difficulty_of(*runs)
    seen: list[int] = []
    read = RunTable.mistakes

    def count(table: RunTable, name: str) -> NDArray[Any]:
        found = read(table, name)
        seen.append(len(found))
        return found

    monkeypatch.setattr("bench.findings.difficulty.CHUNK", at_once)
    monkeypatch.setattr(RunTable, "mistakes", count)

    assert difficulty_of(*runs) == expected
    assert sum(seen) == 3 * sum(map(len, wrong))
    assert max(seen) < at_once + 12


def test_only_the_last_epoch_counts():
    """Mistakes of the window's other epochs are left alone."""
    (run,) = runs_of([])
    run = structs.replace(run, mistakes=((LEANING_FOUR,), (LEANING_FOUR,), ()))
    assert difficulty_of(run).hard == ()


def test_rates_by_digit_are_of_the_digits_own_images():
    """Fours: 2, 1 and 0 errors of 982 are a mean rate of 1 / 982 with Student's interval."""
    other = Mistake(5, 4, 6)
    runs = runs_of([LEANING_FOUR, other], [LEANING_FOUR], [])
    digits = difficulty_of(*runs).digits
    assert [digit.images for digit in digits] == list(MNIST_DIGITS)
    four = digits[4]
    rates = [2 / 982, 1 / 982, 0]
    lower, upper = stats.t.interval(0.95, 2, loc=1 / 982, scale=stats.sem(rates))
    assert (four.label, four.errors, four.hard) == (4, 3, 1)
    assert four.error_rate is not None
    assert four.error_rate.mean == Fraction(1, 982)
    assert (four.error_rate.lower, four.error_rate.upper) == pytest.approx((max(lower, 0), upper))


def test_the_share_of_hard_images_has_exact_bounds():
    """One of 982 fours is wrong in most seeds: the bounds are those of scipy.stats.binomtest."""
    four = difficulty_of(*runs_of([LEANING_FOUR], [LEANING_FOUR])).digits[4]
    exact = stats.binomtest(1, 982).proportion_ci(0.95)
    assert four.hard_share is not None
    assert (four.hard_share.lower, four.hard_share.upper) == pytest.approx((exact.low, exact.high))


def test_confusions_count_the_wrong_answers_of_all_seeds():
    """By hand: fours taken for nines 3 times, and two pairs once each in the order of digits."""
    runs = runs_of(
        [LEANING_FOUR, Mistake(5, 4, 9), OPEN_NINE], [LEANING_FOUR, Mistake(8, 4, 6)], []
    )
    confusions = difficulty_of(*runs).confusions
    assert [(c.label, c.predicted, c.count) for c in confusions] == [
        (4, 9, 3),
        (4, 6, 1),
        (9, 8, 1),
    ]


def test_confusions_are_of_the_last_epoch_of_seeds_that_finished():
    """Earlier epochs of the window and diverged seeds are left alone."""
    (run,) = runs_of([])
    run = structs.replace(run, mistakes=((LEANING_FOUR,), (LEANING_FOUR,), (OPEN_NINE,)))
    diverged = make_diverged(seed=1, epochs=14)
    (confusion,) = difficulty_of(run, structs.replace(diverged, dataset=MNIST_DIGEST)).confusions
    assert (confusion.label, confusion.predicted, confusion.count) == (9, 8, 1)


def test_digits_of_unknown_number_are_counted_without_a_rate():
    """On another dataset only what was seen is said."""
    (four,) = difficulty_of(*runs_of([LEANING_FOUR], [], dataset="d" * 64)).digits
    assert (four.label, four.errors, four.hard) == (4, 1, 0)
    assert (four.images, four.error_rate, four.hard_share) == (None, None, None)


def test_few_seeds_exclude_no_image():
    """When none of n seeds is wrong the upper bound is 1 - 0.025^(1/n): below half from n = 6."""
    assert difficulty_of(*runs_of(*[[]] * 5)).possibly_hard == 10_000
    assert difficulty_of(*runs_of(*[[]] * 6)).possibly_hard == 0


def test_images_are_surely_hard_when_their_exact_bounds_are_above_half():
    """Of 6 seeds, 6 wrong is sure (0.54 at least) and 5 wrong is not (0.36 at least)."""
    runs = runs_of(*[[LEANING_FOUR, OPEN_NINE]] * 5, [LEANING_FOUR])
    difficulty = difficulty_of(*runs)
    all_wrong, one_right = (stats.binomtest(k, 6).proportion_ci(0.95).low for k in (6, 5))
    assert all_wrong > 0.5 > one_right
    assert (difficulty.surely_hard, difficulty.possibly_hard) == (1, 2)


@pytest.mark.parametrize("runs", [(), (make_diverged(seed=0), make_diverged(seed=1, epochs=14))])
def test_seeds_that_did_not_finish_say_nothing_of_images(runs: tuple[Run, ...]):
    """No last epoch, no hard image."""
    difficulty = difficulty_of(*runs)
    assert (difficulty.seeds, difficulty.images, difficulty.possibly_hard) == (0, None, None)
    assert (difficulty.hard, difficulty.digits, difficulty.confusions) == ((), (), ())
    assert estimate_sampling_error(make_evidence(runs), MNIST) is None


def test_another_test_set_moves_the_score_by_the_binomial_error():
    """At 99.4 % of 10,000: sqrt(p (1 - p) / n), and the central 95 % by summing the binomial."""
    sampling = estimate_sampling_error(
        make_evidence([make_run(validation_correct=[9_940] * 3)]), MNIST
    )
    assert sampling is not None
    assert sampling.standard_error == pytest.approx(sqrt(0.994 * 0.006 / 10_000))
    chances = stats.binom.pmf(range(10_001), 10_000, 0.994).cumsum()
    lowest = next(n for n, chance in enumerate(chances) if chance >= 0.025)
    highest = next(n for n, chance in enumerate(chances) if chance >= 0.975)
    assert (sampling.lowest, sampling.highest, sampling.images) == (lowest, highest, 10_000)


def test_a_perfect_accuracy_has_no_binomial_error():
    """At 100 % nothing is left to chance, and nothing breaks."""
    sampling = estimate_sampling_error(
        make_evidence([make_run(validation_correct=[10_000] * 3)]), MNIST
    )
    assert sampling is not None
    assert (sampling.standard_error, sampling.lowest, sampling.highest) == (0.0, 10_000, 10_000)
