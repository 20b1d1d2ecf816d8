"""The last line of a ledger is cut at every byte, as a power cut would leave it."""

from __future__ import annotations

from bench.ledger import append_run, encode_run, read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import agree, judge_runs, list_seeds, sample_file, sample_run


def inject(given: Circumstances) -> Outcome:
    """Cut after each byte: the reader tells, the next append removes it, and no run is lost."""
    outcome = Outcome(fault="last line torn, at every byte of it")
    path = sample_file(given.folder)
    kept = [sample_run(seed) for seed in range(3)]
    whole, last = b"".join(map(encode_run, kept)), encode_run(sample_run(3))
    verdicts = [judge_runs(kept), judge_runs([*kept, sample_run(3)])]
    for cut in range(1, len(last), given.times(1, 29)):
        path.write_bytes(whole + last[:cut])
        found = read_ledger(path)
        complete = cut == len(last) - 1  # its newline alone is missing
        outcome.injected += 1
        outcome.compare(range(3), [run.seed for run in found.runs])
        outcome.wrong += not agree(judge_runs(found.runs), verdicts[complete])
        outcome.expect(found.torn != complete, f"a line cut after {cut} bytes was not reported")
        append_run(given.folder, sample_run(4 if complete else 3))
        after = read_ledger(path)
        outcome.compare(range(5 if complete else 4), list_seeds(path))
        outcome.expect(not after.torn, f"a tear after {cut} bytes was not removed")
    return outcome
