"""The share of seeds that would hold at every threshold, not at the target alone."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from msgspec import Struct

from bench.evidence import Evidence
from bench.findings.intervals import Share, measure_share
from bench.findings.scores import window_minimum
from bench.records import Challenge


class ThresholdShare(Struct, frozen=True, kw_only=True):
    """How many seeds are at or above a threshold in every epoch of their final window."""

    threshold: Fraction
    share: Share


def measure_thresholds(evidence: Evidence, challenge: Challenge) -> tuple[ThresholdShare, ...]:
    """Return the share at the target and at every threshold where it changes, lowest first.

    It changes at the seeds' own window minima alone. A run without a window is below every
    threshold. Each bound holds by itself at the challenge's confidence, not all of them together.
    """
    runs = evidence.runs
    lowest = [window_minimum(run, challenge) for run in runs]
    minima = Counter(accuracy for accuracy in lowest if accuracy is not None)
    above = minima.total()
    confidence = float(challenge.confidence)
    shares = []
    for threshold in sorted({challenge.target, *minima}):
        share = measure_share(above, len(runs), confidence=confidence)
        shares.append(ThresholdShare(threshold=threshold, share=share))
        above -= minima[threshold]
    return tuple(shares)
