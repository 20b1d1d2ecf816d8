"""Each epoch over all seeds, against numpy's medians and ranks counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from builders import make_diverged, make_evidence, make_run
from msgspec import structs

from bench.findings import EpochSummary, find_medians, summarise_epochs
from bench.records import Run


def epochs_of(*runs: Run) -> tuple[EpochSummary, ...]:
    """Return the summary of every epoch, whose medians a terminal asks for alone."""
    epochs = summarise_epochs(make_evidence(runs))
    assert find_medians(make_evidence(runs)) == tuple(e.validation_median for e in epochs)
    return epochs


def runs_of(counts: Sequence[int]) -> list[Run]:
    """Return runs of one epoch with so many of 10,000 right."""
    return [make_run(seed=seed, validation_correct=[n]) for seed, n in enumerate(counts)]


def test_an_epoch_has_the_median_of_its_seeds():
    """Of three seeds the middle one, epoch by epoch, as numpy.median has it."""
    validation = [(9_000, 9_930, 9_941), (9_100, 9_950, 9_940), (9_300, 9_940, 9_944)]
    training = [(54_000, 59_000, 59_400), (55_000, 59_100, 59_300), (56_000, 59_400, 59_200)]
    runs = [
        make_run(seed=seed, validation_correct=v, training_correct=t)
        for seed, (v, t) in enumerate(zip(validation, training, strict=True))
    ]
    epochs = epochs_of(*runs)
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert [e.validation_median * 10_000 for e in epochs] == list(np.median(validation, axis=0))
    assert [e.training_median * 60_000 for e in epochs] == list(np.median(training, axis=0))


def test_the_median_of_an_even_number_is_exactly_between_the_two_in_the_middle():
    """9,940 and 9,941 of 10,000 are 99.405 %, which no count of 10,000 images is."""
    (epoch,) = epochs_of(*runs_of([9_990, 9_940, 9_000, 9_941]))
    assert epoch.validation_median == Fraction("0.99405")


def test_losses_have_medians_of_their_own():
    """The seed with the middle loss need not have the middle accuracy."""
    runs = [
        structs.replace(run, epochs=(structs.replace(run.epochs[0], **losses),))
        for run, losses in zip(
            runs_of([9_950, 9_940, 9_930]),
            (
                {"validation_loss": 0.04, "training_loss": 0.5},
                {"validation_loss": 0.02, "training_loss": 0.25},
                {"validation_loss": 0.03, "training_loss": 0.125},
            ),
            strict=True,
        )
    ]
    (epoch,) = epochs_of(*runs)
    assert (epoch.validation_loss_median, epoch.training_loss_median) == (0.03, 0.25)


@pytest.mark.parametrize(
    ("seeds", "outside"), [(1, 0), (2, 0), (19, 0), (20, 1), (39, 1), (40, 2), (100, 5)]
)
def test_at_most_one_seed_in_twenty_lies_beyond_either_line(seeds: int, outside: int):
    """By hand: of 20 seeds the lowest and the highest are outside, of 19 none may be."""
    counts = [9_900 + n for n in range(seeds)]
    (epoch,) = epochs_of(*runs_of([*counts[::2], *counts[1::2]]))
    assert epoch.validation_lower * 10_000 == counts[outside]
    assert epoch.validation_upper * 10_000 == counts[-1 - outside]


def test_a_diverged_seed_counts_in_the_epochs_that_it_finished():
    """It is among the first two epochs and in no later one."""
    finished = make_run(seed=0, validation_correct=[9_000, 9_100, 9_200])
    epochs = epochs_of(finished, make_diverged(seed=1, epochs=2), make_diverged(seed=2))
    assert [e.runs for e in epochs] == [2, 2, 1]
    assert epochs[1].validation_upper == Fraction(9_850, 10_000)  # STEADY's second epoch
    assert epochs[2].validation_median == Fraction(9_200, 10_000)


def test_seeds_of_unlike_totals_are_compared_by_their_shares():
    """1 of 2 is above 1 of 3 and below 3 of 4, and the median of 1/3 and 1/2 is 5/12."""
    thirds, half, quarters = (
        make_run(seed=seed, validation_correct=[right], total=total, mistakes=[])
        for seed, (right, total) in enumerate([(1, 3), (1, 2), (3, 4)])
    )
    (three,) = epochs_of(thirds, half, quarters)
    assert (three.validation_lower, three.validation_median, three.validation_upper) == (
        Fraction(1, 3),
        Fraction(1, 2),
        Fraction(3, 4),
    )
    (two,) = epochs_of(thirds, half)
    assert two.validation_median == Fraction(5, 12)


@pytest.mark.parametrize("runs", [(), (make_diverged(seed=0),)], ids=["none", "diverged"])
def test_without_a_finished_epoch_there_is_nothing_to_summarise(runs: tuple[Run, ...]):
    """No runs, or only one that diverged at once."""
    assert epochs_of(*runs) == ()
