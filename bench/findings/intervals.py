"""How a figure that every seed has is summed up: an interval, a spread, a share."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

from msgspec import Struct

from bench.consistency import binomial_bounds, mean_interval
from bench.findings.ratios import Ratios

NOISE_DIGITS = 12
"""Decimals kept of an interval's bounds: what lies below is noise of floating-point addition."""


class Interval(Struct, frozen=True, kw_only=True):
    """An exact mean and its Student-t bounds, which need two seeds at least (else `None`)."""

    mean: Fraction
    lower: float | None
    upper: float | None


class Spread(Struct, frozen=True, kw_only=True):
    """Lowest and highest of some seeds' figures; the sample deviation needs two of them."""

    seeds: int
    lowest: Fraction
    highest: Fraction
    deviation: float | None


class Share(Struct, frozen=True, kw_only=True):
    """So many of so many, with the two-sided Clopper-Pearson bounds of the proportion."""

    part: int
    whole: int
    lower: float
    upper: float


def estimate_mean(values: Ratios | None, *, confidence: float) -> Interval | None:
    """Return the mean with Student's interval, `None` without a value."""
    if values is None or not len(values):
        return None
    _, lower, upper = mean_interval(values.floats().tolist(), confidence=confidence)
    return Interval(
        mean=values.mean(),
        lower=drop_noise(lower),
        upper=drop_noise(upper),
    )


def estimate_proportion(values: Ratios | None, *, confidence: float) -> Interval | None:
    """Return the mean with its interval cut to 0 ... 1, which Student's t knows nothing of."""
    interval = estimate_mean(values, confidence=confidence)
    if interval is None or interval.lower is None or interval.upper is None:
        return interval
    return Interval(
        mean=interval.mean, lower=max(interval.lower, 0.0), upper=min(interval.upper, 1.0)
    )


def drop_noise(bound: float) -> float | None:
    """Return a bound to the digits that mean something, `None` for one that does not exist."""
    return None if math.isnan(bound) else round(bound, NOISE_DIGITS)


def measure_spread(values: Ratios) -> Spread | None:
    """Return lowest, highest and sample deviation, `None` without a value."""
    if not len(values):
        return None
    return Spread(
        seeds=len(values),
        lowest=values.lowest(),
        highest=values.highest(),
        deviation=statistics.stdev(values.floats().tolist()) if len(values) > 1 else None,
    )


def measure_share(part: int, whole: int, *, confidence: float) -> Share:
    """Return a count with its exact bounds, which are 0 and 1 when nothing was counted."""
    lower, upper = binomial_bounds(part, whole, confidence=confidence)
    return Share(part=part, whole=whole, lower=lower, upper=upper)
