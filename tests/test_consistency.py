"""The rule, its bounds and its intervals against values computed another way."""

from __future__ import annotations

from fractions import Fraction
from itertools import count, product
from math import exp, inf, log

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import xlogy

from bench.consistency import (
    FORESEEABLE_SEEDS,
    adjust_holm,
    binomial_bounds,
    binomial_range,
    decide,
    find_boundaries,
    find_outlook,
    foresee,
    log_martingale_fails,
    log_martingale_holds,
    mean_interval,
)
from bench.records import Answer

CONFIDENCE = Fraction("0.95")
LOG_THRESHOLD = log(20)
FIRST_HOLDS = {
    "0.80": (16, 36, 45, 54),
    "0.90": (33, 75, 95, 113),
    "0.95": (68, 153, 194, 231),
}
"""Runs after which HOLDS is first reached with 0, 1, 2 and 3 failures (the issue's table)."""


def integrate_martingale(holding: int, failing: int, low: float, high: float, q: float) -> float:
    """Return half a point mass and half a uniform density against p = q, by adaptive quadrature."""

    def ratio(p: float) -> float:
        return float(np.exp(xlogy(holding, p / q) + xlogy(failing, (1 - p) / (1 - q))))

    uniform, _ = integrate.quad(ratio, low, high, epsabs=0, epsrel=1e-11, limit=500)
    end = low if low == 0 else high
    return 0.5 * ratio(end) + 0.5 * uniform / (high - low)


def integrated_holds(holding: int, failing: int, q: float) -> float:
    return integrate_martingale(holding, failing, q, 1.0, q)


def integrated_fails(holding: int, failing: int, q: float) -> float:
    return integrate_martingale(holding, failing, 0.0, q, q)


def simpson_log_uniform(holding: int, failing: int, low: float, high: float, q: float) -> float:
    """Return ln of the uniform part's half alone on a fine grid, scaled so that nothing underflows.

    The grid is dense where the integrand lives, within 60 of its own widths of q or of its peak.
    """
    runs = holding + failing
    peak = min(max(holding / runs, low), high)
    slope = abs(holding / q - failing / (1 - q)) if peak in (low, high) else 0.0
    width = 1 / slope if slope else (peak * (1 - peak) / runs) ** 0.5
    p = np.linspace(max(low, peak - 60 * width), min(high, peak + 60 * width), 400_001)
    with np.errstate(divide="ignore"):
        logs = holding * np.log(p / q) + failing * (np.log1p(-p) - np.log1p(-q))
    top = logs.max()
    area = integrate.simpson(np.exp(logs - top), x=p)
    return float(top + np.log(area / (high - low)) - np.log(2))


@pytest.mark.parametrize(
    ("reliability", "failing", "runs"),
    [(q, f, n) for q, row in FIRST_HOLDS.items() for f, n in enumerate(row)],
)
def test_holds_is_first_reached_at_the_tabled_number_of_runs(
    reliability: str, failing: int, runs: int
) -> None:
    """The tabled count of runs reaches 20 and one run fewer does not, by numerical integration."""
    q = float(reliability)

    assert integrated_holds(runs - failing, failing, q) >= 20
    assert integrated_holds(runs - 1 - failing, failing, q) < 20
    counts = np.arange(failing, 400)
    reached = log_martingale_holds(counts - failing, failing, reliability=q) >= LOG_THRESHOLD
    assert counts[np.argmax(reached)] == runs


@pytest.mark.parametrize(("reliability", "runs"), [("0.80", 3), ("0.90", 2), ("0.95", 2)])
def test_fails_is_first_reached_when_that_many_seeds_fail_at_once(
    reliability: str, runs: int
) -> None:
    """Two failures of two decide at 0.90 and 0.95, three of three at 0.80, and no fewer do."""
    q = float(reliability)

    assert integrated_fails(0, runs, q) >= 20
    assert integrated_fails(0, runs - 1, q) < 20
    decision = decide([False] * runs, reliability=Fraction(reliability), confidence=CONFIDENCE)
    assert (decision.answer, decision.decided_after) == (Answer.FAILS, runs)


