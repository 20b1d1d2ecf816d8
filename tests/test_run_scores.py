"""The score of each seed, counted by hand."""

from __future__ import annotations

from fractions import Fraction

from builders import SHAKY, STEADY, make_diverged, make_evidence, make_run
from msgspec import structs

from bench.challenges import MNIST
from bench.findings import RunScore, score_runs
from bench.records import Run


def score_of(run: Run) -> RunScore:
    (score,) = score_runs(make_evidence([run]), MNIST)
    return score


def test_a_seed_that_holds_has_every_figure():
    """STEADY by hand: its window is 9,944, 9,947, 9,946, its best 9,947 in epoch 14."""
    assert score_of(make_run(validation_correct=STEADY)) == RunScore(
        seed=0,
        outcome="holds",
        window_minimum=Fraction("0.9944"),
        window_mean=Fraction(9_944 + 9_947 + 9_946, 30_000),
        best=Fraction("0.9947"),
        best_epoch=14,
        first_epoch=9,
    )


def test_one_image_below_the_target_in_the_window_misses():
    """SHAKY is at the target in epoch 9 and one image below it in the last epoch."""
    score = score_of(make_run(validation_correct=SHAKY))
    assert (score.outcome, score.window_minimum) == ("misses", Fraction("0.9939"))
    assert (score.best_epoch, score.first_epoch) == (14, 9)


def test_the_best_epoch_is_the_first_of_equal_ones():
    """9,942 in epochs 2 and 4: the author would have stopped at 2."""
    score = score_of(make_run(validation_correct=[9_900, 9_942, 9_941, 9_942]))
    assert (score.best, score.best_epoch) == (Fraction("0.9942"), 2)


def test_a_seed_that_never_was_at_the_target_has_no_first_epoch():
    """One image short in its best epoch is never."""
    score = score_of(make_run(validation_correct=[9_939, 9_939, 9_939]))
    assert (score.outcome, score.first_epoch) == ("misses", None)


def test_a_diverged_seed_has_its_epochs_and_no_window():
    """It was at the target in epoch 9 before it diverged in epoch 13: no window counts."""
    score = score_of(make_diverged(epochs=12))
    assert (score.outcome, score.window_minimum, score.window_mean) == ("diverged", None, None)
    assert (score.best, score.best_epoch, score.first_epoch) == (Fraction("0.9946"), 12, 9)


def test_a_seed_that_diverged_at_once_has_no_figure():
    """Without an epoch there is neither a best one nor a first one."""
    score = score_of(make_diverged())
    assert (score.outcome, score.best, score.best_epoch, score.first_epoch) == (
        "diverged",
        None,
        None,
        None,
    )


def test_a_run_shorter_than_the_window_misses_without_one():
    """Two epochs at the target are no window of three."""
    score = score_of(make_run(validation_correct=[9_950, 9_960]))
    assert (score.outcome, score.window_minimum, score.window_mean) == ("misses", None, None)
    assert (score.best_epoch, score.first_epoch) == (2, 1)


def test_epochs_of_unlike_totals_are_compared_by_their_shares():
    """997 of 1,000 is above 9,960 of 10,000, and the mean is over shares, not over images."""
    small, large = (
        make_run(validation_correct=counts, total=total).epochs
        for counts, total in (((997,), 1_000), ((9_960, 9_950), 10_000))
    )
    score = score_of(structs.replace(make_run(), epochs=small + large))
    assert (score.best, score.best_epoch) == (Fraction("0.997"), 1)
    assert (score.window_minimum, score.window_mean) == (Fraction("0.995"), Fraction("0.996"))


def test_seeds_come_in_their_order():
    """As evidence has them: 0, 1, 2."""
    runs = [make_run(seed=2), make_diverged(seed=0), make_run(seed=1, validation_correct=SHAKY)]
    scores = score_runs(make_evidence(runs), MNIST)
    assert [(s.seed, s.outcome) for s in scores] == [(0, "diverged"), (1, "misses"), (2, "holds")]


def test_no_runs_have_no_scores():
    """Nothing is made up."""
    assert score_runs(make_evidence([]), MNIST) == ()
