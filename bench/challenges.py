"""The challenges that Drilldown knows, as exact numbers."""

from __future__ import annotations

from fractions import Fraction

from bench.records import Challenge

MNIST = Challenge(
    name="mnist",
    dataset="mnist",
    target=Fraction("0.994"),
    epochs=15,
    parameters=10_000,
    window=3,
    reliability=Fraction("0.90"),
    confidence=Fraction("0.95"),
)
DIGITS = Challenge(
    name="digits",
    dataset="digits",
    target=Fraction("0.97"),
    epochs=15,
    parameters=10_000,
    window=3,
    reliability=Fraction("0.90"),
    confidence=Fraction("0.95"),
    demonstration=True,
)
"""1,797 embedded digits where MNIST cannot be had: a demonstration, with a target of its own."""

CHALLENGES = {challenge.name: challenge for challenge in (MNIST, DIGITS)}
