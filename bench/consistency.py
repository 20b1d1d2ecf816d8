"""Is a pass rate at least q? A rule that may be read after every run, and bounds beside it.

Two test martingales compare the runs with the boundary p = q (Ville 1939; Shafer et al. 2011,
"Test martingales, Bayes factors and p-values", Statistical Science 26(1)). Each is at most 1 in
expectation under its null hypothesis for every stopping rule, so the chance that it ever reaches
1 / (1 - confidence) is at most 1 - confidence, however often anyone looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bench.records import Answer

FORESEEABLE_SEEDS = 10_000
"""Further seeds beyond which a decision is called not foreseeable."""

SMALLEST_TAIL = 1e-300
"""Tails below it are taken from a continued fraction; a float underflows at 1e-308."""

FIRST_RUNS = 100
"""Most decisions are reached within so many runs: an outlook looks at these before the others."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Outlook(Struct, frozen=True, kw_only=True):
    """What the rule says of the runs so far, as a `Decision` has it, without how it came about."""

    answer: Answer
    holding: int
    runs: int
    decided_after: int | None
    further_seeds: int | None


class Decision(Struct, frozen=True, kw_only=True):
    """What the rule says of the runs so far.

    `decided_after` is the number of runs after which the rule decided, `further_seeds` how many
    more would decide if they went as the ones so far (`None`: not foreseeable, or decided).
    `log_holds` and `log_fails` are the natural logarithms of both martingales after each run, and
    `log_threshold` what they must reach. `lower` and `upper` are the Clopper-Pearson bounds of the
    pass rate at the same confidence; they are shown, never used.
    """

    answer: Answer
    holding: int
    runs: int
    decided_after: int | None
    further_seeds: int | None
    log_holds: tuple[float, ...]
    log_fails: tuple[float, ...]
    log_threshold: float
    lower: float
    upper: float


def log_martingale_holds(holding: ArrayLike, failing: ArrayLike, *, reliability: float) -> Floats:
    """Return ln of (half [p = 1] + half Uniform(q, 1)) against p = q, per pair of counts.

    Finite and accurate to 1e-8 for up to a million runs and 0 < q < 1; no runs give 0.
    """
    return _log_martingale(holding, failing, reliability)


def log_martingale_fails(holding: ArrayLike, failing: ArrayLike, *, reliability: float) -> Floats:
    """Return ln of (half [p = 0] + half Uniform(0, q)) against p = q, per pair of counts.

    It is the other martingale of the question with its signs swapped: is 1 - p at least 1 - q?
    """
    return _log_martingale(failing, holding, 1.0 - reliability)


def _log_martingale(successes: ArrayLike, failures: ArrayLike, boundary: float) -> Floats:
    s, f = np.broadcast_arrays(np.asarray(successes, float), np.asarray(failures, float))
    log_boundary = special.xlogy(s, boundary) + special.xlog1py(f, -boundary)
    log_point = np.where(f == 0, -log_boundary, -np.inf)
    tail = np.asarray(special.betaincc(s + 1, f + 1, boundary))
    vanished = tail < SMALLEST_TAIL
    log_uniform = np.asarray(
        special.betaln(s + 1, f + 1)
        + np.log(np.where(vanished, 1.0, tail))
        - np.log1p(-boundary)
        - log_boundary
    )
    log_uniform[vanished] = _log_uniform_far(s[vanished], f[vanished], boundary)
    return np.asarray(np.logaddexp(log_point, log_uniform) - np.log(2.0))


