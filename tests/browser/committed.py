"""The committed ledger, read without the page: what the page is compared with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.challenges import MNIST
from bench.commands.options import read_selection
from bench.iterations import MODELS, list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.records import Run
from bench.verdict import Verdict, judge_all
from bench.verdict_table import write_markdown

ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "reports" / "ledger"


def read_verdicts() -> list[Verdict]:
    """Return the verdicts on the committed ledger, in the order of the page."""
    return [
        verdict
        for iteration in list_iterations(MODELS)
        for verdict in judge_all(read_selection(LEDGER, MNIST, iteration), iteration, MNIST)
    ]


def digest_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return the SHA-256 of the Markdown summary of verdicts."""
    return hashlib.sha256(write_markdown(verdicts).encode()).hexdigest()


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
