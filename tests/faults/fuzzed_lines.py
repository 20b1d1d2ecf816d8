"""Lines that no run wrote go the whole way: read, select, judge, page.

A child does it with little memory; a line is either refused in one line, or the page is made.
Checksums are right, so that what stands behind them is reached. Three sources of lines: mutations
of recorded lines by a generator with a fixed seed, structures by hypothesis, and atheris, which
looks for lines that take other ways through the code.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

from faults.outcome import Circumstances, Outcome
from faults.samples import ENVIRONMENT, ROOT

MOST_MEMORY_KILOBYTES = 512 << 10
HANG_SECONDS = 1_500


def inject_mutations(given: Circumstances) -> Outcome:
    """Mutate recorded lines at random."""
    return _fuzz("mutations of recorded lines", "mutate", given, lines=given.times(60_000, 6_000))


def inject_structures(given: Circumstances) -> Outcome:
    """Let hypothesis put odd values into recorded lines."""
    return _fuzz("lines by hypothesis", "hypothesis", given, lines=given.times(20_000, 2_000))


def inject_guided(given: Circumstances) -> Outcome:
    """Let atheris mutate lines, guided by the coverage of what reads them."""
    if find_spec("atheris") is None:
        return Outcome(fault="lines by atheris (not installed here)")
    return _fuzz("lines by atheris, guided by coverage", "atheris", given,
                 lines=given.times(30_000, 3_000))  # fmt: skip


def _fuzz(fault: str, source: str, given: Circumstances, *, lines: int) -> Outcome:
    outcome = Outcome(fault=fault)
    seed = str(given.generator.randrange(1, 1 << 31))
    command = [sys.executable, "-m", "faults.fuzzing", source, str(given.folder), seed, str(lines)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=ENVIRONMENT | {"PYTHONHASHSEED": "0"},
            capture_output=True, text=True, check=False, timeout=HANG_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        outcome.surprises.append("hang")
        return outcome
    told = [line for line in done.stdout.splitlines() if line.startswith("fuzzed ")]
    outcome.expect(done.returncode == 0 and bool(told), done.stderr[-1000:] or "no result")
    if told:
        fuzzed, read, kilobytes = map(int, told[-1].split()[1:])
        outcome.injected, outcome.runs = fuzzed, read
        outcome.expect(kilobytes < MOST_MEMORY_KILOBYTES, f"{kilobytes} kB of memory")
    outcome.expect(not [*given.folder.glob("escaped/*")], "a line wrote a file elsewhere")
    return outcome
