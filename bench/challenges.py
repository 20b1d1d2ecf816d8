"""The challenges that Drilldown knows, as exact numbers, and what is known of datasets by name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from fractions import Fraction

from bench.records import DIGIT_NAMES, Challenge

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
"""Digest of the digits that scikit-learn carries, enlarged as bench/datasets does it."""

KNOWN_DIGESTS = {"mnist": MNIST_DIGEST, "digits": DIGITS_DIGEST}
"""Digests of the images of datasets, by the dataset's name, where they are known beforehand."""

MNIST_DIGITS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
"""Images of each digit, 0 to 9, among the 10,000 of MNIST's test set (yann.lecun.com)."""

VALIDATION_IMAGES = {MNIST_DIGEST: sum(MNIST_DIGITS), DIGITS_DIGEST: 359}
"""How many images a run on a dataset, known by its digest, was scored on."""

FOLDER, IDX = "folder", "idx"
"""Datasets of one's own: a folder of pictures by class, and four files in the format of MNIST."""

TRAINING = ("training", "train")
VALIDATION = ("validation", "val", "test")
"""What the folders of training and validation pictures may be called; the first there is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownDataset:
    """A dataset that needs no more than its name: grey images of 28 x 28 pixels."""

    title: str
    classes: tuple[str, ...] = DIGIT_NAMES


DATASETS = {
    "mnist": KnownDataset(title="MNIST"),
    "fashion-mnist": KnownDataset(
        title="FashionMNIST",
        classes=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
            "Bag", "Ankle boot",
        ),
    ),
    "kmnist": KnownDataset(
        title="KMNIST", classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    ),
    "qmnist": KnownDataset(title="QMNIST"),
    "digits": KnownDataset(title="the embedded digits"),
}  # fmt: skip
"""Datasets by name; the classes are those that torchvision names."""


def title_dataset(challenge: Challenge) -> str:
    """Return what a challenge's images are called on the page."""
    known = DATASETS.get(challenge.dataset)
    return known.title if known else challenge.name


def name_class(challenge: Challenge, label: int) -> str:
    """Return the name of a label; one that the challenge does not know is its number."""
    return challenge.classes[label] if label < len(challenge.classes) else str(label)


def name_kind(challenge: Challenge) -> str:
    """Return what one of the classes is called: a digit, or a class."""
    return "digit" if shows_digits(challenge) else "class"


def shows_digits(challenge: Challenge) -> bool:
    """Say whether the images are digits, so that one can be called that."""
    return challenge.classes == DIGIT_NAMES


def dataset_option(challenge: Challenge) -> str:
    """Return what a command needs so that it takes the challenge."""
    return "" if challenge == MNIST else f" {name_challenge(challenge)}"


def name_challenge(challenge: Challenge) -> str:
    """Return the option that names a challenge, as a shell reads it."""
    if challenge.name in CHALLENGES:
        return f"--dataset {shlex.quote(challenge.name)}"
    named = f"{challenge.file}:{challenge.name}" if challenge.file else challenge.name
    return f"--challenge {shlex.quote(named)}"
