"""The committed ledger, read without the page: what the page is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evidence_digest import LEDGER

from bench.challenges import MNIST
from bench.ledger import ledger_path, read_ledger
from bench.records import Run


def read_runs(section: dict[str, Any]) -> list[Run]:
    """Return a section's runs from the ledger, by seed: of its fingerprint and conditions."""
    file = read_ledger(ledger_path(LEDGER, MNIST.name, section["iteration"]))
    runs = (
        run
        for run in file.runs
        if run.fingerprint == section["fingerprint"]
        and str(run.conditions) == section["conditions"]
    )
    return sorted(runs, key=lambda run: run.seed)


def count_confusions(runs: Sequence[Run]) -> Counter[tuple[int, int]]:
    """Return how often each digit was taken for which in the last epoch of all runs."""
    return Counter(
        (mistake.label, mistake.predicted) for run in runs for mistake in run.mistakes[-1]
    )
