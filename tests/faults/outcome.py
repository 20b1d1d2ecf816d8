"""One row of the table: what was done to the ledger, and what became of its runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a fault is injected with: its own generator, an empty folder, and how often."""

    generator: random.Random
    folder: Path
    short: bool

    def times(self, full: int, short: int) -> int:
        """Return how often to do something, in a full or in a shortened session."""
        return short if self.short else full


@dataclass(kw_only=True, slots=True)
class Outcome:
    """Counts of one fault; `surprises` tell of tracebacks, hangs and whatever else was not due.

    `runs` are those that were there before a fault, added up over all of them.
    """

    fault: str
    injected: int = 0
    runs: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    surprises: list[str] = field(default_factory=list)

    def compare(self, before: Iterable[int], after: Iterable[int]) -> None:
        """Count the seeds that were there before and are not after, or are there twice."""
        expected, found = set(before), Counter(after)
        self.runs += len(expected)
        self.lost += len(expected - found.keys())
        self.twice += sum(count - 1 for count in found.values())

    def expect(self, true: bool, otherwise: str) -> None:
        """Note a surprise unless something is true."""
        if not true:
            self.surprises.append(otherwise)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, counted twice, judged wrongly or surprising."""
        return not (self.lost or self.twice or self.wrong or self.surprises)