def _log_uniform_far(s: Floats, f: Floats, boundary: float) -> Floats:
    """Return ln of Uniform(q, 1) against p = q where the pass rate so far is far below q.

    The continued fraction of the incomplete beta function (DLMF 8.17.22); at the 37 standard
    deviations where a float loses the tail, 16 terms give it to the last digits.
    """
    a, b, x = f + 1.0, s + 1.0, 1.0 - boundary
    fraction = np.ones_like(a)
    for m in range(16, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        fraction = 1.0 + odd / (1.0 + even / fraction)
    return np.asarray(np.log(boundary / a) - np.log(fraction))


def decide(holds: Sequence[bool], *, reliability: Fraction, confidence: Fraction) -> Decision:
    """Decide from runs in seed order; the first martingale to reach its threshold decides."""
    q = float(reliability)
    passed = np.cumsum(np.asarray(holds, dtype=np.int64))
    failed = np.arange(1, len(holds) + 1) - passed
    log_holds = log_martingale_holds(passed, failed, reliability=q)
    log_fails = log_martingale_fails(passed, failed, reliability=q)
    threshold = float(-np.log1p(-float(confidence)))
    answer, decided_after = _first_crossing(log_holds, log_fails, threshold)
    holding, runs = int(sum(holds)), len(holds)
    lower, upper = binomial_bounds(holding, runs, confidence=float(confidence))
    return Decision(
        answer=answer,
        holding=holding,
        runs=runs,
        decided_after=decided_after,
        further_seeds=None
        if decided_after
        else foresee(holding, runs, reliability=q, log_threshold=threshold),
        log_holds=tuple(log_holds.tolist()),
        log_fails=tuple(log_fails.tolist()),
        log_threshold=threshold,
        lower=lower,
        upper=upper,
    )


def find_outlook(holds: Sequence[bool], *, reliability: Fraction, confidence: Fraction) -> Outlook:
    """Return what `decide` says of the runs, from no more arithmetic than that takes."""
    q, threshold = float(reliability), float(-np.log1p(-float(confidence)))
    answer, decided_after = _find_crossing(np.asarray(holds, dtype=np.int64), q, threshold)
    holding, runs = int(sum(holds)), len(holds)
    return Outlook(
        answer=answer,
        holding=holding,
        runs=runs,
        decided_after=decided_after,
        further_seeds=None
        if decided_after
        else foresee(holding, runs, reliability=q, log_threshold=threshold),
    )


def _find_crossing(
    holds: Counts, reliability: float, threshold: float
) -> tuple[Answer, int | None]:
    passed = np.cumsum(holds)
    for block in np.split(np.arange(len(holds)), (FIRST_RUNS,)):
        counts = passed[block], block + 1 - passed[block]
        answer, place = _first_crossing(
            log_martingale_holds(*counts, reliability=reliability),
            log_martingale_fails(*counts, reliability=reliability),
            threshold,
        )
        if place:
            return answer, int(block[0]) + place
    return Answer.UNDECIDED, None


def _first_crossing(
    log_holds: Floats, log_fails: Floats, threshold: float
) -> tuple[Answer, int | None]:
    reached = (log_holds >= threshold) | (log_fails >= threshold)
    if not reached.any():
        return Answer.UNDECIDED, None
    first = int(np.argmax(reached))
    return (Answer.HOLDS if log_holds[first] >= threshold else Answer.FAILS), first + 1


def foresee(holding: int, runs: int, *, reliability: float, log_threshold: float) -> int | None:
    """Return how many more runs would decide at the pass rate so far, or `None` when too many.

    The pass rate is rounded down to whole runs at every step.
    """
    if runs == 0:
        return None
    more = np.arange(1, FORESEEABLE_SEEDS + 1)
    passed = (holding * (runs + more)) // runs
    failed = runs + more - passed
    possible = np.flatnonzero(_log_largest_ratio(passed, failed, reliability) >= log_threshold)
    for block in np.split(possible, (100, 1000)):  # most answers are near, and near is cheap
        counts = passed[block], failed[block]
        reached = (log_martingale_holds(*counts, reliability=reliability) >= log_threshold) | (
            log_martingale_fails(*counts, reliability=reliability) >= log_threshold
        )
        if reached.any():
            return int(more[block[np.argmax(reached)]])
    return None


def _log_largest_ratio(holding: Counts, failing: Counts, reliability: float) -> Floats:
    """Return ln of the largest likelihood of any p against p = q, which no mixture exceeds."""
    runs = holding + failing
    return np.asarray(
        special.rel_entr(holding, runs * reliability)
        + special.rel_entr(failing, runs * (1.0 - reliability))
    )


def find_boundaries(
    max_runs: int, *, reliability: Fraction, confidence: Fraction
) -> tuple[Counts, Counts]:
    """Return where the rule decides after n = 1 ... `max_runs` runs, as counts of holding runs.

    At least the first count is HOLDS (n + 1 where no count is), at most the second is FAILS (-1
    where none is): both martingales are monotonic in the number of holding runs, since every p of
    a mixture lies on one side of q.
    """
    q, threshold = float(reliability), float(-np.log1p(-float(confidence)))
    runs = np.arange(1, max_runs + 1)
    least_holds = _bisect(
        runs, lambda s: log_martingale_holds(s, runs - s, reliability=q) >= threshold
    )
    most_fails = (
        _bisect(runs, lambda s: log_martingale_fails(s, runs - s, reliability=q) < threshold) - 1
    )
    return least_holds, most_fails


def _bisect(runs: Counts, reached: Callable[[Counts], NDArray[np.bool_]]) -> Counts:
    """Return for each n the smallest s of 0 ... n at which `reached` is true, n + 1 if at none."""
    low, high = np.zeros_like(runs), runs + 1
    while (low < high).any():
        middle = (low + high) // 2
        is_open, is_reached = low < high, reached(np.minimum(middle, runs))
        low = np.where(is_open & ~is_reached, middle + 1, low)
        high = np.where(is_open & is_reached, middle, high)
    return low


def binomial_bounds(successes: int, trials: int, *, confidence: float) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson bounds of a proportion (Biometrika 26, 1934)."""
    tail = (1.0 - confidence) / 2.0
    failures = trials - successes
    lower = float(special.betaincinv(successes, failures + 1, tail)) if successes else 0.0
    upper = float(special.betainccinv(successes + 1, failures, tail)) if failures else 1.0
    return lower, upper


def binomial_range(trials: int, proportion: float, *, confidence: float) -> tuple[int, int]:
    """Return the lowest and the highest count in the central share of all outcomes.

    These are quantiles: the first counts whose distribution function is at either tail's end.
    """
    tail = (1.0 - confidence) / 2.0
    distribution = special.bdtr(np.arange(trials + 1), trials, proportion)
    lowest, highest = np.searchsorted(distribution, (tail, 1.0 - tail))
    return int(lowest), int(highest)


def mean_interval(values: Sequence[float], *, confidence: float) -> tuple[float, float, float]:
    """Return the mean and its two-sided Student-t bounds; the bounds are NaN below two values."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan"), float("nan")
    mean, reach = student_reach(values, confidence=confidence)
    return float(mean), float(mean - reach), float(mean + reach)


