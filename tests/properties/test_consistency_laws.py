"""Laws of the rule that no list of examples can show."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.consistency import (
    FORESEEABLE_SEEDS,
    Decision,
    binomial_bounds,
    decide,
    find_outlook,
    foresee,
    log_martingale_fails,
    log_martingale_holds,
)
from bench.records import Answer

RANK = {Answer.FAILS: 0, Answer.UNDECIDED: 1, Answer.HOLDS: 2}

reliabilities = st.sampled_from([Fraction(n, 100) for n in (50, 75, 80, 90, 95, 99)])
confidences = st.sampled_from([Fraction("0.8"), Fraction("0.95"), Fraction("0.99")])
mostly_holding = st.lists(st.integers(0, 9).map(lambda digit: digit > 0), max_size=150)
any_runs = st.lists(st.booleans(), max_size=150)
paths = mostly_holding | any_runs | st.integers(0, 150).map(lambda n: [True] * n)
counts = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(
    lambda pair: (min(pair), max(pair) - min(pair))
) | st.tuples(st.integers(0, 50), st.integers(0, 50))
probabilities = st.floats(0.001, 0.999)


def judge(holds: list[bool], reliability: Fraction, confidence: Fraction) -> Decision:
    return decide(holds, reliability=reliability, confidence=confidence)


@given(holds=paths, reliability=reliabilities, confidence=confidences)
def test_an_outlook_is_the_decision_without_its_path(
    holds: list[bool], reliability: Fraction, confidence: Fraction
) -> None:
    """Whichever way it was found, what is said of the runs is the same."""
    outlook = find_outlook(holds, reliability=reliability, confidence=confidence)
    decision = judge(holds, reliability, confidence)

    for field in outlook.__struct_fields__:
        assert getattr(outlook, field) == getattr(decision, field)


@given(holds=paths, reliability=reliabilities, confidence=confidences)
def test_a_failing_seed_more_never_improves_a_verdict(
    holds: list[bool], reliability: Fraction, confidence: Fraction
) -> None:
    """Appending a failing seed leaves the verdict as it is or lowers it."""
    before = judge(holds, reliability, confidence).answer
    after = judge([*holds, False], reliability, confidence).answer

    assert RANK[after] <= RANK[before]


@given(holds=paths, at=st.integers(0, 149), reliability=reliabilities, confidence=confidences)
def test_a_seed_that_fails_instead_of_holding_never_improves_a_verdict(
    holds: list[bool], at: int, reliability: Fraction, confidence: Fraction
) -> None:
    """Turning any one run from holding to failing leaves the verdict as it is or lowers it."""
    worse = [held and seed != at for seed, held in enumerate(holds)]

    assert (
        RANK[judge(worse, reliability, confidence).answer]
        <= RANK[judge(holds, reliability, confidence).answer]
    )


@given(holds=paths, more=any_runs, reliability=reliabilities, confidence=confidences)
def test_more_runs_never_reverse_a_verdict(
    holds: list[bool], more: list[bool], reliability: Fraction, confidence: Fraction
) -> None:
    """Once decided, the answer and the seed that decided stay, whatever follows."""
    before = judge(holds, reliability, confidence)
    after = judge(holds + more, reliability, confidence)

    if before.answer is not Answer.UNDECIDED:
        assert after.answer is before.answer
        assert after.decided_after == before.decided_after
    assert after.log_holds[: len(holds)] == before.log_holds


@given(holds=paths, reliability=reliabilities, data=st.data())
def test_order_does_not_matter_to_the_final_martingale(
    holds: list[bool], reliability: Fraction, data: st.DataObject
) -> None:
    """Both martingales after all runs depend on the counts alone, as do the bounds."""
    shuffled = data.draw(st.permutations(holds))
    one, other = (judge(list(runs), reliability, Fraction("0.95")) for runs in (holds, shuffled))

    assert one.log_holds[-1:] == other.log_holds[-1:]
    assert one.log_fails[-1:] == other.log_fails[-1:]
    assert (one.lower, one.upper) == (other.lower, other.upper)


@given(holds=paths, reliability=reliabilities, confidence=confidences)
def test_a_decision_is_undecided_exactly_when_nothing_has_crossed(
    holds: list[bool], reliability: Fraction, confidence: Fraction
) -> None:
    """The seed that decided is the first to reach the threshold; before a decision, none has."""
    decision = judge(holds, reliability, confidence)
    highest = np.maximum(decision.log_holds, decision.log_fails)
    crossed = np.flatnonzero(highest >= decision.log_threshold)

    if decision.answer is Answer.UNDECIDED:
        assert decision.decided_after is None
        assert crossed.size == 0
    else:
        assert decision.decided_after == crossed[0] + 1
        assert decision.further_seeds is None


@given(counts=counts, q=probabilities)
def test_a_martingale_is_a_finite_number_for_up_to_a_million_runs(
    counts: tuple[int, int], q: float
) -> None:
    """No NaN and no overflow; a mixture never exceeds the largest likelihood ratio."""
    holding, failing = counts
    runs = holding + failing
    largest = 0.0
    for part, expected in ((holding, q), (failing, 1 - q)):
        if part:
            largest += part * np.log(part / runs / expected)

    for martingale in (log_martingale_holds, log_martingale_fails):
        value = float(martingale(holding, failing, reliability=q))
        assert np.isfinite(value)
        assert value <= largest + 1e-6


@given(counts=counts, q=probabilities)
def test_each_martingale_is_the_average_of_what_may_come_next_under_the_boundary(
    counts: tuple[int, int], q: float
) -> None:
    """E[M after one more run | p = q] = M: the martingale property itself, in relative terms."""
    holding, failing = counts
    for martingale in (log_martingale_holds, log_martingale_fails):
        now, held, failed = (
            float(martingale(holding + s, failing + f, reliability=q))
            for s, f in ((0, 0), (1, 0), (0, 1))
        )
        mean = q * np.exp(held - now) + (1 - q) * np.exp(failed - now)
        assert abs(mean - 1) < 1e-6


@given(counts=counts, q=probabilities)
def test_failing_is_holding_seen_in_a_mirror(counts: tuple[int, int], q: float) -> None:
    """FAILS of (s, f) at q is HOLDS of (f, s) at 1 - q."""
    holding, failing = counts

    mirrored = log_martingale_holds(failing, holding, reliability=1 - q)

    assert np.isclose(log_martingale_fails(holding, failing, reliability=q), mirrored, atol=1e-9)


@given(counts=counts, q=probabilities)
def test_one_more_holding_run_in_place_of_a_failing_one_helps(
    counts: tuple[int, int], q: float
) -> None:
    """HOLDS rises and FAILS falls when a failing run is turned into a holding one."""
    holding, failing = counts
    if failing:
        better, worse = (holding + 1, failing - 1), (holding, failing)
        assert (
            log_martingale_holds(*better, reliability=q)
            >= log_martingale_holds(*worse, reliability=q) - 1e-8
        )
        assert (
            log_martingale_fails(*better, reliability=q)
            <= log_martingale_fails(*worse, reliability=q) + 1e-8
        )


@given(runs=st.integers(1, 400), share=st.floats(0, 1), reliability=reliabilities, odds=confidences)
def test_foreseen_seeds_decide_and_one_fewer_does_not(
    runs: int, share: float, reliability: Fraction, odds: Fraction
) -> None:
    """Adding the foreseen runs at the rate so far decides; no shorter addition does."""
    holding = round(share * runs)
    q, threshold = float(reliability), float(-np.log1p(-float(odds)))
    further = foresee(holding, runs, reliability=q, log_threshold=threshold)

    more = np.arange(1, (further or FORESEEABLE_SEEDS) + 1)
    passed = holding * (runs + more) // runs
    failed = runs + more - passed
    reached = np.maximum(
        log_martingale_holds(passed, failed, reliability=q),
        log_martingale_fails(passed, failed, reliability=q),
    )
    assert not (reached[:-1] >= threshold).any()
    assert (reached[-1] >= threshold) == (further is not None)


@given(holds=paths, reliability=reliabilities)
def test_training_the_foreseen_seeds_really_decides(
    holds: list[bool], reliability: Fraction
) -> None:
    """`decide` agrees with its own forecast when the further seeds go as the ones so far."""
    decision = judge(holds, reliability, Fraction("0.95"))
    if decision.further_seeds is not None:
        total = decision.runs + np.arange(decision.further_seeds + 1)
        alike = np.diff(decision.holding * total // decision.runs).astype(bool).tolist()

        assert judge(holds + alike[:-1], reliability, Fraction("0.95")).decided_after is None
        final = judge(holds + alike, reliability, Fraction("0.95"))
        assert final.decided_after == decision.runs + decision.further_seeds


@given(
    successes=st.integers(0, 500), failures=st.integers(0, 500), confidence=st.floats(0.01, 0.999)
)
def test_binomial_bounds_enclose_the_observed_share(
    successes: int, failures: int, confidence: float
) -> None:
    """0 <= lower <= share <= upper <= 1, and swapping the sides mirrors the bounds."""
    trials = successes + failures
    lower, upper = binomial_bounds(successes, trials, confidence=confidence)

    assert 0 <= lower <= upper <= 1
    if trials:
        assert lower <= successes / trials <= upper
    mirrored = binomial_bounds(failures, trials, confidence=confidence)
    assert np.allclose((1 - upper, 1 - lower), mirrored)
