"""Which validation images the seeds get wrong in their last epoch, and how much a digit counts."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from msgspec import Struct

from bench.challenges import MNIST_DIGEST, MNIST_DIGITS
from bench.consistency import binomial_bounds, binomial_range
from bench.errors import EvidenceError
from bench.evidence import Evidence
from bench.findings.columns import average_windows, find_windowed
from bench.findings.intervals import Interval, Share, estimate_proportion, measure_share
from bench.findings.ratios import Ratios
from bench.records import Challenge, Mistake
from bench.run_table import NONE, Ints, RunTable, tabulate

HALF = 0.5

CHUNK = 5_000_000
"""Mistakes that are counted at once, and what is left of the last run's: some hundred megabytes."""

Answers = Counter[Mistake]
"""How many seeds gave each wrong answer."""


class HardImage(Struct, frozen=True, kw_only=True):
    """A validation image that more than half of the seeds get wrong.

    `predicted` is what it is taken for most often, the smallest digit among equals.
    """

    index: int
    label: int
    wrong: int
    predicted: int


class DigitDifficulty(Struct, frozen=True, kw_only=True):
    """How hard one digit is; rates are `None` where the number of its images is not known.

    `errors` adds up the wrong answers of all seeds. `error_rate` is the mean over seeds, with
    Student's interval; `hard` counts the images that most seeds get wrong and `hard_share` their
    share of the digit's images, with the exact bounds for fresh images of that digit.
    """

    label: int
    images: int | None
    errors: int
    error_rate: Interval | None
    hard: int
    hard_share: Share | None


class Confusion(Struct, frozen=True, kw_only=True):
    """How many wrong answers of all seeds took one digit for another."""

    label: int
    predicted: int
    count: int


class Difficulty(Struct, frozen=True, kw_only=True):
    """The last epoch's mistakes of the seeds that finished, hardest image and confusion first.

    Of each image the seeds say, by exact bounds at the challenge's confidence, whether a new seed
    gets it wrong more often than not: surely so for `surely_hard` images, and not excluded for
    `possibly_hard`. `images` and `possibly_hard` are `None` without such a seed.
    """

    seeds: int
    images: int | None
    hard: tuple[HardImage, ...]
    surely_hard: int
    possibly_hard: int | None
    digits: tuple[DigitDifficulty, ...]
    confusions: tuple[Confusion, ...]


class SamplingError(Struct, frozen=True, kw_only=True):
    """What another test set of as many images would show of a network of this accuracy.

    `standard_error` is the binomial one, as a proportion. In the share of test sets that the
    challenge's confidence names, `lowest` to `highest` images are right.
    """

    images: int
    accuracy: Fraction
    standard_error: float
    lowest: int
    highest: int


def measure_difficulty(evidence: Evidence, challenge: Challenge) -> Difficulty:
    """Return the hard images and digits; runs that diverged have no last epoch to look at.

    Raises:
        EvidenceError: the mistakes are not of one set of images.
    """
    runs = tabulate(evidence.runs)
    places = np.flatnonzero(runs.finished & (runs.lengths > 0) & (runs.wrong != NONE))
    finished = runs.take(places)
    confidence = float(challenge.confidence)
    totals = finished.epochs("validation_total")[finished.starts + finished.lengths - 1]
    images = int(totals.max()) if len(totals) else None
    answers, errors = _count_answers(finished)
    _check_labels(answers, evidence)
    wrong = _count_wrong(answers)
    surely, possibly = _count_hard(wrong, images, len(finished), confidence=confidence)
    hard = _list_hard_images(answers, wrong, len(finished))
    return Difficulty(
        seeds=len(finished),
        images=images,
        hard=hard,
        surely_hard=surely,
        possibly_hard=possibly,
        digits=_measure_digits(
            errors, len(finished), hard, count_digits(evidence), confidence=confidence
        ),
        confusions=_list_confusions(answers),
    )


