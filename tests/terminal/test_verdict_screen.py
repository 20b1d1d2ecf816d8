"""What `bench judge` shows in a terminal of any width, colour and encoding."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from screens import GOLDEN, NAMES, Compare

from bench.challenges import MNIST
from bench.cli import main
from bench.commands.judge import judge_each
from bench.commands.verdicts import print_verdicts
from bench.foreign import find_iterations
from bench.verdict import Verdict

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7])(?:;[0-9]+)*m")
WIDTHS = (24, 40, 60, 80, 119, 120, 160, 300)


@pytest.fixture
def verdicts(ledger: Path) -> list[Verdict]:
    """Return the verdicts on the four iterations."""
    judged = judge_each(find_iterations(NAMES), ledger, MNIST)
    return [verdict for verdict, _, _ in judged]


def show(verdicts: list[Verdict], width: int, *, encoding: str = "utf-8", **options: bool) -> str:
    """Return what a console so wide is sent, as its encoding carries it."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    print_verdicts(Console(file=file, width=width, **options), verdicts)
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def read_cells(shown: str, column: int) -> str:
    """Return the words of one column of a table, as they follow each other."""
    rows = [line.split("│") for line in shown.splitlines() if line.startswith("│")]
    return " ".join(" ".join(row[column] for row in rows).split())


@pytest.mark.parametrize("width", [160, 80])
def test_the_table_is_as_it_was(
    verdicts: list[Verdict], width: int, compare_golden: Compare
) -> None:
    """A row of all columns in a wide terminal, a paragraph a verdict in one of 80 columns."""
    compare_golden(f"judge-{width}.txt", show(verdicts, width))


def test_where_there_are_no_blocks_ascii_stands_for_them(
    verdicts: list[Verdict], compare_golden: Compare
) -> None:
    """Symbols, frame and sparkline are ASCII, in which nothing else could be encoded."""
    shown = show(verdicts, 80, encoding="ascii")

    compare_golden("judge-ascii.txt", shown)
    assert all(f"{symbol} " in shown for symbol in ("+ HOLDS", "x FAILS", "? UNDECIDED"))
    assert show(verdicts, 80, encoding="cp1252") == shown


def test_the_command_prints_the_table(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`bench judge` in a pipe is as wide as a table needs, and sends no escape codes."""
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    assert main(["judge", "--ledger", str(ledger), *NAMES]) == 0

    assert capfd.readouterr().out == (GOLDEN / "judge-160.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_verdict_has_symbol_and_word_without_colour(
    verdicts: list[Verdict], width: int
) -> None:
    """However narrow, no symbol parts from its word, and no line is wider than the terminal."""
    shown = show(verdicts, width)

    words = re.findall(r"[✓✗?] (?:HOLDS|FAILS|UNDECIDED)", shown)
    assert words == ["? UNDECIDED", "✗ FAILS", "? UNDECIDED", "? UNDECIDED", "✓ HOLDS"]
    assert ESCAPE not in shown
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 119])
def test_no_word_is_lost_in_a_narrow_terminal(verdicts: list[Verdict], width: int) -> None:
    """Everything that a verdict tells is there word for word, wrapped and not cut off."""
    shown = read_cells(show(verdicts, width), 2)

    for verdict in verdicts:
        for clause in verdict.why.split("; "):
            assert clause in shown
        if verdict.evidence:
            assert str(verdict.evidence.conditions) in shown
    assert "…" not in shown


@pytest.mark.parametrize("width", [120, 160, 300])
def test_no_word_is_lost_in_a_wide_terminal(verdicts: list[Verdict], width: int) -> None:
    """In columns likewise."""
    shown = show(verdicts, width)

    for verdict in verdicts:
        for clause in verdict.why.split("; "):
            assert clause in read_cells(shown, 3)
    assert "…" not in shown


def test_colours_add_nothing(verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its escape codes the coloured table is the plain one; NO_COLOR leaves out colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = show(verdicts, 80, force_terminal=True)

    assert COLOUR.search(coloured)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == show(verdicts, 80)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(show(verdicts, 80, force_terminal=True))


def test_a_dumb_terminal_gets_no_escape_codes(
    verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM=dumb is a terminal that understands none."""
    monkeypatch.setenv("TERM", "dumb")

    assert show(verdicts, 80, force_terminal=True) == show(verdicts, 80)


def test_the_sparkline_has_one_cell_an_epoch(verdicts: list[Verdict]) -> None:
    """Fifteen epochs; those whose median is at or above 99.4 % are full: the last six."""
    last = show(verdicts[-1:], 160)

    (cells,) = re.findall("[▁▂▃▄▅▆▇█]{2,}", last)
    assert len(cells) == 15
    assert cells.rstrip("█") == cells[:9]
    assert "99.43 % in epoch 15" in last


def test_a_text_cannot_steer_the_terminal(verdicts: list[Verdict]) -> None:
    """What a stranger wrote is shown without what moves a cursor."""
    hostile = replace(verdicts[0], iteration="a\x1b[2J[bold]b", why="\x1b]0;owned\x07")

    shown = show([hostile], 160)
    assert ESCAPE not in shown
    assert "a?[2J[bold]b" in shown


def test_the_document_shows_what_a_terminal_does() -> None:
    """Each line of the example in docs/terminal.md is one of the golden table."""
    text = (GOLDEN.parents[2] / "docs" / "terminal.md").read_text(encoding="utf-8")
    golden = (GOLDEN / "judge-80.txt").read_text(encoding="utf-8").splitlines()
    shown = [line for line in text.splitlines() if line.startswith(("┃", "┡", "│"))]

    assert len(shown) == 10
    assert set(shown) <= set(golden)