def test_half_of_the_seeds_failing_is_found_out_after_ten() -> None:
    """Pass, fail, pass, fail ... at q = 0.90 fails after 10 runs (FAILS is 20 at 5 of 10)."""
    alternating = [True, False] * 20

    decision = decide(alternating, reliability=Fraction("0.9"), confidence=CONFIDENCE)

    assert (decision.answer, decision.decided_after) == (Answer.FAILS, 10)
    first = next(n for n in count(1) if integrated_fails((n + 1) // 2, n // 2, 0.9) >= 20)
    assert first == 10


@pytest.mark.parametrize("q", [0.3, 0.5, 0.8, 0.9, 0.95, 0.999])
def test_martingales_equal_their_integrals(q: float) -> None:
    """Both martingales agree with adaptive quadrature for all counts up to 12 and some more."""
    small = [(s, f) for s, f in product(range(13), repeat=2)]
    for holding, failing in [*small, (59, 1), (90, 10), (95, 5), (190, 10), (270, 30)]:
        assert log_martingale_holds(holding, failing, reliability=q) == pytest.approx(
            log(integrated_holds(holding, failing, q)), abs=1e-9
        )
        assert log_martingale_fails(holding, failing, reliability=q) == pytest.approx(
            log(integrated_fails(holding, failing, q)), abs=1e-9
        )


@pytest.mark.parametrize("q", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("runs", [10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("share", [0.01, 0.4, 0.78, 0.8, 0.83, 0.9, 0.92, 0.95, 0.99])
def test_martingales_stay_accurate_where_a_probability_underflows(
    q: float, runs: int, share: float
) -> None:
    """Up to a million runs both logarithms agree with a scaled Simpson sum to 1e-7."""
    holding = int(runs * share)
    failing = runs - holding

    assert log_martingale_holds(holding, failing, reliability=q) == pytest.approx(
        simpson_log_uniform(holding, failing, q, 1.0, q), abs=1e-7
    )
    assert log_martingale_fails(holding, failing, reliability=q) == pytest.approx(
        simpson_log_uniform(holding, failing, 0.0, q, q), abs=1e-7
    )


@pytest.mark.parametrize("runs", [1, 10, 1000, 1_000_000])
def test_martingales_of_nothing_but_failures_have_a_closed_form(runs: int) -> None:
    """Without a success, HOLDS is 1 / (2 (n + 1)), integrated by hand."""
    assert log_martingale_holds(0, runs, reliability=0.9) == pytest.approx(
        -log(2 * (runs + 1)), abs=1e-9
    )
    assert log_martingale_fails(runs, 0, reliability=0.9) == pytest.approx(
        -log(2 * (runs + 1)), abs=1e-9
    )


def test_no_runs_are_no_evidence() -> None:
    """Both martingales begin at 1, the bounds at 0 and 1, and nothing is foreseen."""
    decision = decide([], reliability=Fraction("0.9"), confidence=CONFIDENCE)

    assert decision.answer is Answer.UNDECIDED
    assert (decision.lower, decision.upper) == (0.0, 1.0)
    assert decision.decided_after is decision.further_seeds is None
    assert decision.log_holds == decision.log_fails == ()
    assert float(log_martingale_holds(0, 0, reliability=0.9)) == pytest.approx(0.0, abs=1e-15)
    assert float(log_martingale_fails(0, 0, reliability=0.9)) == pytest.approx(0.0, abs=1e-15)


def test_the_first_crossing_decides_for_good() -> None:
    """Two failures in the first two seeds fail, whatever a thousand later seeds do."""
    late = [False, False] + [True] * 1000

    decision = decide(late, reliability=Fraction("0.9"), confidence=CONFIDENCE)

    assert (decision.answer, decision.decided_after) == (Answer.FAILS, 2)
    assert decision.log_holds[-1] >= decision.log_threshold  # the counts alone would say HOLDS


def test_a_decision_reports_its_whole_path() -> None:
    """33 clean runs hold after the 33rd, and each martingale is given after each run."""
    decision = decide([True] * 40, reliability=Fraction("0.9"), confidence=CONFIDENCE)

    assert (decision.answer, decision.decided_after) == (Answer.HOLDS, 33)
    assert (decision.holding, decision.runs, decision.further_seeds) == (40, 40, None)
    assert len(decision.log_holds) == len(decision.log_fails) == 40
    assert exp(decision.log_threshold) == pytest.approx(20)


def test_more_confidence_asks_for_more_seeds() -> None:
    """At 99 % HOLDS must reach 100: later than at 95 %, and first where quadrature says so."""
    decision = decide([True] * 200, reliability=Fraction("0.9"), confidence=Fraction("0.99"))

    first = next(n for n in count(1) if integrated_holds(n, 0, 0.9) >= 100)
    assert decision.decided_after == first > 33


@pytest.mark.parametrize(
    ("holding", "runs", "further"), [(5, 5, 28), (32, 32, 1), (90, 100, None), (0, 1, 1), (1, 2, 5)]
)
def test_further_seeds_are_counted_to_the_decision(
    holding: int, runs: int, further: int | None
) -> None:
    """Five clean runs need 28 more to be 33; nine of ten at q = 0.90 are never decided.

    One of two is rounded down to 3 of 7, which FAILS by quadrature, where 2 of 5 did not.
    """
    assert integrated_fails(3, 4, 0.9) >= 20 > integrated_fails(2, 3, 0.9)
    assert foresee(holding, runs, reliability=0.9, log_threshold=LOG_THRESHOLD) == further


def test_a_decision_beyond_the_horizon_is_not_foreseeable() -> None:
    """At 0.905 of 10,000 runs the decision lies further away than the horizon, at 0.92 nearer."""
    near = foresee(920, 1000, reliability=0.9, log_threshold=LOG_THRESHOLD)

    assert near is not None
    assert near <= FORESEEABLE_SEEDS
    assert foresee(9_010, 10_000, reliability=0.9, log_threshold=LOG_THRESHOLD) is None


@pytest.mark.parametrize(("q", "failures", "runs"), [("0.90", 0, 33), ("0.95", 1, 153)])
def test_an_outlook_finds_the_tabled_decision_whatever_came_after_it(
    q: str, failures: int, runs: int
) -> None:
    """HOLDS after 33 and 153 runs (the issue's table), though each of 500 later runs failed."""
    holds = [False] * failures + [True] * (runs - failures) + [False] * 500

    outlook = find_outlook(holds, reliability=Fraction(q), confidence=CONFIDENCE)

    assert (outlook.answer, outlook.decided_after) == (Answer.HOLDS, runs)
    assert (outlook.holding, outlook.runs) == (runs - failures, runs + 500)
    assert outlook.further_seeds is None


@pytest.mark.parametrize("reliability", ["0.80", "0.90", "0.95"])
def test_boundaries_are_where_the_martingales_cross(reliability: str) -> None:
    """The table of the boundary says of every count up to 120 runs what the martingales say."""
    q = Fraction(reliability)
    least_holds, most_fails = find_boundaries(120, reliability=q, confidence=CONFIDENCE)

    for n in range(1, 121):
        holding = np.arange(n + 1)
        np.testing.assert_array_equal(
            holding >= least_holds[n - 1],
            log_martingale_holds(holding, n - holding, reliability=float(q)) >= LOG_THRESHOLD,
        )
        np.testing.assert_array_equal(
            holding <= most_fails[n - 1],
            log_martingale_fails(holding, n - holding, reliability=float(q)) >= LOG_THRESHOLD,
        )


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 5), (5, 5), (3, 5), (33, 33), (94, 95), (0, 400)]
)
def test_binomial_bounds_are_clopper_and_pearsons(
    successes: int, trials: int, confidence: float
) -> None:
    """The bounds equal those of scipy.stats.binomtest, method "exact"."""
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")

    bounds = binomial_bounds(successes, trials, confidence=confidence)

    assert bounds == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("trials", "proportion"),
    [(10_000, 0.994), (10_000, 0.9733), (359, 0.97), (1, 0.5), (50, 0.0), (50, 1.0)],
)
def test_the_binomial_range_lies_between_the_quantiles(
    trials: int, proportion: float, confidence: float
) -> None:
    """It equals scipy.stats.binom.interval, also where nothing is left to chance."""
    expected = stats.binom.interval(confidence, trials, proportion)

    assert binomial_range(trials, proportion, confidence=confidence) == expected


def test_fifty_nine_clean_seeds_show_what_five_cannot() -> None:
    """One-sided at 95 %: 59 of 59 show 95 % reliability (0.95^59 = 0.0485), 5 of 5 show 55 %."""
    assert binomial_bounds(59, 59, confidence=0.90)[0] >= 0.95
    assert binomial_bounds(58, 58, confidence=0.90)[0] < 0.95
    assert binomial_bounds(5, 5, confidence=0.90)[0] == pytest.approx(0.05 ** (1 / 5))


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("values", [[9940, 9951], [9938.0, 9941, 9944, 9950, 9925], [1, 1, 1, 2]])
def test_the_mean_interval_is_students(values: list[float], confidence: float) -> None:
    """Mean and bounds equal those of scipy.stats.ttest_1samp."""
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)

    mean, lower, upper = mean_interval(values, confidence=confidence)

    assert mean == pytest.approx(sum(values) / len(values))
    assert (lower, upper) == pytest.approx((expected.low, expected.high))


