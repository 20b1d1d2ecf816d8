"""The highest target at which an iteration's runs HOLD, in steps of 0.01 points.

The answers at all targets are wrong together at most as often as one of them alone: a run that
holds at a target holds at every lower one, so no martingale for HOLDS is below that of a higher
target, and a HOLDS that is wrong at any target implies one at the lowest target that fewer than the
required share of seeds reach. No correction for looking at many targets is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bench.consistency import find_outlook
from bench.records import Answer, Challenge, Run, Status

STEPS = 10_000
"""Targets are multiples of one part in so many."""


def find_highest_target(runs: Sequence[Run], challenge: Challenge) -> Fraction | None:
    """Return the highest target at which runs in seed order HOLD, `None` if at no target.

    Window, reliability and confidence are the challenge's; its own target plays no part.
    """
    heights = [_height(run, challenge.window) for run in runs]
    low, high = 0, STEPS  # HOLDS at every step up to `low`, at none beyond `high`
    while low < high:
        step = (low + high + 1) // 2
        outlook = find_outlook(
            [height >= step for height in heights],
            reliability=challenge.reliability,
            confidence=challenge.confidence,
        )
        low, high = (step, high) if outlook.answer is Answer.HOLDS else (low, step - 1)
    return Fraction(low, STEPS) if low else None


def _height(run: Run, window: int) -> int:
    """Return the highest step at which a run holds, 0 if it diverged or ended too soon."""
    if run.status is not Status.FINISHED or len(run.epochs) < window:
        return 0
    return min(
        STEPS * epoch.validation_correct // epoch.validation_total for epoch in run.epochs[-window:]
    )
