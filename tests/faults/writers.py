"""Several processes append to one ledger at the same time."""

from __future__ import annotations

from bench.ledger import read_outlines
from faults.outcome import Circumstances, Outcome
from faults.samples import agree, judge_runs, list_seeds, sample_file, sample_run, start_python

APPEND = """
import sys
from pathlib import Path
from bench.ledger import append_run
from faults.samples import sample_run

first, last, step = map(int, sys.argv[2:])
for seed in range(first, last, step):
    append_run(Path(sys.argv[1]), sample_run(seed))
"""


def inject_two(given: Circumstances) -> Outcome:
    """Two writers, whose seeds lie between each other's."""
    return _write_together(given, 2)


def inject_four(given: Circumstances) -> Outcome:
    """Four writers."""
    return _write_together(given, 4)


def _write_together(given: Circumstances, writers: int) -> Outcome:
    runs = given.times(2_000, 200)
    outcome = Outcome(fault=f"{writers} writers at once, {runs:,} runs")
    processes = [
        start_python(APPEND, str(given.folder), str(first), str(runs), str(writers))
        for first in range(writers)
    ]
    for process in processes:
        complaint = process.communicate()[1]
        outcome.injected += 1
        outcome.expect(process.returncode == 0, complaint[-200:])
    path = sample_file(given.folder)
    outcome.compare(range(runs), list_seeds(path))
    expected = judge_runs(map(sample_run, range(runs)))
    outcome.wrong += not agree(judge_runs(read_outlines(path).runs), expected)
    return outcome