def test_one_value_has_a_mean_and_no_interval() -> None:
    """A single run says nothing about the spread, and equal runs show none."""
    mean, lower, upper = mean_interval([9940], confidence=0.95)

    assert mean == 9940
    assert np.isnan([lower, upper]).all()
    assert mean_interval([9940, 9940], confidence=0.95) == (9940, 9940, 9940)


def test_holm_steps_down_from_the_smallest_p() -> None:
    """Worked by hand: 0.005 x 4, 0.01 x 3, then 0.03 x 2 carries over to 0.04 x 1."""
    adjusted = adjust_holm([0.01, 0.04, 0.03, 0.005])

    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_holm([0.7, 0.9]).tolist() == [1.0, 1.0]
    assert adjust_holm([]).tolist() == []
    np.testing.assert_allclose(adjust_holm([[0.02, 0.5], [0.6, 0.01]]), [[0.04, 0.5], [0.6, 0.02]])


def test_an_impossible_martingale_is_never_nan() -> None:
    """Reliabilities next to 0 and 1 give finite logarithms for counts at either end."""
    for q in (1e-6, 0.001, 0.999, 1 - 1e-6):
        for holding, failing in [(0, 0), (0, 5000), (5000, 0), (2500, 2500)]:
            for martingale in (log_martingale_holds, log_martingale_fails):
                assert abs(float(martingale(holding, failing, reliability=q))) < inf
