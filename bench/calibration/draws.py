"""Random numbers of the simulations: seeded by row, drawn in batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SEED = 994
BATCH = 1_000
"""Campaigns or samples simulated at once: memory stays below 100 MB."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


def make_generator(table: int, row: int) -> np.random.Generator:
    """Return the generator of one row, whose numbers depend on no other row."""
    return np.random.default_rng((SEED, table, row))


def split_batches(total: int, size: int = BATCH) -> Iterator[int]:
    """Yield batch sizes that add up to `total`."""
    yield from (min(size, total - start) for start in range(0, total, size))
