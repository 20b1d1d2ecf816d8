"""The highest target at which an iteration's runs HOLD, in steps of 0.01 points.

HOLDS is wrong at any of the targets at most as often as at one alone: a run that holds at a target
holds at every lower one, so no martingale for HOLDS is below that of a higher target, and a HOLDS
that is wrong at any target implies one at the lowest target that fewer than the required share of
seeds reach. No correction for looking at many targets is due.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from bench.consistency import find_outlook
from bench.evidence import find_holding
from bench.records import Answer, Challenge
from bench.run_table import RunTable

STEPS = 10_000
"""Targets are multiples of one part in so many."""


def find_highest_target(runs: RunTable, challenge: Challenge) -> Fraction:
    """Return the highest target at which runs in seed order HOLD that HOLD at the challenge's.

    It is the challenge's own where no step beyond it does.
    """
    low, high = int(challenge.target * STEPS), STEPS  # HOLDS at `low`, at no step beyond `high`
    while low < high:
        step = (low + high + 1) // 2
        holds = find_holding(runs, replace(challenge, target=Fraction(step, STEPS)))
        outlook = find_outlook(
            holds.tolist(), reliability=challenge.reliability, confidence=challenge.confidence
        )
        low, high = (step, high) if outlook.answer is Answer.HOLDS else (low, step - 1)
    return max(Fraction(low, STEPS), challenge.target)
