"""Verdicts as rows of text."""

from __future__ import annotations

import re

import pytest
from builders import CONDITIONS, SHAKY, make_iteration, make_run, make_verdict
from msgspec.structs import replace

from bench.verdict_table import COLUMNS, list_cells, write_markdown


def split_rows(table: str) -> list[list[str]]:
    """Return the cells of a Markdown table as GitHub splits them: at bars without a backslash."""
    rows = [re.split(r"(?<!\\)\|", line) for line in table.split("\n")]
    assert all(row[0] == row[-1] == "" for row in rows)
    return [[cell.strip().replace(r"\|", "|") for cell in row[1:-1]] for row in rows]


def test_a_verdict_is_a_row_of_what_decided_it():
    """Name, answer, reason, parameters and conditions, in the order of the headings."""
    verdict = make_verdict([make_run(), make_run(seed=1, validation_correct=SHAKY)])

    assert dict(zip(COLUMNS, list_cells(verdict), strict=True)) == {
        "iteration": "iteration_4",
        "verdict": "UNDECIDED",
        "why": verdict.why,
        "parameters": "7,924",
        "conditions": "cpu, fp32, eager engine, torch 2.11",
    }


def test_a_verdict_without_runs_has_no_parameters_and_no_conditions():
    """What was never measured is a dash."""
    assert list_cells(make_verdict([]))[-2:] == ("-", "-")


def test_the_table_has_a_heading_a_rule_and_a_row_a_verdict():
    """Two verdicts are four lines of five cells."""
    heading, rule, *rows = split_rows(write_markdown([make_verdict([]), make_verdict([])]))

    assert tuple(heading) == COLUMNS
    assert rule == ["---"] * 5
    assert rows == [list(list_cells(make_verdict([])))] * 2


@pytest.mark.parametrize(
    "text", ["a|b", "a\nb", "a\r\n\r\nb", "|", "a\u2028b", "||\n| x |", "a\\|b"]
)
def test_no_cell_can_end_its_row_or_its_column(text: str):
    """Bars are escaped and line ends are spaces, so that each verdict stays one row of five."""
    iteration = make_iteration(name=text)
    run = make_run(iteration=text, conditions=replace(CONDITIONS, engine=text))
    table = write_markdown([make_verdict([run], iteration)])

    assert len(table.splitlines()) == 3
    rows = split_rows(table)
    assert [len(row) for row in rows] == [5, 5, 5]
    assert rows[2][0] == " ".join(text.split())
