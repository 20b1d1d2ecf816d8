"""docs/reliability.md is what `nox -s faults` found: nothing lost, nothing twice, nothing wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.__main__ import main
from faults.outcome import Outcome
from faults.page import Session, read_counts, write_page

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "reliability.md"
SESSION = Session(command="nox -s faults", seed=7, machine="a machine", minutes=3)
AT_LEAST = {
    "SIGKILL of workers and parent of a training": 200,
    "SIGKILL inside the append of a run": 200,
    "full disk (a tmpfs of 256 KiB)": 3,
    "2 writers at once, 2,000 runs": 2,
    "4 writers at once, 2,000 runs": 4,
    "read-only ledger": 1,
    "clock set back": 1,
    "one bit flipped, each of a line in turn": 24_000,
    "malformed command line": 30,
    "malformed data folder": 20,
    "model file that ends, loops or raises when it is run": 8,
    "model file that prints, seeds, writes or changes folders when run": 5,
}
"""What a full session injects of each fault at least."""


def make_outcome(**counts: int) -> Outcome:
    return Outcome(fault="a fault", injected=1_234, runs=5_678, **counts)


def test_nothing_was_lost_or_counted_twice_or_judged_wrongly() -> None:
    """Of every fault in the committed table, the last three counts are 0."""
    counts = read_counts(DOCUMENT.read_text(encoding="utf-8"))

    assert counts
    for fault, (_, _, lost, twice, wrong) in counts.items():
        assert (lost, twice, wrong) == (0, 0, 0), fault


def test_faults_were_injected_as_often_as_asked() -> None:
    """The committed table is of a full session: as many kills, flips and lines as is asked."""
    counts = read_counts(DOCUMENT.read_text(encoding="utf-8"))

    assert {fault: counts[fault][0] >= least for fault, least in AT_LEAST.items()} == dict.fromkeys(
        AT_LEAST, True
    )
    fuzzed = sum(row[0] for fault, row in counts.items() if "lines by" in fault or "mutat" in fault)
    assert fuzzed >= 100_000
    assert "looked for: 0 found" in DOCUMENT.read_text(encoding="utf-8")


def test_a_page_says_what_was_counted() -> None:
    """What is read from a page is what was written into it, surprises below the table."""
    outcome = make_outcome(lost=1, twice=2, wrong=3)
    outcome.expect(False, "a traceback")

    page = write_page([outcome], SESSION)

    assert read_counts(page) == {"a fault": (1_234, 5_678, 1, 2, 3)}
    assert "looked for: 1 found" in page
    assert "a fault: a traceback" in page
    assert not outcome.is_clean
    assert make_outcome().is_clean


def test_a_missing_and_a_repeated_seed_are_counted() -> None:
    """The count can fail: of three seeds one is lost, one is there twice."""
    outcome = make_outcome()

    outcome.compare([0, 1, 2], [0, 1, 1, 3])

    assert (outcome.runs, outcome.lost, outcome.twice) == (5_678 + 3, 1, 1)


@pytest.mark.parametrize("name", ["writers", "torn_lines"])
def test_a_fault_is_injected_from_the_command_line(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One file of faults, shortened, prints its seed and its rows, and writes the page."""
    page = tmp_path / "page.md"

    assert main(["--short", "--seed", "5", "--only", name, "--output", str(page)]) == 0

    assert "random seed 5" in capsys.readouterr().out
    assert read_counts(page.read_text())
