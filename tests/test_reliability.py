"""The table of `nox -s faults`: nothing lost, nothing twice, nothing wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.__main__ import main
from faults.outcome import Outcome
from faults.page import Session, read_counts, write_page

SESSION = Session(command="nox -s faults", seed=7, machine="a machine", minutes=3)


def make_outcome(**counts: int) -> Outcome:
    return Outcome(fault="a fault", injected=1_234, runs=5_678, **counts)


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