def student_reach(samples: ArrayLike, *, confidence: float) -> tuple[Floats, Floats]:
    """Return the means over the last axis and how far their Student-t bounds lie on either side."""
    values = np.asarray(samples, float)
    degrees = values.shape[-1] - 1
    standard_error = values.std(axis=-1, ddof=1) / np.sqrt(degrees + 1)
    quantile = special.stdtrit(degrees, (1.0 + confidence) / 2.0)
    return values.mean(axis=-1), np.asarray(quantile * standard_error)


class Moments(NamedTuple):
    """The number of some values, their mean, and their sample variance where there are two."""

    size: int
    mean: Fraction
    variance: Fraction


def welch_interval(
    first: Moments, second: Moments, *, confidence: float
) -> tuple[float, float, float, float]:
    """Return mean(second) - mean(first), its two-sided bounds and p by Welch (Biometrika 34, 1947).

    Both samples need two values. Means and variances are exact, so that noise of floating point
    never passes for a difference. Without any spread the bounds are the difference itself, and p
    is 1 for no difference and 0 for any.
    """
    samples = (first, second)
    difference = float(second.mean - first.mean)
    errors = [float(sample.variance / sample.size) for sample in samples]
    total = sum(errors)
    if total == 0:
        return difference, difference, difference, float(difference == 0)
    spread = sum(e**2 / (sample.size - 1) for e, sample in zip(errors, samples, strict=True))
    degrees, standard_error = total**2 / spread, total**0.5
    reach = float(special.stdtrit(degrees, (1.0 + confidence) / 2.0)) * standard_error
    p = 2.0 * float(special.stdtr(degrees, -abs(difference) / standard_error))
    return difference, difference - reach, difference + reach, p


def adjust_holm(p_values: ArrayLike) -> Floats:
    """Return Holm's adjusted p-values over the last axis (Scand. J. Statistics 6, 1979, p. 65).

    Rejecting those at most 0.05 rejects a true hypothesis in at most 5 % of such families.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, axis=-1)
    weights = np.arange(p.shape[-1], 0, -1)
    ordered = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * weights, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(ordered, 1.0), axis=-1)
    return adjusted
