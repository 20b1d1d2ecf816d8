"""Findings on synthetic runs, against sums done by hand and against scipy's own interval."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from builders import make_diverged, make_evidence, make_run
from msgspec import structs
from scipy import stats

from bench.challenges import MNIST
from bench.findings import compare_claim, find_worst_seed, summarise
from bench.records import Answer, Run, Status
from models.recipe import Claim


def summary_of(*runs: Run):
    return summarise(make_evidence(runs), MNIST)


def claim_of(*, training: float = 99.0, validation: float = 99.42) -> Claim:
    return Claim(parameters="7,924", training_accuracy=training, validation_accuracy=validation)


def peaks(*counts: int) -> list[Run]:
    """Return runs whose best epoch has so many of 10,000 right."""
    return [make_run(seed=s, validation_correct=[9_000, n, 9_000]) for s, n in enumerate(counts)]


def test_the_window_mean_is_exact_and_its_interval_is_students():
    """Window means 99.4, 99.5 and 99.3 %: the interval is that of scipy.stats.t."""
    runs = [
        make_run(seed=seed, validation_correct=[9_000, *window])
        for seed, window in enumerate([(9_940,) * 3, (9_949, 9_950, 9_951), (9_920, 9_930, 9_940)])
    ]
    interval = summary_of(*runs).window_accuracy
    values = [0.994, 0.995, 0.993]
    lower, upper = stats.t.interval(0.95, 2, loc=0.994, scale=stats.sem(values))
    assert interval is not None
    assert interval.mean == Fraction("0.994")
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper))


def test_an_interval_ends_where_proportions_end():
    """Student's t would reach beyond 100 %."""
    runs = [make_run(seed=s, validation_correct=[n] * 3) for s, n in enumerate((10_000, 9_900))]
    interval = summary_of(*runs).window_accuracy
    assert interval is not None
    assert interval.upper == 1.0


def test_one_seed_has_a_mean_and_no_interval():
    """A single value says nothing of the spread."""
    interval = summary_of(make_run(validation_correct=[9_940] * 3)).window_accuracy
    assert interval is not None
    assert (interval.mean, interval.lower, interval.upper) == (Fraction("0.994"), None, None)


def test_the_worst_seed_has_the_lowest_epoch_of_all_windows():
    """An early low epoch is outside the window and does not count."""
    early = make_run(seed=0, validation_correct=[1_000, 9_950, 9_950, 9_950])
    late = make_run(seed=1, validation_correct=[9_950, 9_960, 9_939, 9_960])
    worst = summary_of(early, late).worst
    assert worst is not None
    assert (worst.seed, worst.correct, worst.total) == (1, 9_939, 10_000)


def test_a_diverged_seed_is_worse_than_any_that_finished():
    """For consistency the worst run is the evidence, whatever its accuracy was before."""
    runs = [make_run(seed=0, validation_correct=[10] * 3), make_diverged(seed=1, epochs=12)]
    worst = find_worst_seed(runs, MNIST)
    assert worst is not None
    assert (worst.seed, worst.status, worst.correct) == (1, Status.DIVERGED, None)


def test_means_are_over_runs_with_a_window_and_say_so():
    """A diverged run is counted, never averaged."""
    summary = summary_of(make_run(seed=0, validation_correct=[9_940] * 3), make_diverged(seed=1))
    assert (summary.runs, summary.scored, summary.holding) == (2, 1, 1)
    assert summary.window_accuracy is not None
    assert summary.window_accuracy.mean == Fraction("0.994")


def test_the_best_epoch_flatters_by_its_distance_from_the_window():
    """By hand: (9,960 - 9,930) and (9,950 - 9,940) of 10,000, 0.2 points on average."""
    runs = [
        make_run(seed=0, validation_correct=[9_960, 9_930, 9_930, 9_930]),
        make_run(seed=1, validation_correct=[9_940, 9_930, 9_940, 9_950]),
    ]
    assert summary_of(*runs).optimism == Fraction("0.002")


def test_the_first_epoch_at_the_target_is_none_when_never():
    """Counted from 1, per seed; never is not a large number."""
    first = summary_of(
        make_run(seed=0, validation_correct=[9_939, 9_940, 9_900]),
        make_run(seed=1, validation_correct=[9_939, 9_939, 9_939]),
        make_run(seed=2, validation_correct=[9_940, 9_900, 9_900]),
    ).first_epochs
    assert first.by_seed == (2, None, 1)
    assert (first.earliest, first.latest, first.never) == (1, 2, 1)


@pytest.mark.parametrize(
    ("firsts", "median"),
    [
        ([1, 2, 9], Fraction(2)),
        ([1, 2, None], Fraction(2)),
        ([1, None, None], None),
        ([2, 3], Fraction(5, 2)),
        ([2, None], None),
        ([], None),
    ],
)
def test_never_is_later_than_any_epoch_in_a_median(firsts: list[int | None], median):
    """By hand: never moves the middle to the right, and is no number when it is the middle."""
    runs = [
        make_run(seed=s, validation_correct=[9_940 if n == first else 9_000 for n in range(1, 10)])
        for s, first in enumerate(firsts)
    ]
    assert summary_of(*runs).first_epochs.median == median


