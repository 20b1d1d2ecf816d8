"""A process that appends runs is killed at random moments, again and again."""

from __future__ import annotations

import time

from bench.ledger import read_outlines
from faults.outcome import Circumstances, Outcome
from faults.samples import agree, judge_runs, list_seeds, sample_file, sample_run, start_python

APPEND = """
import sys
from pathlib import Path
from bench.ledger import append_run
from faults.samples import sample_run

seed = int(sys.argv[2])
while True:
    append_run(Path(sys.argv[1]), sample_run(seed))
    print(seed, flush=True)
    seed += 1
"""
LONGEST_WAIT_SECONDS = 0.04


def inject(given: Circumstances) -> Outcome:
    """Kill a writer 200 times; each run that it said was in the ledger must be there."""
    outcome = Outcome(fault="SIGKILL inside the append of a run")
    path = sample_file(given.folder)
    seeds: list[int] = []
    for _ in range(given.times(200, 40)):
        before = [*seeds]
        writer = start_python(APPEND, str(given.folder), str(len(seeds)))
        assert writer.stdout is not None
        said = [int(writer.stdout.readline())]
        time.sleep(given.generator.uniform(0, LONGEST_WAIT_SECONDS))
        writer.kill()
        said += map(int, writer.communicate()[0].split())
        outcome.injected += 1
        seeds = [run.seed for run in read_outlines(path).runs]
        outcome.compare(before + said, list_seeds(path))
    undisturbed = [sample_run(seed) for seed in range(len(seeds))]
    outcome.wrong += not agree(judge_runs(read_outlines(path).runs), judge_runs(undisturbed))
    return outcome
