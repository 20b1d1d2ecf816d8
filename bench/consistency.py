"""Is a pass rate at least q? A rule that may be read after every run, and bounds beside it.

Two test martingales compare the runs with the boundary p = q (Ville 1939; Shafer et al. 2011,
"Test martingales, Bayes factors and p-values", Statistical Science 26(1)). Each is at most 1 in
expectation under its null hypothesis for every stopping rule, so the chance that it ever reaches
1 / (1 - confidence) is at most 1 - confidence, however often anyone looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bench.records import Answer

FORESEEABLE_SEEDS = 10_000
"""Further seeds beyond which a decision is called not foreseeable."""

Floats = NDArray[np.float64]


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
    """Return ln of (half [p = 1] + half Uniform(q, 1)) against p = q, per pair of counts."""
    s, f = np.broadcast_arrays(np.asarray(holding, float), np.asarray(failing, float))
    with np.errstate(divide="ignore"):  # the logarithm of an empty tail is -inf, as it should be
        tail = np.log(special.betaincc(s + 1, f + 1, reliability))
        point = np.where(f == 0, 0.0, -np.inf)
    mixture = np.logaddexp(point, special.betaln(s + 1, f + 1) + tail - np.log1p(-reliability))
    return np.asarray(mixture - np.log(2.0) - _log_boundary(s, f, reliability))


def log_martingale_fails(holding: ArrayLike, failing: ArrayLike, *, reliability: float) -> Floats:
    """Return ln of (half [p = 0] + half Uniform(0, q)) against p = q, per pair of counts."""
    s, f = np.broadcast_arrays(np.asarray(holding, float), np.asarray(failing, float))
    with np.errstate(divide="ignore"):
        tail = np.log(special.betainc(s + 1, f + 1, reliability))
        point = np.where(s == 0, 0.0, -np.inf)
    mixture = np.logaddexp(point, special.betaln(s + 1, f + 1) + tail - np.log(reliability))
    return np.asarray(mixture - np.log(2.0) - _log_boundary(s, f, reliability))


def _log_boundary(holding: Floats, failing: Floats, reliability: float) -> Floats:
    return np.asarray(special.xlogy(holding, reliability) + special.xlog1py(failing, -reliability))


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


def _first_crossing(
    log_holds: Floats, log_fails: Floats, threshold: float
) -> tuple[Answer, int | None]:
    reached = (log_holds >= threshold) | (log_fails >= threshold)
    if not reached.any():
        return Answer.UNDECIDED, None
    first = int(np.argmax(reached))
    return (Answer.HOLDS if log_holds[first] >= threshold else Answer.FAILS), first + 1


def foresee(holding: int, runs: int, *, reliability: float, log_threshold: float) -> int | None:
    """Return how many more runs would decide at the pass rate so far, or `None` when too many."""
    if runs == 0:
        return None
    more = np.arange(1, FORESEEABLE_SEEDS + 1)
    passed = (holding * (runs + more)) // runs
    failed = runs + more - passed
    reached = (log_martingale_holds(passed, failed, reliability=reliability) >= log_threshold) | (
        log_martingale_fails(passed, failed, reliability=reliability) >= log_threshold
    )
    return int(more[np.argmax(reached)]) if reached.any() else None


def binomial_bounds(successes: int, trials: int, *, confidence: float) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson bounds of a proportion (Biometrika 26, 1934)."""
    tail = (1.0 - confidence) / 2.0
    failures = trials - successes
    lower = float(stats.beta.ppf(tail, successes, failures + 1)) if successes else 0.0
    upper = float(stats.beta.isf(tail, successes + 1, failures)) if failures else 1.0
    return lower, upper


def mean_interval(values: Sequence[float], *, confidence: float) -> tuple[float, float, float]:
    """Return the mean and its two-sided Student-t bounds; the bounds are NaN below two values."""
    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, float("nan"), float("nan")
    reach = stats.t.isf((1.0 - confidence) / 2.0, len(sample) - 1) * stats.sem(sample)
    return mean, mean - float(reach), mean + float(reach)
