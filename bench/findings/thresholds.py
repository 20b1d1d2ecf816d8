"""The share of seeds that would hold at every threshold, not at the target alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.columns import find_lowest
from bench.findings.intervals import Share, measure_share
from bench.records import Challenge
from bench.run_table import tabulate


class ThresholdShare(Struct, frozen=True, kw_only=True):
    """How many seeds are at or above a threshold in every epoch of their final window."""

    threshold: Fraction
    share: Share


def measure_thresholds(evidence: Evidence, challenge: Challenge) -> tuple[ThresholdShare, ...]:
    """Return the share at the target and at every threshold where it changes, lowest first.

    It changes at the seeds' own window minima alone. A run without a window is below every
    threshold. Each bound holds by itself at the challenge's confidence, not all of them together.
    """
    runs = tabulate(evidence.runs)
    found = find_lowest(runs, challenge)
    lowest, seeds = np.unique(found.correct, return_counts=True)
    minima = {
        Fraction(int(correct), found.total): int(number)
        for correct, number in zip(lowest, seeds, strict=True)
    }
    above = sum(minima.values())
    confidence = float(challenge.confidence)
    shares = []
    for threshold in sorted({challenge.target, *minima}):
        share = measure_share(above, len(runs), confidence=confidence)
        shares.append(ThresholdShare(threshold=threshold, share=share))
        above -= minima.get(threshold, 0)
    return tuple(shares)
