"""The share of seeds at every threshold, and the verdict for other challenges, counted by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from builders import SHAKY, STEADY, make_diverged, make_evidence, make_run
from msgspec import structs
from scipy import stats

from bench.challenges import MNIST
from bench.findings import measure_thresholds, vary_challenge
from bench.records import Answer, Run


def lows(*counts: int) -> list[Run]:
    """Return runs whose lowest epoch of the window has so many of 10,000 right."""
    return [
        make_run(seed=s, validation_correct=[9_990, n, 9_990, 9_995]) for s, n in enumerate(counts)
    ]


def test_the_share_changes_at_the_seeds_own_minima_and_is_shown_at_the_target():
    """Minima 99.3, 99.45, 99.45 and a diverged seed, by hand: 3, 2 (the target) and 2 of 4."""
    evidence = make_evidence([*lows(9_930, 9_945, 9_945), make_diverged(seed=3, epochs=14)])
    shares = measure_thresholds(evidence, MNIST)
    assert [(s.threshold, s.share.part, s.share.whole) for s in shares] == [
        (Fraction("0.993"), 3, 4),
        (Fraction("0.994"), 2, 4),
        (Fraction("0.9945"), 2, 4),
    ]


def test_the_bounds_of_a_share_are_exact():
    """They equal those of scipy.stats.binomtest."""
    shares = measure_thresholds(make_evidence(lows(9_930, 9_941, 9_945, 9_950, 9_951)), MNIST)
    for each in shares:
        exact = stats.binomtest(each.share.part, each.share.whole).proportion_ci(0.95)
        assert (each.share.lower, each.share.upper) == pytest.approx((exact.low, exact.high))


def test_without_a_window_every_seed_is_below_every_threshold():
    """No runs, or diverged ones alone, leave the target as the only threshold."""
    (none,) = measure_thresholds(make_evidence([]), MNIST)
    assert (none.share.part, none.share.whole, none.share.lower, none.share.upper) == (0, 0, 0, 1)
    (diverged,) = measure_thresholds(make_evidence([make_diverged(seed=0)]), MNIST)
    assert (diverged.threshold, diverged.share.part, diverged.share.whole) == (MNIST.target, 0, 1)


def test_a_longer_window_reaches_into_epochs_that_were_worse():
    """STEADY is at 99.4 % from epoch 9 on: windows of up to 7 epochs hold, longer ones fail."""
    varied = vary_challenge(make_evidence([make_run(seed=s) for s in range(40)]), MNIST)
    assert [v.window for v in varied.windows] == list(range(1, 16))
    assert [v.answer for v in varied.windows] == [Answer.HOLDS] * 7 + [Answer.FAILS] * 8
    assert [v.holding for v in varied.windows] == [40] * 7 + [0] * 8


def test_the_reliability_asked_for_moves_how_many_clean_seeds_decide():
    """Of 40 clean seeds: 16 decide at 80 %, 33 at 90 %, and 68 would at 95 % (docs/protocol.md)."""
    varied = vary_challenge(make_evidence([make_run(seed=s) for s in range(40)]), MNIST)
    assert [
        (float(v.reliability), v.decided_after, v.further_seeds) for v in varied.reliabilities
    ] == [
        (0.8, 16, None),
        (0.9, 33, None),
        (0.95, None, 28),
    ]


def test_a_target_one_step_higher_is_another_question():
    """The lowest epoch of STEADY's window is 99.44 %: targets up to that hold, higher ones fail."""
    varied = vary_challenge(make_evidence([make_run(seed=s) for s in range(40)]), MNIST)
    answers = {v.target: v.answer for v in varied.targets}
    assert list(answers) == [Fraction(n, 10_000) for n in range(9_930, 9_951, 2)]
    assert {t for t, a in answers.items() if a is Answer.HOLDS} == {
        Fraction(n, 10_000) for n in range(9_930, 9_945, 2)
    }


def test_what_was_asked_is_among_the_variations_with_the_verdicts_own_answer():
    """Window, reliability and target of the challenge give the same finding in all three lists."""
    runs = [make_run(seed=s, validation_correct=SHAKY if s == 3 else STEADY) for s in range(20)]
    varied = vary_challenge(make_evidence(runs), MNIST)
    asked = {
        v
        for v in (*varied.windows, *varied.reliabilities, *varied.targets)
        if (v.window, v.reliability, v.target) == (3, MNIST.reliability, MNIST.target)
    }
    (own,) = asked
    assert (own.answer, own.holding, own.runs) == (Answer.UNDECIDED, 19, 20)


def test_an_unusual_challenge_is_varied_around_itself():
    """A window and a reliability of their own are shown, and no target is above 100 %."""
    challenge = structs.replace(MNIST, window=2, reliability=Fraction("0.7"), target=Fraction(1))
    run = make_run(validation_correct=[10_000, 9_999, 10_000])
    varied = vary_challenge(make_evidence([run]), challenge)
    assert [v.window for v in varied.windows] == [1, 2, 3]
    assert [float(v.reliability) for v in varied.reliabilities] == [0.7, 0.8, 0.9, 0.95]
    assert max(v.target for v in varied.targets) == 1


def test_no_runs_are_undecided_whatever_is_asked():
    """Nothing to judge decides nothing, and only the challenge's own window is there to vary."""
    varied = vary_challenge(make_evidence([]), MNIST)
    assert [v.window for v in varied.windows] == [MNIST.window]
    answers = {v.answer for v in (*varied.windows, *varied.reliabilities, *varied.targets)}
    assert answers == {Answer.UNDECIDED}
