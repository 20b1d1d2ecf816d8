"""`bench grade` from folder to leaderboard: whole trainings, and submissions that misbehave."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from class_of_twelve import FILES, FREEZES, HEAD, KILLS_LATE, LIGHT, TINY, hand_in
from page_reader import read_page

ROOT = Path(__file__).parent.parent.parent


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "grade", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def grade(folder: Path, *arguments: str) -> tuple[int, str]:
    process = start(folder, *arguments)
    output, errors = process.communicate(timeout=600)
    assert "Traceback" not in output + errors
    return process.returncode, output + errors


def read_rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("empty",), "no submissions; put one"),
        (("gone",), "gone"),
        (("subs", "--budget", "soon"), "--budget soon: not a duration"),
        (("subs", "--recipe", "iteration_99"), "iteration_99: no such recipe"),
        (("subs", "--claims", "wrong.csv"), "wrong.csv:1: 'mark' is not a column"),
        (("subs", "--challenge", "nothing"), "--challenge nothing: no such challenge"),
        (("subs", "--seeds", "0"), "--seeds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_on_the_command_line_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], says: str
):
    """With exit code 2, before torch is loaded or anything is written."""
    (tmp_path / "empty").mkdir()
    hand_in(tmp_path / "subs")
    (tmp_path / "wrong.csv").write_text("file,mark\n")
    code, output = grade(tmp_path, *arguments)

    assert code == 2
    assert says in output
    assert output.count("\n") == 1
    assert not (tmp_path / "grading").exists()


@pytest.mark.trainings
def test_a_class_of_twelve_gets_twelve_rows(tmp_path: Path):
    """Four are broken, one over budget; two minutes; the second start goes on, to a seed each."""
    hand_in(tmp_path / "subs")
    options = ("subs", "--dataset", "digits", "--output", "out")
    code, output = grade(tmp_path, *options, "--budget", "2m")
    rows = read_rows(tmp_path / "out")

    assert code == 0
    assert "without a claim: hugo.py" in output
    assert set(rows) == set(FILES)
    marks = {name: row["verdict"] for name, row in rows.items()}
    assert {n for n, mark in marks.items() if mark == "BROKEN"} == {
        "ivan.py", "jana.py", "kim.py", "lars.py",
    }  # fmt: skip
    assert "not valid Python" in rows["ivan.py"]["why"]
    assert "no data here" in rows["jana.py"]["why"]
    assert "7 scores" in rows["kim.py"]["why"]
    assert "ended its process" in rows["lars.py"]["why"]
    assert rows["dan.py"]["why"].startswith("over budget: 74,650 parameters")
    assert rows["dan.py"]["seeds"] == ""
    declared = {n: (r["declared parameters"], r["reached parameters"]) for n, r in rows.items()}
    assert declared["anna/model.py"] == ("3778", "3778")
    assert declared["eva.py"] == ("418", "418")
    assert declared["finn.py"] == ("3928", "3818")
    assert (rows["finn.py"]["parameters as claimed"], rows["ben.py"]["parameters as claimed"]) == (
        "no", "yes",
    )  # fmt: skip
    assert rows["eva.py"]["student"] == '\'=HYPERLINK("x")'
    assert "relu on the scores" in rows["eva.py"]["remarks"]
    (body,) = read_page((tmp_path / "out" / "leaderboard.html").read_text()).find_all("tbody")
    assert len(body.find_all("tr")) == 12

    code, output = grade(tmp_path, *options, "--budget", "20m", "--seeds", "1")
    again = read_rows(tmp_path / "out")
    recorded = sum(int(row["seeds"] or 0) for row in rows.values())
    assert code == 0
    assert (recorded == 0) == ("; 0 runs recorded already" in output)
    for name, row in rows.items():
        assert again[name]["verdict"] == marks[name] or marks[name] == "UNDECIDED"
        seeds = int(again[name]["seeds"] or 0)
        assert seeds >= int(row["seeds"] or 0)
        assert (seeds > 0) == (marks[name] != "BROKEN" and name != "dan.py")
    assert "anna/model.py, clara.py: seed 0 went alike" in (
        tmp_path / "out" / "leaderboard.html"
    ).read_text(encoding="utf-8")


@pytest.mark.trainings
def test_a_submission_that_freezes_in_training_costs_its_own_row_only(tmp_path: Path):
    """Its worker is killed once no epoch came for long; the others are trained to the end."""
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "frozen.py").write_text(HEAD + FREEZES)
    (tmp_path / "subs" / "tiny.py").write_text(HEAD + TINY)
    code, output = grade(
        tmp_path, "subs", "--dataset", "digits", "--budget", "5m", "--workers", "1",
        "--engine", "eager", "--seeds", "2", "--output", "out",
    )  # fmt: skip
    rows = read_rows(tmp_path / "out")

    assert code == 0
    assert rows["frozen.py"]["verdict"] == "BROKEN"
    assert "no epoch was finished within 1 min" in rows["frozen.py"]["why"]
    assert rows["tiny.py"]["seeds"] == "2"
    assert "frozen-Net seed 0: given up" in output


@pytest.mark.trainings
def test_a_submission_that_kills_its_worker_costs_its_own_row_only(tmp_path: Path):
    """A seed is tried three times, at most one beside it; the others are trained to the end."""
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "killer.py").write_text(HEAD + KILLS_LATE)
    (tmp_path / "subs" / "tiny.py").write_text(HEAD + TINY)
    code, output = grade(
        tmp_path, "subs", "--dataset", "digits", "--budget", "10m", "--workers", "2",
        "--engine", "eager", "--seeds", "2", "--output", "out",
    )  # fmt: skip
    rows = read_rows(tmp_path / "out")

    assert code == 0
    assert rows["killer.py"]["verdict"] == "BROKEN"
    assert "took its worker down 3 times" in rows["killer.py"]["why"]
    assert rows["tiny.py"]["seeds"] == "2"
    assert output.count("given up") in (1, 2)  # the second was begun before the first was over


@pytest.mark.trainings
def test_an_interruption_leaves_a_leaderboard(tmp_path: Path):
    """Ctrl-C in the middle of training: exit code 130, and all rows are there."""
    (tmp_path / "subs").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "subs" / name).write_text(HEAD + LIGHT)
    process = start(
        tmp_path, "subs", "--dataset", "digits", "--budget", "10m", "--engine", "eager",
        "--output", "out",
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "seed 0: finished" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    assert process.returncode == 130
    assert set(read_rows(tmp_path / "out")) == {"a.py", "b.py"}


@pytest.mark.trainings
def test_an_interruption_before_training_leaves_one_too(tmp_path: Path):
    """What was not looked at says so."""
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "a.py").write_text("class (\n")
    for name in ("b.py", "c.py", "d.py"):
        (tmp_path / "subs" / name).write_text(HEAD + "while True:\n    pass\n" + FREEZES)
    process = start(tmp_path, "subs", "--dataset", "digits", "--output", "out", "--workers", "1")
    assert process.stderr is not None
    for line in process.stderr:
        if "a.py: broken" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    rows = read_rows(tmp_path / "out")

    assert process.returncode == 130
    assert rows["a.py"]["verdict"] == "BROKEN"
    assert {rows[n]["why"] for n in ("c.py", "d.py")} == {"not trained: interrupted before"}


@pytest.mark.trainings
def test_a_folder_of_broken_submissions_is_graded(tmp_path: Path):
    """Exit code 0: that all are broken is a result."""
    (tmp_path / "subs").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "subs" / name).write_text("class (\n")
    code, _ = grade(tmp_path, "subs", "--dataset", "digits", "--output", "out")

    assert code == 0
    assert [row["verdict"] for row in read_rows(tmp_path / "out").values()] == ["BROKEN"] * 2
