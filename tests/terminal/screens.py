"""What the tests of the terminal share: golden files, iterations, and runs that learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from planted_runs import make_epoch, make_run

from bench.iterations import MODELS, Iteration, read_iteration
from bench.records import Run

GOLDEN = Path(__file__).parent.parent / "golden" / "terminal"
RISING = (9_600, 9_750, 9_800, 9_850, 9_900, 9_920, 9_930, 9_935, 9_939, 9_940, 9_941, 9_942)
"""Validation counts of twelve epochs; the tenth is the first at 99.4 %."""
NAMES = ("iteration_1", "iteration_2", "iteration_3", "iteration_4")

Compare = Callable[[str, str], None]


@cache
def find_iteration(name: str) -> Iteration:
    """Return an iteration of ours, read once."""
    return read_iteration(MODELS / f"{name}.py")


def make_rising(iteration: str, seed: int, final: tuple[int, ...]) -> Run:
    """Return a run of fifteen epochs that learns, and ends as said."""
    epochs = tuple(map(make_epoch, (*RISING, *final)))
    return make_run(seed=seed, iteration=find_iteration(iteration), epochs=epochs)