def test_the_trend_is_the_slope_of_least_squares():
    """The mean over seeds of scipy.stats.linregress, in the window and in the second half."""
    counts = [
        (9_900, 9_910, 9_890, 9_935, 9_931, 9_952, 9_940),
        (9_900,) * 4 + (9_910, 9_930, 9_925),
    ]
    summary = summary_of(*(make_run(seed=s, validation_correct=c) for s, c in enumerate(counts)))
    slopes = [
        stats.linregress(range(3), [count / 10_000 for count in c[-3:]]).slope for c in counts
    ]
    lower, upper = stats.t.interval(0.95, 1, loc=np.mean(slopes), scale=stats.sem(slopes))
    for trend in (summary.window_trend, summary.late_trend):  # the second half of 7 is 3 epochs
        assert trend is not None
        assert float(trend.mean) == pytest.approx(np.mean(slopes))
        assert (trend.lower, trend.upper) == pytest.approx((lower, upper))


def test_the_second_half_is_longer_than_the_window_of_a_long_run():
    """Of 8 epochs the last 4 rise by 10 images each; the last 3 as well, and the first do not."""
    run = make_run(validation_correct=[9_900, 9_800, 9_700, 9_600, 9_000, 9_010, 9_020, 9_030])
    summary = summary_of(run)
    assert summary.late_trend is not None
    assert summary.late_trend.mean == Fraction("0.001")
    falling = make_run(validation_correct=[0, 0, 0, 0, 9_100, 9_010, 9_020, 9_030])
    late = summary_of(falling).late_trend
    assert late is not None
    assert late.mean == Fraction(3 * -70 + 10, 10 * 10_000)  # weights -3, -1, 1, 3 over 10


def test_one_epoch_has_no_trend():
    """A window of one epoch has no slope."""
    challenge = structs.replace(MNIST, window=1)
    summary = summarise(make_evidence([make_run(validation_correct=[9_950])]), challenge)
    assert (summary.window_trend, summary.late_trend) == (None, None)


def test_the_gap_is_training_minus_validation_in_the_last_epoch():
    """By hand: 59,400 of 60,000 is 99.0 %, 9,940 of 10,000 is 99.4 %."""
    gap = summary_of(make_run(validation_correct=[9_000, 9_000, 9_940])).training_gap
    assert gap is not None
    assert gap.mean == Fraction("-0.004")


@pytest.mark.parametrize(
    "runs", [(), (make_diverged(seed=0), make_diverged(seed=1))], ids=["none", "diverged"]
)
def test_evidence_without_an_epoch_has_no_figures(runs: tuple[Run, ...]):
    """No runs, or only runs that diverged at once: absent figures are `None`."""
    summary = summary_of(*runs)
    assert (summary.runs, summary.scored, summary.holding) == (len(runs), 0, 0)
    assert summary.window_accuracy is None
    assert summary.optimism is None
    assert summary.best_validation is None
    assert summary.training_gap is None
    assert {c.answer for c in compare_claim(make_evidence(runs), claim_of())} == {Answer.UNDECIDED}


@pytest.mark.parametrize(
    ("claimed", "answer"),
    [
        (99.21, Answer.HOLDS),
        (99.42, Answer.HOLDS),
        (99.59, Answer.HOLDS),
        (99.19, Answer.FAILS),
        (99.61, Answer.FAILS),
    ],
)
def test_a_claim_holds_within_the_range_and_a_deviation(claimed: float, answer: Answer):
    """Peaks of 99.3, 99.4 and 99.5 % deviate by 0.1: a claim from 99.2 to 99.6 % holds."""
    _, validation = compare_claim(
        make_evidence(peaks(9_930, 9_940, 9_950)), claim_of(validation=claimed)
    )
    assert validation.answer is answer


def test_equal_peaks_confirm_exactly_what_they_are():
    """Without spread the claimed figure itself holds and its neighbours do not."""
    evidence = make_evidence(peaks(9_942, 9_942))
    answers = [
        compare_claim(evidence, claim_of(validation=claimed))[1].answer
        for claimed in (99.41, 99.42, 99.43)
    ]
    assert answers == [Answer.FAILS, Answer.HOLDS, Answer.FAILS]


@pytest.mark.parametrize("claimed", [99.29, 99.3, 99.35, 99.4, 99.5, 99.6])
def test_the_percentile_of_a_claim_counts_equal_seeds_half(claimed: float):
    """It equals scipy.stats.percentileofscore with kind="mean"."""
    counts = (9_930, 9_940, 9_940, 9_950)
    _, validation = compare_claim(make_evidence(peaks(*counts)), claim_of(validation=claimed))
    expected = stats.percentileofscore(counts, round(claimed * 100), kind="mean")
    assert validation.percentile is not None
    assert float(validation.percentile * 100) == pytest.approx(expected)


def test_one_seed_decides_no_claim():
    """A deviation needs two seeds."""
    training, validation = compare_claim(make_evidence(peaks(9_942)), claim_of())
    assert (training.answer, validation.answer) == (Answer.UNDECIDED, Answer.UNDECIDED)
    assert validation.best is not None
    assert validation.best.deviation is None


def test_training_and_validation_claims_are_compared_each_with_their_own():
    """Every run's training accuracy is 99.0 %."""
    training, _ = compare_claim(make_evidence(peaks(9_942, 9_950)), claim_of(training=99.0))
    assert (training.measure, training.claimed) == ("training", Fraction("0.99"))
    assert training.answer is Answer.HOLDS
