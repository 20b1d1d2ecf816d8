"""How the page words what `bench.figures` has no form for."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, isinf

from bench.figures import format_count, format_percent
from bench.findings import Interval, Spread
from bench.iterations import Iteration
from bench.records import Answer

SYMBOLS = {Answer.HOLDS: "✓", Answer.FAILS: "✗", Answer.UNDECIDED: "?"}
ABSENT = "—"
MINUS = "−"
SMALLEST_P = 0.001
MOST_BLOCKS, NAMED_BLOCKS = 200, 20
"""More blocks of seeds than the first are not listed; the second are then."""


def name_iteration(iteration: Iteration) -> str:
    """Return `iteration_4` as a heading; a model file keeps its name."""
    if iteration.origin is not None:
        return iteration.name
    return iteration.name.replace("_", " ").capitalize()


def format_exact_percent(value: Fraction) -> str:
    """Return a proportion in per cent with the decimals it needs and no more: 99.4 %, 90 %."""
    percent = value * 100
    decimal = Decimal(percent.numerator) / Decimal(percent.denominator)
    return f"{decimal.normalize():f} %"


def format_points(value: Fraction | float) -> str:
    """Return a difference of two proportions in percentage points, with its sign."""
    text = f"{100 * float(value):+.2f} points"
    return text.replace("-", MINUS)


def format_logarithm(value: float) -> str:
    """Return a logarithm to three decimals, cut off so that it never reaches a threshold."""
    if isinf(value):
        return f"{MINUS}∞" if value < 0 else "∞"
    return f"{floor(value * 1000) / 1000:.3f}".replace("-", MINUS)


def format_interval(interval: Interval | None, *, confidence: Fraction) -> str:
    """Return a mean accuracy with its Student-t interval."""
    if interval is None:
        return ABSENT
    mean = format_percent(interval.mean, decimals=3)
    if interval.lower is None or interval.upper is None:
        return f"{mean} (an interval needs two seeds)"
    lower = format_percent(interval.lower, decimals=3)
    upper = format_percent(interval.upper, decimals=3)
    return f"{mean} ({format_exact_percent(confidence)} interval {lower} to {upper})"


def format_gap(interval: Interval | None, *, confidence: Fraction) -> str:
    """Return a mean difference in percentage points with its Student-t interval."""
    if interval is None:
        return ABSENT
    mean = format_points(interval.mean)
    if interval.lower is None or interval.upper is None:
        return mean
    lower, upper = format_points(interval.lower), format_points(interval.upper)
    level = format_exact_percent(confidence)
    return f"{mean} ({level} interval {lower.removesuffix(' points')} to {upper})"


def format_p(p: float | None) -> str:
    """Return a p-value cut up to three decimals, so that none reads as smaller than it is."""
    if p is None:
        return ABSENT
    return "below 0.001" if p < SMALLEST_P else f"{ceil(p * 1000) / 1000:.3f}"


def format_percentile(share: Fraction | None) -> str:
    """Return a share to one decimal of a per cent, absent when there is none."""
    return ABSENT if share is None else format_percent(share, decimals=1)


def format_spread(spread: Spread | None) -> str:
    """Return the lowest and the highest of the seeds' accuracies."""
    if spread is None:
        return ABSENT
    lowest, highest = format_percent(spread.lowest), format_percent(spread.highest)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def format_number(count: int, noun: str) -> str:
    """Return a count with its noun: 1 seed, 12 seeds."""
    return f"{format_count(count)} {noun}" if count == 1 else f"{format_count(count)} {noun}s"


def format_epochs(earliest: int, latest: int) -> str:
    """Return `epoch 9` or `epochs 9 to 12`."""
    return f"epoch {earliest}" if earliest == latest else f"epochs {earliest} to {latest}"


def format_seeds(seeds: Iterable[int]) -> str:
    """Return seeds for a reader: 0 to 4, 7. Of very many gaps it names the first ones."""
    blocks = _blocks(seeds)
    named = blocks if len(blocks) <= MOST_BLOCKS else blocks[:NAMED_BLOCKS]
    text = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in named)
    further = sum(last - first + 1 for first, last in blocks[len(named) :])
    return f"{text}, and {format_count(further)} more" if further else text


def write_seeds(seeds: Iterable[int]) -> str:
    """Return seeds as `--seeds` takes them: 0-4,7-7."""
    return ",".join(f"{first}-{last}" for first, last in _blocks(seeds))


def _blocks(seeds: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last seed of every block without a gap."""
    ordered = sorted(set(seeds))
    gaps = [(a, b) for a, b in pairwise(ordered) if b > a + 1]
    firsts = ordered[:1] + [after for _, after in gaps]
    lasts = [before for before, _ in gaps] + ordered[-1:]
    return list(zip(firsts, lasts, strict=True))
