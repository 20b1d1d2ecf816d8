"""Is the new code not worse than the old? A margin, an interval, and one of three answers.

What is compared is the mean accuracy of a run's final window, run by run: seed 0 of the new code
with seed 0 of the old, and so on, fixed beforehand so that nobody can choose. Unlike code draws
unlike random numbers, so that nothing is gained by the pairs; nor lost, should a pair share some,
since what follows needs pairs that are independent of each other and no more. What is estimated is
the median difference of a pair. Its bounds come from the signs of the differences and from the
martingale of `bench.consistency` at one half: they hold for any distribution of accuracies, and for
whoever looks after every seed (Howard and Ramdas, "Sequential estimation of quantiles with
applications to A/B testing and best-arm identification", Bernoulli 28(3), 2022, do the same with
other mixtures).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from bench.consistency import find_boundaries, foresee
from bench.evidence import Evidence
from bench.figures import cut_points
from bench.findings.comparison import Comparison, compare_iterations
from bench.findings.scores import has_window, mean_window_accuracy
from bench.records import Challenge, Conditions, Run

DEFAULT_MARGIN = Fraction(5, 10_000)
"""0.05 points, five images of MNIST: as far as one seed lies from the next (docs/ci.md)."""

Difference = Fraction | float
"""New minus old; infinite where only one of the two runs has a final window."""

_HALF = Fraction(1, 2)


class Standing(StrEnum):
    """How the new code stands to the old."""

    NOT_WORSE = "NOT WORSE"
    WORSE = "WORSE"
    UNDECIDED = "UNDECIDED"


class Comparand(Struct, frozen=True, kw_only=True):
    """One of the two that are compared; `source` says where the old one was read."""

    iteration: str
    fingerprint: str
    source: str | None = None


class NonInferiority(Struct, frozen=True, kw_only=True):
    """How new code stands to old under the same conditions, and why in one sentence.

    `lower` and `upper` bound the median difference of a pair, each at the challenge's confidence
    after every pair, in proportions; `None` is no bound yet. `margin` is a proportion too. `pairs`
    is how many there are, `old_runs` and `new_runs` of what, and `further_pairs` how many more
    would decide if they went as these. `means` describes the difference of means; it decides
    nothing. Without common conditions there are no pairs.
    """

    old: Comparand
    new: Comparand
    answer: Standing
    why: str
    margin: Fraction
    conditions: Conditions | None
    old_runs: int
    new_runs: int
    pairs: int
    lower: Fraction | None
    upper: Fraction | None
    further_pairs: int | None
    means: Comparison | None


def compare_with_old(
    old: Evidence,
    new: Evidence,
    challenge: Challenge,
    *,
    margin: Fraction,
    source: str | None = None,
) -> NonInferiority:
    """Compare evidence on new code with evidence on old code, under the same conditions."""
    differences = pair_runs(old.runs, new.runs, challenge)
    lower, upper = bound_median(differences, confidence=challenge.confidence)
    answer = decide_standing(lower, upper, margin=margin)
    further = (
        _foresee(differences, margin, challenge.confidence)
        if answer is Standing.UNDECIDED
        else None
    )
    return NonInferiority(
        old=Comparand(iteration=old.iteration, fingerprint=old.fingerprint, source=source),
        new=Comparand(iteration=new.iteration, fingerprint=new.fingerprint),
        answer=answer,
        why=_explain(answer, lower, upper, margin, further, old=old, new=new),
        margin=margin,
        conditions=new.conditions,
        old_runs=len(old.runs),
        new_runs=len(new.runs),
        pairs=len(differences),
        lower=_finite(lower),
        upper=_finite(upper),
        further_pairs=further,
        means=compare_iterations(old, new, challenge),
    )


def accept_same_code(new: Comparand, old: Comparand, *, margin: Fraction) -> NonInferiority:
    """Return that code is not worse than itself, which needs no run."""
    return _without_pairs(
        new, old, Standing.NOT_WORSE, "the same code: nothing that a run depends on has changed",
        margin,
    )  # fmt: skip


def leave_undecided(
    new: Comparand, old: Comparand, why: str, *, margin: Fraction, new_runs: int = 0
) -> NonInferiority:
    """Return that nothing can be compared, and why; `new_runs` are those that lack old ones."""
    found = _without_pairs(new, old, Standing.UNDECIDED, why, margin)
    return replace(found, new_runs=new_runs)


def _without_pairs(
    new: Comparand, old: Comparand, answer: Standing, why: str, margin: Fraction
) -> NonInferiority:
    return NonInferiority(
        old=old,
        new=new,
        answer=answer,
        why=why,
        margin=margin,
        conditions=None,
        old_runs=0,
        new_runs=0,
        pairs=0,
        lower=None,
        upper=None,
        further_pairs=None,
        means=None,
    )


def pair_runs(old: Sequence[Run], new: Sequence[Run], challenge: Challenge) -> list[Difference]:
    """Return new minus old mean window accuracy of the seeds that both have, in their order.

    A run without a final window, such as one that diverged, is below every run that has one and
    equal to its like.
    """
    return [
        _subtract(_score(later, challenge), _score(earlier, challenge))
        for earlier, later in zip(old, new, strict=False)
    ]


def bound_median(
    differences: Sequence[Difference], *, confidence: Fraction
) -> tuple[Difference, Difference]:
    """Return bounds of the median difference, infinite where there is none yet.

    After k differences, let w be the least number of heads of k tosses at which the martingale
    refutes a fair coin. The w-th largest difference is a lower bound and the w-th smallest an upper
    one. The best bounds of all k hold together (Ville), so they never widen.
    """
    least, _ = find_boundaries(len(differences), reliability=_HALF, confidence=confidence)
    ordered: list[Difference] = []
    best: tuple[Difference, Difference] = -math.inf, math.inf
    for count, (difference, needed) in enumerate(
        zip(differences, least.tolist(), strict=True), start=1
    ):
        insort(ordered, difference)
        if needed <= count:
            best = max(best[0], ordered[count - needed]), min(best[1], ordered[needed - 1])
    return best


def decide_standing(lower: Difference, upper: Difference, *, margin: Fraction) -> Standing:
    """Return NOT WORSE when the median is shown to be above the margin, else WORSE when below 0.

    A difference between the two is worse and not by more than the margin, and so NOT WORSE once
    enough seeds show that.
    """
    if lower > -margin:
        return Standing.NOT_WORSE
    return Standing.WORSE if upper < 0 else Standing.UNDECIDED


def _score(run: Run, challenge: Challenge) -> Difference:
    return mean_window_accuracy(run, challenge) if has_window(run, challenge) else -math.inf


def _subtract(later: Difference, earlier: Difference) -> Difference:
    return Fraction(0) if later == earlier else later - earlier


def _finite(bound: Difference) -> Fraction | None:
    return bound if isinstance(bound, Fraction) else None


def _foresee(
    differences: Sequence[Difference], margin: Fraction, confidence: Fraction
) -> int | None:
    """Return how many more pairs would decide if they went as these, `None` if not foreseeable."""
    pairs = len(differences)
    threshold = float(-np.log1p(-float(confidence)))
    within = sum(difference > -margin for difference in differences)
    below = sum(difference < 0 for difference in differences)
    outlooks = [
        foresee(count, pairs, reliability=float(_HALF), log_threshold=threshold)
        for count in (within, below)
        if 2 * count > pairs
    ]
    return min((outlook for outlook in outlooks if outlook is not None), default=None)


def _explain(
    answer: Standing,
    lower: Difference,
    upper: Difference,
    margin: Fraction,
    further: int | None,
    *,
    old: Evidence,
    new: Evidence,
) -> str:
    pairs = min(len(old.runs), len(new.runs))
    bounds = f"{_say_bounds(lower, upper)} ({pairs} pairs of seeds)"
    allowed = f"{float(margin) * 100:g} points"
    if answer is Standing.NOT_WORSE:
        return f"{bounds}, within the margin of {allowed}"
    if answer is Standing.WORSE:
        return f"{bounds}, and not shown to be within the margin of {allowed}"
    return f"{bounds}, margin {allowed}; {_forecast(further, len(old.runs), len(new.runs))}"


def _say_bounds(lower: Difference, upper: Difference) -> str:
    if upper == -math.inf:
        return "the new code diverges where the old did not"
    if lower == math.inf:
        return "the old code diverged where the new does not"
    least = None if isinstance(lower, float) else cut_points(lower)
    most = None if isinstance(upper, float) else cut_points(upper, lift=True)
    if least is None:
        return f"median difference {f'at most {most}' if most else 'without a bound yet'}"
    if most is None:
        return f"median difference at least {least}"
    return f"median difference {least.removesuffix(' points')} to {most}"


def _forecast(further: int | None, old_runs: int, new_runs: int) -> str:
    if not min(old_runs, new_runs):
        return f"the {'new' if old_runs else 'old'} code has no runs under these conditions"
    if further is None:
        return "a decision is not foreseeable at this rate"
    wanted = min(old_runs, new_runs) + further
    lacking = [
        f"{wanted - runs} of the {which}"
        for which, runs in (("new", new_runs), ("old", old_runs))
        if runs < wanted
    ]
    return f"{further} more pairs would decide if they went as these: {', '.join(lacking)}"