def _count_answers(runs: RunTable) -> tuple[Answers, dict[int, Ints]]:
    """Return how many runs gave each wrong answer, and of each digit the errors of every run."""
    answers: Answers = Counter()
    errors: dict[int, Ints] = {}
    cuts = np.flatnonzero(np.diff(np.cumsum(runs.wrong) // CHUNK)) + 1
    for places in np.split(np.arange(len(runs)), cuts):
        some = runs.take(places)
        index, label, predicted = (some.mistakes(name) for name in ("index", "label", "predicted"))
        keys = (index.astype(np.int64) << 32) | (label.astype(np.int64) << 16) | predicted
        distinct, counts = np.unique(keys, return_counts=True)
        for key, number in zip(distinct.tolist(), counts.tolist(), strict=True):
            answers[Mistake(key >> 32, key >> 16 & 0xFFFF, key & 0xFFFF)] += number
        run = np.repeat(np.arange(len(some)), some.wrong)
        for digit in np.unique(label).tolist():
            errors.setdefault(digit, np.zeros(len(runs), dtype=np.int64))
            errors[digit][places] += np.bincount(run[label == digit], minlength=len(some))
    return answers, errors


def count_digits(evidence: Evidence) -> Mapping[int, int]:
    """Return how many validation images each digit has, nothing where that is not known."""
    return dict(enumerate(MNIST_DIGITS)) if evidence.dataset == MNIST_DIGEST else {}


def estimate_sampling_error(evidence: Evidence, challenge: Challenge) -> SamplingError | None:
    """Return the binomial error at the mean accuracy of the window, `None` without a window."""
    runs = tabulate(evidence.runs)
    windows = average_windows(runs, challenge)
    if not len(windows):
        return None
    accuracy = windows.mean()
    images = runs[int(find_windowed(runs, challenge)[0])].epochs[-1].validation_total
    lowest, highest = binomial_range(
        images, float(accuracy), confidence=float(challenge.confidence)
    )
    return SamplingError(
        images=images,
        accuracy=accuracy,
        standard_error=math.sqrt(accuracy * (1 - accuracy) / images),
        lowest=lowest,
        highest=highest,
    )


def _check_labels(answers: Answers, evidence: Evidence) -> None:
    """Make sure that an image is the same digit in every run, and no digit has too many images."""
    labels: dict[int, int] = {}
    for mistake in answers:
        if labels.setdefault(mistake.index, mistake.label) != mistake.label:
            raise EvidenceError(
                f"{evidence.iteration}: image {mistake.index} is a {labels[mistake.index]} in one "
                f"run and a {mistake.label} in another; restore the ledger from version control"
            )
    images, counted = count_digits(evidence), Counter(labels.values())
    for label, count in counted.items():
        if images and count > images.get(label, 0):
            raise EvidenceError(
                f"{evidence.iteration}: mistakes on {count} images of a {label}, where the dataset "
                f"has {images.get(label, 0)}; restore the ledger from version control"
            )


def _count_wrong(answers: Answers) -> Counter[int]:
    """Return how many seeds got each image wrong."""
    wrong: Counter[int] = Counter()
    for mistake, count in answers.items():
        wrong[mistake.index] += count
    return wrong


def _list_hard_images(answers: Answers, wrong: Counter[int], seeds: int) -> tuple[HardImage, ...]:
    predictions: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for mistake, count in answers.items():
        if 2 * wrong[mistake.index] > seeds:
            predictions[mistake.index, mistake.label][mistake.predicted] += count
    hard = [
        HardImage(
            index=index,
            label=label,
            wrong=wrong[index],
            predicted=min(taken, key=lambda digit: (-taken[digit], digit)),
        )
        for (index, label), taken in predictions.items()
    ]
    return tuple(sorted(hard, key=lambda image: (-image.wrong, image.index)))


def _count_hard(
    wrong: Counter[int], images: int | None, seeds: int, *, confidence: float
) -> tuple[int, int | None]:
    """Count the images whose exact bounds lie above one half, and those that reach above it."""
    if images is None:
        return 0, None
    sure, possible = (
        _least_above_half(seeds, bound=bound, confidence=confidence) for bound in (0, 1)
    )
    never_wrong = images - len(wrong)
    return (
        sum(count >= sure for count in wrong.values()),
        sum(count >= possible for count in wrong.values()) + (never_wrong if possible == 0 else 0),
    )


def _least_above_half(seeds: int, *, bound: int, confidence: float) -> int:
    """Return the fewest seeds that must be wrong for the lower (0) or upper (1) bound."""
    return bisect_left(
        range(seeds + 1),
        True,
        key=lambda count: binomial_bounds(count, seeds, confidence=confidence)[bound] > HALF,
    )


def _list_confusions(answers: Answers) -> tuple[Confusion, ...]:
    pairs: Counter[tuple[int, int]] = Counter()
    for mistake, count in answers.items():
        pairs[mistake.label, mistake.predicted] += count
    confusions = [
        Confusion(label=label, predicted=predicted, count=count)
        for (label, predicted), count in pairs.items()
    ]
    return tuple(sorted(confusions, key=lambda c: (-c.count, c.label, c.predicted)))


def _measure_digits(
    errors: Mapping[int, Ints],
    seeds: int,
    hard: Sequence[HardImage],
    totals: Mapping[int, int],
    *,
    confidence: float,
) -> tuple[DigitDifficulty, ...]:
    hard_of = Counter(image.label for image in hard)
    none = np.zeros(seeds, dtype=np.int64)
    return tuple(
        _measure_digit(
            label, errors.get(label, none), hard_of[label], totals.get(label), confidence=confidence
        )
        for label in sorted(errors.keys() | totals.keys())
        if seeds
    )


def _measure_digit(
    label: int, errors: Ints, hard: int, images: int | None, *, confidence: float
) -> DigitDifficulty:
    rates = Ratios(parts=errors, wholes=np.full_like(errors, images)) if images else None
    return DigitDifficulty(
        label=label,
        images=images,
        errors=int(errors.sum()),
        error_rate=estimate_proportion(rates, confidence=confidence),
        hard=hard,
        hard_share=measure_share(hard, images, confidence=confidence) if images else None,
    )
