"""The same campaigns judged by Drilldown and by the rules that others use."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from msgspec import Struct
from scipy import optimize, stats

from bench.calibration.draws import Flags, Floats, make_generator, split_batches
from bench.calibration.intervals import bootstrap_bounds, make_resamples
from bench.calibration.verdicts import CONFIDENCE, MAX_SEEDS, judge_campaigns
from bench.consistency import find_boundaries, student_reach

RELIABILITY = Fraction("0.90")
TARGET = 9_940
EPOCHS = 15
WINDOW = 3
LEVEL_DEVIATION = EPOCH_DEVIATION = 5.0
"""Images of 10,000: 0.05 points between seeds and between epochs, 7 images together."""

PLANTED = (0.5, 0.7, 0.85, 0.89, 0.95, 0.99)
"""Shares of all seeds that hold."""


class Rival(Struct, frozen=True, kw_only=True):
    """How many of the campaigns of each planted truth a rule says succeed."""

    rule: str
    seeds: str
    claims: tuple[int, ...]


class Rivals(Struct, frozen=True, kw_only=True):
    """The same campaigns judged by every rule; `means` are the planted means in images right."""

    campaigns: int
    pass_rates: tuple[float, ...]
    means: tuple[float, ...]
    rows: tuple[Rival, ...]


class Campaigns(Struct, frozen=True, kw_only=True):
    """Simulated images right of 10,000, whole numbers.

    `windows` (campaign, seed, epoch of the final window); `first_seed` (campaign, epoch) holds all
    epochs of seed 0.
    """

    windows: Floats
    first_seed: Floats

    @property
    def holds(self) -> Flags:
        """Whether each seed holds, by (campaign, seed)."""
        return np.asarray((self.windows >= TARGET).all(axis=2))


def simulate_campaigns(generator: np.random.Generator, mean: float, campaigns: int) -> Campaigns:
    """Draw converged runs: a level per seed, and independent noise per epoch around it."""
    levels = generator.normal(mean, LEVEL_DEVIATION, (campaigns, MAX_SEEDS, 1))
    windows = np.rint(generator.normal(levels, EPOCH_DEVIATION, (campaigns, MAX_SEEDS, WINDOW)))
    earlier = generator.normal(levels[:, 0], EPOCH_DEVIATION, (campaigns, EPOCHS - WINDOW))
    return Campaigns(
        windows=windows, first_seed=np.concatenate((np.rint(earlier), windows[:, 0]), axis=1)
    )


def compute_pass_rate(mean: float) -> float:
    """Return the share of seeds that hold: all epochs of a window rounded to the target or above.

    Integrated over the seeds' levels by Gauss-Hermite quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    margin = (mean + LEVEL_DEVIATION * nodes - (TARGET - 0.5)) / EPOCH_DEVIATION
    return float(weights @ stats.norm.cdf(margin) ** WINDOW / weights.sum())


def find_mean(pass_rate: float) -> float:
    """Return the mean at which a given share of all seeds holds."""
    return float(
        optimize.brentq(lambda mean: compute_pass_rate(mean) - pass_rate, TARGET - 50, TARGET + 100)
    )


def claim_five_of_five(campaigns: Campaigns) -> Flags:
    """Claim success when the first five seeds hold."""
    return np.asarray(campaigns.holds[:, :5].all(axis=1))


def claim_trimmed(campaigns: Campaigns) -> Flags:
    """Claim success when the first five seeds hold but for the worst; the best is dropped too."""
    return np.asarray(campaigns.holds[:, :5].sum(axis=1) >= 4)


def claim_best_epoch(campaigns: Campaigns) -> Flags:
    """Claim success when the best epoch of the first seed is at the target."""
    return np.asarray(campaigns.first_seed.max(axis=1) >= TARGET)


def claim_repeated_t_test(campaigns: Campaigns) -> Flags:
    """Claim success at the first n = 3 ... 20 whose one-sided t-test of the mean has p < 0.05."""
    margins = campaigns.windows[:, :20, -1] - TARGET
    claimed = np.zeros(len(margins), dtype=bool)
    for n in range(3, 21):
        means, reach = student_reach(margins[:, :n], confidence=0.90)
        claimed |= means > reach
    return claimed


def claim_bootstrap(campaigns: Campaigns) -> Flags:
    """Claim success when the 95 % percentile bootstrap of five seeds' mean lies at the target."""
    times, weights = make_resamples(np.random.default_rng(0), 5)  # enumerated, nothing is drawn
    lower, _ = bootstrap_bounds(campaigns.windows[:, :5, -1], times, weights)
    return lower >= TARGET


RIVALS: tuple[tuple[str, str, Callable[[Campaigns], Flags]], ...] = (
    ("five of five seeds hold", "5", claim_five_of_five),
    ("five seeds, best and worst dropped, the rest hold", "5", claim_trimmed),
    ("t-test of the mean after each seed until p < 0.05", "3 to 20", claim_repeated_t_test),
    ("95 % percentile bootstrap of the mean is at the target", "5", claim_bootstrap),
    ("the best of 15 epochs of one seed is at the target", "1", claim_best_epoch),
)


def compare_rules(campaigns: int) -> Rivals:
    """Let every rule judge the same campaigns, for a mean at the target and each planted truth."""
    means = (float(TARGET), *map(find_mean, PLANTED))
    boundaries = find_boundaries(MAX_SEEDS, reliability=RELIABILITY, confidence=CONFIDENCE)
    claims = np.zeros((3 + len(RIVALS), len(means)), dtype=np.int64)
    for column, mean in enumerate(means):
        generator = make_generator(4, column)
        for batch in split_batches(campaigns):
            simulated = simulate_campaigns(generator, mean, batch)
            held, failed = judge_campaigns(simulated.holds, boundaries)
            answers = [held, failed, ~(held | failed), *(claim(simulated) for *_, claim in RIVALS)]
            claims[:, column] += [int(answer.sum()) for answer in answers]
    names = [
        ("Drilldown says HOLDS", f"until decided, at most {MAX_SEEDS}"),
        *(("Drilldown says FAILS", "the same"), ("Drilldown is UNDECIDED", "the same")),
        *((rule, seeds) for rule, seeds, _ in RIVALS),
    ]
    return Rivals(
        campaigns=campaigns,
        pass_rates=tuple(map(compute_pass_rate, means)),
        means=means,
        rows=tuple(
            Rival(rule=rule, seeds=seeds, claims=tuple(row))
            for (rule, seeds), row in zip(names, claims.tolist(), strict=True)
        ),
    )
