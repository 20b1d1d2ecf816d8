"""The table of faults, as text for a terminal and as docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.outcome import Outcome

HEAD = ("fault", "times injected", "runs before", "runs lost", "runs counted twice",
        "wrong verdicts")  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """How the table came about."""

    command: str
    seed: int
    machine: str
    minutes: float


def list_cells(outcome: Outcome) -> tuple[str, ...]:
    """Return an outcome in the order of the head."""
    counts = (outcome.injected, outcome.runs, outcome.lost, outcome.twice, outcome.wrong)
    return outcome.fault, *(f"{count:,}" for count in counts)


def write_row(outcome: Outcome, seconds: float) -> str:
    """Return an outcome as lines of a terminal, its surprises below it."""
    fault, *counts = list_cells(outcome)
    named = ", ".join(f"{head}: {cell}" for head, cell in zip(HEAD[1:], counts, strict=True))
    surprises = [f"    surprise: {surprise}" for surprise in outcome.surprises]
    return "\n".join([f"{fault}: {named} ({seconds:.0f} s)", *surprises])


def write_page(outcomes: Sequence[Outcome], session: Session) -> str:
    """Return docs/reliability.md."""
    rows = [HEAD, ("---", *("---:",) * (len(HEAD) - 1)), *map(list_cells, outcomes)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    surprises = [f"* {o.fault}: {surprise}" for o in outcomes for surprise in o.surprises]
    return f"""# Reliability

Evidence that took hours must survive whatever happens. Every fault below was injected on purpose,
on real runs, files, processes and signals; `tests/faults/` has one file a fault. *Runs before* adds
up the runs that were there each time, or that were read of fuzzed lines.

{table}

Beyond these counts, tracebacks, hangs, memory above 512 MiB for fuzzed lines, errors of more than
one line and differences in any bit of a repeated run were looked for: {len(surprises)} found.
{"".join(f"{chr(10)}{line}" for line in surprises)}
Made by `{session.command}` in {session.minutes:.0f} minutes, from random seed {session.seed}, on
{session.machine}. CI runs it shortened; `nox -s faults -- --seed N` takes another seed.
"""


def read_counts(page: str) -> dict[str, tuple[int, ...]]:
    """Return the counts of a page's table by fault, in the order of the head."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ")
    ]
    return {
        fault: tuple(int(count.replace(",", "")) for count in counts) for fault, *counts in rows[2:]
    }


def write_file(path: Path, page: str) -> None:
    """Write the page."""
    path.write_text(page, encoding="utf-8")
