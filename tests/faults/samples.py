"""Runs as they were trained, from the ledger of this repository, and what is made of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from bench.challenges import MNIST
from bench.evidence import select_evidence
from bench.iterations import MODELS, Iteration, read_iteration
from bench.ledger import decode_run, ledger_path, read_ledger
from bench.records import Run
from bench.verdict import Verdict, judge

ROOT = Path(__file__).parents[2]
ITERATION = read_iteration(MODELS / "iteration_4.py")
_LEDGER = ledger_path(ROOT / "reports" / "ledger", "mnist", ITERATION.name)
RECORDED = read_ledger(_LEDGER).runs
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
    "COLUMNS": "200",
}


def sample_run(seed: int) -> Run:
    """Return a recorded run of iteration 4 under another seed, with today's fingerprint."""
    recorded = RECORDED[seed % len(RECORDED)]
    return replace(
        recorded,
        seed=seed,
        fingerprint=ITERATION.fingerprint,
        conditions=RECORDED[0].conditions,
        dataset=RECORDED[0].dataset,
    )


def sample_file(folder: Path) -> Path:
    """Return the file in which sampled runs belong."""
    path = ledger_path(folder, "mnist", ITERATION.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def judge_runs(runs: Iterable[Run], iteration: Iteration = ITERATION) -> Verdict:
    """Return the verdict on runs of an iteration on MNIST."""
    return judge(select_evidence(runs, iteration), iteration, MNIST)


def agree(first: Verdict, second: Verdict) -> bool:
    """Say whether two verdicts give the same answer for the same reason."""
    return (first.answer, first.why, first.reliable) == (
        second.answer,
        second.why,
        second.reliable,
    )


def list_seeds(path: Path) -> list[int]:
    """Return the seed of every whole line of a file, repeated ones as often as they are there."""
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [decode_run(line).seed for line in lines if line and _is_whole(line)]


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"}") and line.startswith(b"{")


def start_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python that finds this repository, its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
