"""How the same seeds would be judged if window, reliability or target were chosen otherwise."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct, structs

from bench.consistency import find_outlook
from bench.evidence import Evidence, count_steady
from bench.records import Answer, Challenge
from bench.run_table import Ints, tabulate

RELIABILITIES = (Fraction("0.80"), Fraction("0.90"), Fraction("0.95"))
TARGET_STEP = Fraction("0.0002")
"""0.02 points, two images of 10,000."""

TARGET_STEPS = 5
"""Steps on either side of the target: 0.1 points."""


class Variation(Struct, frozen=True, kw_only=True):
    """What the rule says of the same runs when one number of the challenge is another."""

    window: int
    reliability: Fraction
    target: Fraction
    answer: Answer
    holding: int
    runs: int
    decided_after: int | None
    further_seeds: int | None


class Sensitivity(Struct, frozen=True, kw_only=True):
    """The reliable finding when one number varies and the others are the challenge's own.

    Many choices are read from the same runs, so the error rate of a verdict holds for the
    challenge's own alone.
    """

    windows: tuple[Variation, ...]
    reliabilities: tuple[Variation, ...]
    targets: tuple[Variation, ...]


def vary_challenge(evidence: Evidence, challenge: Challenge) -> Sensitivity:
    """Judge the runs for every window up to all epochs, three reliabilities, and near targets."""
    runs = tabulate(evidence.runs)
    steady = count_steady(runs, challenge.target)
    epochs = min(challenge.epochs, int(runs.lengths.max(initial=0)))
    windows = sorted({challenge.window, *range(1, epochs + 1)})
    reliabilities = sorted({challenge.reliability, *RELIABILITIES})
    targets = [
        challenge.target + step * TARGET_STEP for step in range(-TARGET_STEPS, TARGET_STEPS + 1)
    ]
    return Sensitivity(
        windows=tuple(_vary(steady, challenge, window=k) for k in windows),
        reliabilities=tuple(_vary(steady, challenge, reliability=q) for q in reliabilities),
        targets=tuple(
            _vary(count_steady(runs, t), challenge, target=t) for t in targets if 0 < t <= 1
        ),
    )


def _vary(steady: Ints, challenge: Challenge, **changed: int | Fraction) -> Variation:
    """Judge runs by how many epochs up to the last one each of them is at the varied target."""
    varied = structs.replace(challenge, **changed)
    outlook = find_outlook(
        (steady >= varied.window).tolist(),
        reliability=varied.reliability,
        confidence=varied.confidence,
    )
    return Variation(
        window=varied.window,
        reliability=varied.reliability,
        target=varied.target,
        answer=outlook.answer,
        holding=outlook.holding,
        runs=outlook.runs,
        decided_after=outlook.decided_after,
        further_seeds=outlook.further_seeds,
    )
