"""Seeds as a user writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.errors import SettingsError

_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")
MOST_SEEDS = 1_000_000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of `10` (the first ten), `0-58`, or `0-4,7-7,9-12`, without repeats.

    Raises:
        SettingsError: the text is none of these.
    """
    if re.fullmatch(r"\d{1,9}", text):
        ranges = [(0, int(text) - 1)]
    else:
        matches = [_RANGE.fullmatch(part.strip()) for part in text.split(",")]
        ranges = [(int(m[1]), int(m[2])) for m in matches if m]
        if len(ranges) < len(matches):
            raise SettingsError(_explain(text))
    if any(last < first for first, last in ranges):
        raise SettingsError(_explain(text))
    if sum(last - first + 1 for first, last in ranges) > MOST_SEEDS:
        raise SettingsError(f"--seeds {text}: more than {MOST_SEEDS:,} seeds; name fewer")
    return tuple(dict.fromkeys(seed for a, b in ranges for seed in range(a, b + 1)))


def name_seeds(seeds: Sequence[int]) -> str:
    """Return ascending seeds in words: `seed 3`, `seeds 0-4, 7`."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], seed]
        else:
            ranges.append([seed])
    listed = ", ".join("-".join(map(str, each)) for each in ranges)
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed}"


def _explain(text: str) -> str:
    return f"--seeds {text}: not seeds; write 10 (the first ten), 0-58, or 0-4,7-7"
