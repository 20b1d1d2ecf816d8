"""The challenges that Drilldown knows, as exact numbers, and what is known of their images."""

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

MNIST_DIGEST = "25c98f992c005963b7428e1f38418b233c9b286cc403519287eb8063f0bcfe07"
"""Digest of MNIST as torchvision's checksums know it."""

DIGITS_DIGEST = "0fe79f6fd964eeeea88d62968a6d9d1bf037ca6d70c6417635cdff475d97cfe8"
"""Digest of the digits that scikit-learn carries, enlarged as bench/datasets.py does it."""

MNIST_DIGITS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
"""Images of each digit, 0 to 9, among the 10,000 of MNIST's test set (yann.lecun.com)."""

VALIDATION_IMAGES = {MNIST_DIGEST: sum(MNIST_DIGITS), DIGITS_DIGEST: 359}
"""How many images a run on a dataset, known by its digest, was scored on."""
