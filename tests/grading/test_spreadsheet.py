"""The CSV comes back with its values, and no cell of it is a formula."""

from __future__ import annotations

import csv
import io

import pytest
from grades import make_grade, make_screened, make_submission
from hypothesis import given
from hypothesis import strategies as st

from bench.grading.marks import Mark
from bench.grading.ranking import rank
from bench.grading.spreadsheet import COLUMNS, write_csv


def read_back(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_figures_come_back_cut_and_not_rounded():
    """99.39999 % is below 99.4 %, and is shown as that."""
    (row,) = read_back(write_csv(rank([make_grade()])))

    assert tuple(row) == COLUMNS
    assert row["last epoch mean"] == "99.399"
    assert (row["last epoch lower"], row["last epoch upper"]) == ("99.300", "99.500")
    assert (row["best epoch mean"], row["best epoch optimism"]) == ("99.410", "0.010")
    assert (row["claimed parameters"], row["declared parameters"]) == ("7,924", "7924")
    assert (row["parameters as claimed"], row["claimed accuracy"]) == ("yes", "99.420")
    assert (row["seeds"], row["seeds that hold"], row["share that holds"]) == ("10", "9", "90.000")
    assert (row["batch normalisations"], row["dropout rates"]) == ("1", "0.1")
    # 3 by 3, halved, 3 by 3 in steps of 2: 8; the mean of 11 positions: + 10 * 2
    assert (row["field before the head"], row["receptive field"]) == ("8 x 8", "28 x 28")
    assert row["head"] == "global average pooling"


def test_what_is_not_known_is_empty():
    """A broken submission without a claim has a file, a verdict and a reason."""
    grade = make_grade(
        Mark.BROKEN,
        submission=make_submission(claimed=False),
        why="not valid Python",
        lower=None,
        parameters=None,
    )
    (row,) = read_back(write_csv(rank([grade])))
    filled = {name: value for name, value in row.items() if value}

    assert filled == {
        "rank": "1", "submission": "anna.py", "verdict": "BROKEN", "why": "not valid Python",
    }  # fmt: skip


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t=", "\r=", " =", "|", "%", "＝", "＠"])
def test_a_planted_formula_is_text(begins: str):
    """In every place that a student writes: name, file, class, note, and in an error's words."""
    planted = f"{begins}cmd('calc')!A1"
    grade = make_grade(
        submission=make_submission(planted, student=planted),
        screened=make_screened(network=planted, notes=(planted,)),
        why=planted,
    )
    (row,) = read_back(write_csv(rank([grade])))

    for name in ("submission", "student", "class", "notes", "why"):
        assert row[name].startswith("'"), name
        assert row[name].endswith("cmd('calc')!A1")


@given(st.text(), st.text())
def test_any_text_stays_one_cell_of_one_line(file: str, why: str):
    """Quotes, separators, line ends and what no screen shows."""
    grade = make_grade(submission=make_submission(file, student=why), why=why)
    text = write_csv(rank([grade]))
    (row,) = read_back(text)

    assert text.encode("utf-8").count(b"\n") == 2
    assert row["why"][:1] not in "=+-@" or not row["why"]
    assert row["rank"] == "1"
