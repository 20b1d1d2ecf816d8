"""Every bit of a line, and of the ends of lines, is flipped in turn."""

from __future__ import annotations

from bench.errors import LedgerError
from bench.ledger import encode_run, read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import sample_file, sample_run


def inject(given: Circumstances) -> Outcome:
    """Flip each bit of the second of three lines: detected, or the runs are equal all the same."""
    outcome = Outcome(fault="one bit flipped, each of a line in turn")
    runs = tuple(sample_run(seed) for seed in range(3))
    path = sample_file(given.folder)
    lines = [encode_run(run) for run in runs]
    whole = b"".join(lines)
    first = len(lines[0])
    places = [*range(first - 1, first + len(lines[1])), len(whole) - 1]
    for place in places[:: given.times(1, 20)]:
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            outcome.injected += 1
            outcome.runs += len(runs)
            try:
                found = read_ledger(path)
            except LedgerError:
                continue
            if not found.torn:  # a torn line is reported
                outcome.lost += len(runs) - len(found.runs)
                outcome.wrong += found.runs != runs
    return outcome
