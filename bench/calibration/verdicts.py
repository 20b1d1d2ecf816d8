"""Rates of wrong verdicts, by simulation and exactly, when the verdict is read after every seed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from msgspec import Struct

from bench.calibration.draws import Counts, Flags, make_generator, split_batches
from bench.consistency import binomial_bounds, find_boundaries
from bench.power import compute_power

CONFIDENCE = Fraction("0.95")
RELIABILITIES = (Fraction("0.80"), Fraction("0.90"), Fraction("0.95"))
OFFSETS = tuple(Fraction(n, 1000) for n in (-50, -20, -10, -1, 0, 10, 20, 50))
"""Planted pass rates minus the reliability asked for."""

MAX_SEEDS = 300


class VerdictRates(Struct, frozen=True, kw_only=True):
    """Campaigns of one planted pass rate, read after every seed: simulated counts, exact chances.

    HOLDS is wrong below the reliability asked for, FAILS at it and above.
    """

    reliability: Fraction
    pass_rate: Fraction
    campaigns: int
    holds: int
    fails: int
    exact_holds: float
    exact_fails: float

    @property
    def is_consistent(self) -> bool:
        """Whether HOLDS is the right answer."""
        return self.pass_rate >= self.reliability

    @property
    def wrong(self) -> int:
        """Campaigns that ended in the wrong answer."""
        return self.fails if self.is_consistent else self.holds

    @property
    def exact_wrong(self) -> float:
        """The chance of ending in the wrong answer."""
        return self.exact_fails if self.is_consistent else self.exact_holds

    @property
    def wrong_at_most(self) -> float:
        """The upper one-sided 99 % Clopper-Pearson bound of the simulated rate."""
        return binomial_bounds(self.wrong, self.campaigns, confidence=0.98)[1]


def judge_campaigns(holds: Flags, boundaries: tuple[Counts, Counts]) -> tuple[Flags, Flags]:
    """Return which campaigns (rows: one run a column) end in HOLDS and in FAILS, read every run."""
    least_holds, most_fails = boundaries
    counts = np.cumsum(holds, axis=1, dtype=np.int16)
    at_holds, at_fails = counts >= least_holds, counts <= most_fails
    first = np.argmax(at_holds | at_fails, axis=1)[:, None]
    return (
        np.take_along_axis(at_holds, first, axis=1)[:, 0],
        np.take_along_axis(at_fails, first, axis=1)[:, 0],
    )


def measure_verdicts(campaigns: int) -> Iterator[VerdictRates]:
    """Simulate a row for every reliability and every pass rate at and near it."""
    rows = [(q, q + offset) for q in RELIABILITIES for offset in OFFSETS]
    for row, (reliability, pass_rate) in enumerate(rows):
        generator = make_generator(1, row)
        boundaries = find_boundaries(MAX_SEEDS, reliability=reliability, confidence=CONFIDENCE)
        held = failed = 0
        for batch in split_batches(campaigns):
            runs = generator.random((batch, MAX_SEEDS)) < float(pass_rate)
            holds, fails = judge_campaigns(runs, boundaries)
            held, failed = held + int(holds.sum()), failed + int(fails.sum())
        power = compute_power(
            float(pass_rate),
            reliability=reliability,
            confidence=CONFIDENCE,
            max_runs=MAX_SEEDS,
        )
        yield VerdictRates(
            reliability=reliability,
            pass_rate=pass_rate,
            campaigns=campaigns,
            holds=held,
            fails=failed,
            exact_holds=power.holds[-1],
            exact_fails=power.fails[-1],
        )
