"""Whole numbers that a script passes, in the ranges of the commands' options."""

from __future__ import annotations

import operator
from collections.abc import Iterable

from bench.errors import SettingsError
from bench.seeds import parse_seeds

MOST_WORKERS, MOST_EPOCHS, MOST_BLOCK = 1024, 1000, 4096


def check_count(name: str, value: int | None, most: int) -> int | None:
    """Return a number from 1 to `most` as Python's own, whatever library it is of.

    Raises:
        SettingsError: it is another, or no whole number.
    """
    if value is None:
        return None
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if not 1 <= count <= most:
        raise SettingsError(f"{name}={value!r}: not a whole number from 1 to {most:,}; pass one")
    return count


def list_seeds(seeds: int | str | Iterable[int]) -> tuple[int, ...]:
    """Return the seeds that are meant by a number (so many), a text, or numbers.

    Raises:
        SettingsError: they are none of these.
    """
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    try:
        return parse_seeds(str(operator.index(seeds)))  # type: ignore[arg-type]
    except TypeError:
        pass
    try:
        listed = sorted({operator.index(seed) for seed in seeds})  # type: ignore[union-attr]
    except TypeError:
        raise SettingsError(
            f"seeds={seeds!r}: not seeds; pass 10 (the first ten), '0-58', or a list of whole "
            "numbers"
        ) from None
    if not listed:
        raise SettingsError("seeds: none; name one at least")
    return parse_seeds(",".join(f"{seed}-{seed}" for seed in listed))
