"""Laws of many runs read at once: as each run by itself, and whatever the order of its lines."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from pathlib import Path
from random import Random
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from builders import make_diverged, make_epoch, make_evidence, make_iteration, make_run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.challenges import MNIST
from bench.consistency import decide
from bench.evidence import count_steady, count_steady_epochs, run_holds, select_evidence
from bench.findings import describe, summarise
from bench.findings.columns import average_windows, find_best, first_epochs, order_runs
from bench.findings.ratios import Ratios
from bench.findings.scores import (
    best_accuracies,
    first_epoch_at,
    has_window,
    mean_window_accuracy,
    window_minimum,
)
from bench.ledger import encode_run, ledger_path, read_ledger, read_outlines, read_scores
from bench.limits import MOST_IMAGES
from bench.records import Run, Status
from bench.run_table import tabulate
from bench.verdict import judge_all

counts = st.lists(st.integers(9_930, 9_950), max_size=6)
outcomes = st.lists(st.tuples(counts, st.booleans(), st.sampled_from([10_000, 9_999, 20_000])))
"""Of each seed the counts of its epochs, whether it diverged, and how many images there were."""


def list_ratios(ratios: Ratios) -> list[Fraction]:
    """Return each as a fraction."""
    pairs = zip(ratios.parts.tolist(), ratios.wholes.tolist(), strict=True)
    return [Fraction(part, whole) for part, whole in pairs]


def build(outcomes: list[tuple[list[int], bool, int]]) -> list[Run]:
    """Return a run for each outcome, with a few mistakes of each epoch of one that finished."""
    runs = []
    for seed, (epochs, diverged, total) in enumerate(outcomes):
        run = make_run(seed=seed, validation_correct=epochs, total=total)
        few = tuple(mistakes[:5] for mistakes in run.mistakes[: len(epochs)])
        status = Status.DIVERGED if diverged else Status.FINISHED
        runs.append(replace(run, mistakes=() if diverged else few, status=status))
    return runs


@given(outcomes=outcomes, images=st.integers(9_935, 9_945))
def test_columns_say_of_each_run_what_is_said_of_one(
    outcomes: list[tuple[list[int], bool, int]], images: int
) -> None:
    """Steady epochs, first, best, mean and lowest epoch, with images of unlike numbers."""
    runs, target = build(outcomes), Fraction(images, 10_000)
    table = tabulate(runs)
    scored = [run for run in runs if has_window(run, MNIST)]

    assert count_steady(table, target).tolist() == [count_steady_epochs(r, target) for r in runs]
    first = [first_epoch_at(run, target) or 0 for run in runs]
    assert first_epochs(table, target).tolist() == first
    assert list_ratios(find_best(table, "validation")) == list(best_accuracies(runs))
    windows = average_windows(table, MNIST)
    means = [mean_window_accuracy(run, MNIST) for run in scored]
    assert windows.floats().tolist() == [float(each) for each in means]
    if means:
        assert windows.mean() == mean(means)
    worst = sorted(runs, key=lambda run: window_minimum(run, MNIST) or Fraction(-1))
    assert [runs[place] for place in order_runs(table, MNIST).tolist()] == worst


@settings(max_examples=25)  # each example writes a file and reads it three times
@given(outcomes=outcomes, data=st.data())
def test_a_judgement_is_the_same_for_any_order_of_lines(
    outcomes: list[tuple[list[int], bool, int]], data: st.DataObject
) -> None:
    """From a table of lines in any order, some of them twice, as from the runs by their seeds."""
    runs = build(outcomes)
    lines = data.draw(st.permutations(runs))
    repeated = lines + lines[: len(lines) // 3]
    iteration = make_iteration()
    with TemporaryDirectory() as folder:
        path = ledger_path(Path(folder), MNIST.name, iteration.name)
        path.parent.mkdir()
        path.write_bytes(b"".join(map(encode_run, repeated)))
        read = [read_outlines(path).runs, read_scores(path).runs, read_ledger(path).runs]

    holds = [run_holds(run, MNIST) for run in runs]
    plain = decide(holds, reliability=MNIST.reliability, confidence=MNIST.confidence)
    selections = [select_evidence(each, iteration) for each in (*read, runs)]
    for selection in selections:
        (verdict,) = judge_all(selection, iteration, MNIST)
        assert verdict.reliable == (plain if runs else None)
    if runs:
        outlined, scored, whole, expected = (selection.evidence[0] for selection in selections)
        assert summarise(outlined, MNIST) == summarise(expected, MNIST)
        assert describe(scored, MNIST) == describe(whole, MNIST) == describe(expected, MNIST)


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_table_is_a_sequence_of_its_runs(place: int) -> None:
    """Every field but older mistakes, cost by layer being kept where it was read."""
    runs = [make_run(seed=3), make_diverged(seed=9, epochs=2), make_diverged(seed=1)]
    table = tabulate(runs)

    assert len(table) == 3
    run, expected = table[place], runs[place]
    assert run.mistakes == expected.mistakes[-1:]
    for name in set(Run.__struct_fields__) - {"mistakes"}:
        assert getattr(run, name) == getattr(expected, name)
    assert [each.seed for each in table[::-1]] == [1, 9, 3]
    assert [each.epochs for each in table.take(np.array([2, 0]))] == [(), runs[0].epochs]


def test_common_multiples_beyond_machine_integers_stay_exact() -> None:
    """Three primes of ten million: their product is no 64-bit integer once squared."""
    totals = (9_999_991, 9_999_973, 9_999_971)
    runs = [
        make_run(seed=seed, validation_correct=[total - 7] * 3, total=total, mistakes=())
        for seed, total in enumerate(totals)
    ]

    windows = average_windows(tabulate(runs), MNIST)

    assert math.prod(totals) > 1 << 63
    assert windows.mean() == mean(Fraction(total - 7, total) for total in totals)
    assert windows.lowest() == Fraction(totals[-1] - 7, totals[-1])


PRIMES = [
    total
    for total in range(9_999_000, MOST_IMAGES)
    if all(total % divisor for divisor in range(2, math.isqrt(MOST_IMAGES) + 1))
][:60]


def draw_unlike(seeds: int) -> list[Run]:
    """Return runs whose epochs differ by hardly an image, each of another number of images."""
    random = Random(5)
    runs = []
    for seed in range(seeds):
        totals = random.choices([*PRIMES, MOST_IMAGES], k=15)
        epochs = tuple(
            replace(
                make_epoch(validation_correct=total // 2 + random.randint(0, 1), total=total),
                training_correct=total // 3,
                training_total=total,
            )
            for total in totals
        )
        runs.append(replace(make_run(seed=seed, mistakes=()), epochs=epochs))
    return runs


def test_epochs_of_unlike_numbers_of_images_are_ordered_exactly() -> None:
    """The best and the worst are those of exact fractions, where these differ in digit 14."""
    runs = draw_unlike(40)
    table = tabulate(runs)

    assert list_ratios(find_best(table, "validation")) == list(best_accuracies(runs))
    worst = sorted(runs, key=lambda run: window_minimum(run, MNIST) or Fraction(-1))
    assert [runs[place] for place in order_runs(table, MNIST).tolist()] == worst
    windows = list_ratios(average_windows(table, MNIST))
    assert windows == [mean_window_accuracy(run, MNIST) for run in runs]


def test_unlike_numbers_of_images_take_little_memory() -> None:
    """The product of sixty primes has 175 bytes: not one for every epoch of all runs at a time."""
    evidence = make_evidence(tabulate(draw_unlike(1_000)))
    summarise(evidence, MNIST)

    tracemalloc.start()
    summarise(evidence, MNIST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000 * 1_000
