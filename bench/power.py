"""How many seeds will a verdict take, if a share p of all seeds holds? Exact, before any is run."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bench.consistency import find_boundaries

Floats = NDArray[np.float64]


class Power(Struct, frozen=True, kw_only=True):
    """What the rule will do with up to `max_runs` seeds of an iteration whose pass rate is known.

    `holds` and `fails` are the probabilities of either verdict after 1, 2, ... seeds, read after
    each. `mean_seeds` counts a campaign that is undecided at the end as `max_runs` seeds.
    `median_seeds` and `seeds_for_90_percent` are the fewest seeds that decide half and 90 % of
    all campaigns (`None`: not within `max_runs`).
    """

    pass_rate: float
    reliability: Fraction
    confidence: Fraction
    max_runs: int
    holds: tuple[float, ...]
    fails: tuple[float, ...]
    mean_seeds: float
    median_seeds: int | None
    seeds_for_90_percent: int | None


def compute_power(
    pass_rate: float, *, reliability: Fraction, confidence: Fraction, max_runs: int
) -> Power:
    """Compute the chances of either verdict by following every path of runs until it decides."""
    holds, fails = _absorb(
        pass_rate, *find_boundaries(max_runs, reliability=reliability, confidence=confidence)
    )
    decided = holds + fails
    return Power(
        pass_rate=pass_rate,
        reliability=reliability,
        confidence=confidence,
        max_runs=max_runs,
        holds=tuple(holds.tolist()),
        fails=tuple(fails.tolist()),
        # The mean of a count is the sum of its chances to exceed 0, 1, 2, ...
        mean_seeds=float(max_runs - decided[:-1].sum()),
        median_seeds=_first_at_least(decided, 0.5),
        seeds_for_90_percent=_first_at_least(decided, 0.9),
    )


def _absorb(
    pass_rate: float, least_holds: NDArray[np.int64], most_fails: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return the chance of HOLDS and of FAILS by each n: dynamic programming over (n, holding).

    The undecided counts after n runs lie strictly between the boundaries, so one vector of chances
    by count is moved on by one run at a time and what reaches a boundary is taken out for good.
    """
    max_runs = len(least_holds)
    holds, fails = np.zeros(max_runs), np.zeros(max_runs)
    undecided = np.zeros(max_runs + 1)
    undecided[0] = 1.0
    for n in range(1, max_runs + 1):
        undecided[1 : n + 1] = undecided[1 : n + 1] * (1 - pass_rate) + undecided[:n] * pass_rate
        undecided[0] *= 1 - pass_rate
        least, most = least_holds[n - 1], most_fails[n - 1]
        holds[n - 1] = undecided[least : n + 1].sum()
        fails[n - 1] = undecided[: most + 1].sum()
        undecided[least : n + 1] = undecided[: most + 1] = 0.0
    return np.cumsum(holds), np.cumsum(fails)


def _first_at_least(decided: Floats, share: float) -> int | None:
    reached = decided >= share - 1e-12  # sums of chances are exact to the rounding of floats
    return int(np.argmax(reached)) + 1 if reached.any() else None
