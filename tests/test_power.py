"""The forecast of seeds against hand counts and a simulation that asks `decide` itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.consistency import decide, log_martingale_fails, log_martingale_holds
from bench.power import Power, compute_power
from bench.records import Answer

CONFIDENCE = Fraction("0.95")


def forecast(pass_rate: float, reliability: str = "0.90", max_runs: int = 300) -> Power:
    return compute_power(
        pass_rate,
        reliability=Fraction(reliability),
        confidence=CONFIDENCE,
        max_runs=max_runs,
    )


@pytest.mark.parametrize(("reliability", "runs"), [("0.80", 16), ("0.90", 33), ("0.95", 68)])
def test_seeds_that_all_hold_take_the_clean_number_of_runs(reliability: str, runs: int) -> None:
    """At p = 1 every campaign is HOLDS after exactly 16, 33 or 68 seeds."""
    power = forecast(1.0, reliability)

    assert power.holds == (0.0,) * (runs - 1) + (1.0,) * (301 - runs)
    assert set(power.fails) == {0.0}
    assert power.mean_seeds == power.median_seeds == power.seeds_for_90_percent == runs


def test_seeds_that_all_fail_take_two() -> None:
    """At p = 0 and q = 0.90 every campaign is FAILS after two seeds."""
    power = forecast(0.0)

    assert power.fails[:3] == (0.0, 1.0, 1.0)
    assert power.mean_seeds == power.median_seeds == power.seeds_for_90_percent == 2


def test_two_and_four_seeds_by_hand() -> None:
    """At q = 0.90 FAILS is at 0 of 2 and 1 of 4, not at 0 of 1, 1 of 3, 2 of 4 (hand integration).

    So with p = 1/2: P(FAILS by 2) = 1/4; 1 of 4 is reached from 1 of 3 alone, which is reached
    from 1 of 2 (chance 1/2) by a failure: 1/4, and then one more failure: 1/8.
    """

    def fails(holding: int, failing: int) -> float:
        p = np.linspace(0, 0.9, 20_001)
        ratio = (p / 0.9) ** holding * ((1 - p) / (1 - 0.9)) ** failing
        return float(0.5 * ratio[0] + 0.5 * np.trapezoid(ratio, p) / 0.9)

    assert fails(0, 2) >= 20 > fails(0, 1)
    assert fails(1, 3) >= 20 > fails(1, 2)
    assert fails(2, 2) < 20
    power = forecast(0.5, max_runs=4)
    assert power.fails == pytest.approx((0, 1 / 4, 1 / 4, 3 / 8))
    assert power.mean_seeds == pytest.approx(2 * 1 / 4 + 4 * 3 / 4)
    assert power.median_seeds is None


def simulate(
    pass_rate: float, reliability: str, *, campaigns: int, runs: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return paths, and for each the run at which either martingale is first at 20 (0: never)."""
    paths = np.random.default_rng(7).random((campaigns, runs)) < pass_rate
    n, s = np.mgrid[: runs + 1, : runs + 1]
    rows, counts = np.arange(1, runs + 1), np.cumsum(paths, axis=1)
    firsts = []
    for martingale in (log_martingale_holds, log_martingale_fails):
        crossed = martingale(s, np.maximum(n - s, 0), reliability=float(reliability)) >= np.log(20)
        reached = crossed[rows, counts]
        firsts.append(np.where(reached.any(axis=1), np.argmax(reached, axis=1) + 1, 0))
    return paths, *firsts


@pytest.mark.parametrize(
    ("pass_rate", "reliability"), [(0.97, "0.90"), (0.9, "0.90"), (0.6, "0.80"), (0.98, "0.95")]
)
def test_the_forecast_is_what_happens(pass_rate: float, reliability: str) -> None:
    """20,000 simulated campaigns agree within four standard errors, and `decide` with them."""
    campaigns, runs = 20_000, 120
    power = forecast(pass_rate, reliability, runs)
    paths, holds, fails = simulate(pass_rate, reliability, campaigns=campaigns, runs=runs)

    held = (holds > 0) & ((fails == 0) | (holds < fails))
    failed = (fails > 0) & ~held
    seeds = np.where(held, holds, np.where(failed, fails, runs))
    for decided, chances in ((held, power.holds), (failed, power.fails)):
        for n in (20, 60, runs):
            share = np.mean(decided & (seeds <= n))
            error = (chances[n - 1] * (1 - chances[n - 1]) / campaigns) ** 0.5
            assert abs(share - chances[n - 1]) <= 4 * error + 1e-12
    assert abs(seeds.mean() - power.mean_seeds) <= 4 * seeds.std() / campaigns**0.5
    for path, is_held, is_failed in zip(paths[:50], held, failed, strict=False):
        answer = decide(
            path.tolist(), reliability=Fraction(reliability), confidence=CONFIDENCE
        ).answer
        assert (answer is Answer.HOLDS, answer is Answer.FAILS) == (is_held, is_failed)


def test_quantiles_are_the_first_seed_at_which_enough_campaigns_are_decided() -> None:
    """At p = 0.97 half are decided by the median and fewer than half one seed before."""
    power = forecast(0.97, max_runs=400)
    decided = np.add(power.holds, power.fails)

    assert power.median_seeds is not None
    assert power.seeds_for_90_percent is not None
    for share, seeds in ((0.5, power.median_seeds), (0.9, power.seeds_for_90_percent)):
        assert decided[seeds - 2] < share <= decided[seeds - 1]


def test_a_pass_rate_at_the_boundary_is_rarely_decided() -> None:
    """At p = q both verdicts together stay below 2 x 5 % for 2,000 seeds; each is below 5 %."""
    power = forecast(0.9, max_runs=2_000)

    assert power.holds[-1] < 0.05
    assert power.fails[-1] < 0.05
    assert power.median_seeds is power.seeds_for_90_percent is None
    assert power.mean_seeds > 1_800


def test_a_longer_campaign_begins_like_a_shorter_one() -> None:
    """The limit on seeds cuts a forecast off and changes nothing before it."""
    short, long = forecast(0.95, max_runs=50), forecast(0.95, max_runs=200)

    assert long.holds[:50] == pytest.approx(short.holds)
    assert long.fails[:50] == pytest.approx(short.fails)
    assert all(np.diff(long.holds) >= 0)
