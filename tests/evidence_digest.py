"""What the pictures in docs rest on: the verdicts on the committed ledger, as one digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.challenges import MNIST
from bench.commands.options import read_selection
from bench.iterations import list_iterations
from bench.verdict import Verdict, judge_all
from bench.verdict_table import write_markdown

ROOT = Path(__file__).parent.parent
LEDGER = ROOT / "reports" / "ledger"
PICTURES = ROOT / "docs"


def read_verdicts() -> list[Verdict]:
    """Return the verdicts on the committed ledger, in the order of the page."""
    return [
        verdict
        for iteration in list_iterations()
        for verdict in judge_all(read_selection(LEDGER, MNIST, iteration), iteration, MNIST)
    ]


def digest_evidence() -> str:
    """Return the SHA-256 of the Markdown summary of those verdicts."""
    return hashlib.sha256(write_markdown(read_verdicts()).encode()).hexdigest()
