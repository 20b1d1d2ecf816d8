"""Ledgers of pages that no training gave: none, one, all diverged, very many, close calls."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from builders import make_diverged, make_iteration, make_run

from bench.iterations import Iteration
from bench.records import Run

Planted = list[tuple[Iteration, Sequence[Run]]]
EPOCHS = 15


def plant_none() -> Planted:
    """Return an iteration without runs."""
    return [(make_iteration(), ())]


def plant_one() -> Planted:
    """Return one run."""
    return [(make_iteration(), (make_run(),))]


def plant_diverged() -> Planted:
    """Return runs of which each diverged, before the first epoch or after a few."""
    return [(make_iteration(), [make_diverged(seed=seed, epochs=seed) for seed in range(4)])]


def plant_many(seeds: int = 1_000) -> Planted:
    """Return two iterations of very many runs around the target."""
    planted: Planted = []
    for number in (3, 4):
        name = f"iteration_{number}"
        random = Random(number)
        runs = [
            make_run(seed=seed, iteration=name, validation_correct=_climb(random), mistakes=())
            for seed in range(seeds)
        ]
        planted.append((make_iteration(name=name), runs))
    return planted


def _climb(random: Random) -> list[int]:
    early = [9_700 + 15 * epoch + random.randint(-9, 9) for epoch in range(EPOCHS - 3)]
    return early + [9_940 + random.randint(-3, 8) for _ in range(3)]


def plant_close(total: int, below: int, seeds: int = 24) -> Planted:
    """Return runs of counts below a target of `below` images, all within a few of it."""
    random = Random(total)
    runs = [
        make_run(
            seed=seed,
            validation_correct=[below - 1 - int(random.expovariate(0.2)) for _ in range(EPOCHS)],
            training_correct=[random.randint(59_000, 59_600) for _ in range(EPOCHS)],
            total=total,
            mistakes=(),
        )
        for seed in range(seeds)
    ]
    return [(make_iteration(claim=None), runs)]
