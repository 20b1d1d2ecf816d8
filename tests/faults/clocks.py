"""The clock is set back while runs are trained and recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from bench.ledger import encode_run, read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import (
    agree,
    judge_runs,
    list_seeds,
    sample_file,
    sample_run,
    start_python,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
APPEND_AS_TIME_GOES_BACK = """
import sys, time
from pathlib import Path

now = [2e9]
def back():
    now[0] -= 3600
    return now[0]
time.time = back  # every look at the clock shows an hour less

from bench.ledger import append_run, decode_run
for line in sys.stdin.buffer.read().splitlines():
    append_run(Path(sys.argv[1]), decode_run(line))
"""


def inject(given: Circumstances) -> Outcome:
    """Record runs whose starts go back in time: order and verdict are those of the seeds."""
    outcome = Outcome(fault="clock set back")
    expected = judge_runs(map(sample_run, range(20)))
    for attempt in range(given.times(50, 10)):
        folder = given.folder / str(attempt)
        hours = [given.generator.randrange(-(10**5), 10**5) for _ in range(20)]
        runs = [
            replace(sample_run(seed), started=(START - timedelta(hours=back)).isoformat())
            for seed, back in enumerate(hours)
        ]
        writer = start_python(APPEND_AS_TIME_GOES_BACK, str(folder))
        complaint = writer.communicate(b"".join(map(encode_run, runs)).decode())[1]
        outcome.injected += 1
        outcome.expect(writer.returncode == 0, complaint[-200:])
        found = read_ledger(sample_file(folder)).runs
        outcome.compare(range(20), list_seeds(sample_file(folder)))
        outcome.wrong += not agree(judge_runs(found), expected)
        outcome.expect(found == tuple(runs), "a clock moved the order of the runs")
    return outcome
