"""`bench merge` joins ledgers of several machines: every run once, or nothing at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import LUCKY, make_run, make_runs, plant_ledger

import bench
from bench.ledger import append_run, encode_run, ledger_path, read_ledger
from bench.records import Run

ROOT = Path(bench.__file__).parent.parent


def merge(folder: Path, *sources: str, into: str = "all") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "merge", *sources, "--ledger", into],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def read_runs(folder: Path, iteration: str = "iteration_4") -> tuple[Run, ...]:
    return read_ledger(ledger_path(folder, "mnist", iteration)).runs


def list_contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes, locks aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_two_machines_become_one_ledger(tmp_path: Path) -> None:
    """Runs that both have are kept once; the lines say of each iteration what was new."""
    plant_ledger(tmp_path / "one", make_runs(range(5)))
    plant_ledger(tmp_path / "two", make_runs(range(3, 8)))
    plant_ledger(tmp_path / "all", make_runs([0]))

    done = merge(tmp_path, "one", "two")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "mnist iteration_4: 7 new, 1 known\n"
    assert sorted(read_runs(tmp_path / "all"), key=lambda run: run.seed) == make_runs(range(8))


def test_merging_again_changes_no_byte(tmp_path: Path) -> None:
    """What is known is not written a second time."""
    plant_ledger(tmp_path / "one", make_runs(range(5)))
    merge(tmp_path, "one")
    before = list_contents(tmp_path / "all")

    again = merge(tmp_path, "one")

    assert again.stdout == "mnist iteration_4: 0 new, 5 known\n"
    assert list_contents(tmp_path / "all") == before


def test_the_lines_that_are_there_keep_their_bytes(tmp_path: Path) -> None:
    """A merge goes on where the destination ends, so that git shows additions alone."""
    plant_ledger(tmp_path / "one", make_runs(range(3, 6)))
    plant_ledger(tmp_path / "all", make_runs(range(3)))
    before = ledger_path(tmp_path / "all", "mnist", "iteration_4").read_bytes()

    merge(tmp_path, "one")

    after = ledger_path(tmp_path / "all", "mnist", "iteration_4").read_bytes()
    assert after == before + b"".join(map(encode_run, make_runs(range(3, 6))))


@pytest.mark.parametrize("sources", [("one", "two"), ("two",)], ids=["sources", "destination"])
def test_a_conflict_shows_both_lines_and_writes_nothing(
    tmp_path: Path, sources: tuple[str, ...]
) -> None:
    """Not even another iteration of the same merge, which has no conflict, is written."""
    plant_ledger(tmp_path / "one", make_runs(range(3)))
    plant_ledger(tmp_path / "two", [make_run(seed=2, final=LUCKY, started="2026-02-02T02:02:02")])
    plant_ledger(tmp_path / "two", [replace(make_run(), iteration="iteration_0")])
    destination = "one" if len(sources) == 1 else "all"
    before = list_contents(tmp_path)

    done = merge(tmp_path, *sources, into=destination)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for shown in (
        "seed 2 of iteration_4 under cpu, fp32, eager engine, torch 2.13",
        "one/mnist/iteration_4.jsonl (2026-01-02T03:04:05+00:00: finished, [9945, 9942, 9944])",
        "two/mnist/iteration_4.jsonl (2026-02-02T02:02:02: finished, [9945, 9942, 9939])",
        "nothing was merged",
    ):
        assert shown in done.stderr
    assert list_contents(tmp_path) == before
    assert destination == "one" or not (tmp_path / "all").exists()


def test_iterations_that_are_unknown_here_are_joined_too(tmp_path: Path) -> None:
    """A ledger is joined without a model file, so none is looked for."""
    plant_ledger(tmp_path / "one", [replace(make_run(), iteration="iteration_77")])

    done = merge(tmp_path, "one")

    assert (done.returncode, done.stdout) == (0, "mnist iteration_77: 1 new, 0 known\n")


def test_a_damaged_line_of_a_source_stops_the_merge(tmp_path: Path) -> None:
    """The error names file and line, and the destination is not made."""
    plant_ledger(tmp_path / "one", make_runs(range(3)))
    path = ledger_path(tmp_path / "one", "mnist", "iteration_4")
    path.write_bytes(path.read_bytes().replace(b'"seed":1', b'"seed":9'))

    done = merge(tmp_path, "one")

    assert done.returncode == 2
    assert "one/mnist/iteration_4.jsonl:2: damaged line" in done.stderr
    assert not (tmp_path / "all").exists()


def test_torn_last_lines_are_reported_and_left_out(tmp_path: Path) -> None:
    """One in a source and one in the destination: both are named, and neither joins two lines."""
    for name, seed in (("one", 0), ("all", 1)):
        plant_ledger(tmp_path / name, [make_run(seed=seed)])
        with ledger_path(tmp_path / name, "mnist", "iteration_4").open("ab") as file:
            file.write(encode_run(make_run(seed=9))[:200])

    done = merge(tmp_path, "one")

    assert (done.returncode, done.stderr.count("\n")) == (0, 2)
    for name in ("one", "all"):
        assert f"bench: {name}/mnist/iteration_4.jsonl: the last line is torn" in done.stderr
    joined = read_ledger(ledger_path(tmp_path / "all", "mnist", "iteration_4"))
    assert ([run.seed for run in joined.runs], joined.torn) == ([1, 0], False)


def test_a_last_line_without_its_end_gets_one(tmp_path: Path) -> None:
    """A whole line that lacks only its newline is a run, and the next one does not stick to it."""
    plant_ledger(tmp_path / "one", [make_run(seed=1)])
    plant_ledger(tmp_path / "all", [make_run(seed=0)])
    path = ledger_path(tmp_path / "all", "mnist", "iteration_4")
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))

    merge(tmp_path, "one")

    assert [run.seed for run in read_runs(tmp_path / "all")] == [0, 1]


@pytest.mark.parametrize("linked", ["file", "folder"])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_no_link_is_followed_out_of_a_folder(tmp_path: Path, linked: str, side: str) -> None:
    """A stranger's ledger cannot have this machine read, or write, a file elsewhere."""
    plant_ledger(tmp_path / "elsewhere", make_runs(range(2)))
    plant_ledger(tmp_path / "honest", make_runs(range(2, 4)))
    trap = tmp_path / "trap"
    trap.mkdir()
    if linked == "folder":
        (trap / "mnist").symlink_to(tmp_path / "elsewhere" / "mnist")
    else:
        (trap / "mnist").mkdir()
        (trap / "mnist" / "iteration_4.jsonl").symlink_to(
            tmp_path / "elsewhere" / "mnist" / "iteration_4.jsonl"
        )
    before = list_contents(tmp_path / "elsewhere")

    source, into = ("trap", "all") if side == "source" else ("honest", "trap")
    done = merge(tmp_path, source, into=into)

    assert done.returncode == 2
    assert "it leads out of trap" in done.stderr
    assert list_contents(tmp_path / "elsewhere") == before
    assert not (tmp_path / "all").exists()


def test_a_pipe_in_the_place_of_a_file_does_not_hang_it(tmp_path: Path) -> None:
    """What is not a file is named, before anyone waits for its end."""
    (tmp_path / "one" / "mnist").mkdir(parents=True)
    os.mkfifo(tmp_path / "one" / "mnist" / "iteration_4.jsonl")

    done = merge(tmp_path, "one")

    assert done.returncode == 2
    assert "iteration_4.jsonl: not a file" in done.stderr


@pytest.mark.parametrize("source", ["nothing", "."])
def test_a_folder_that_is_no_ledger_is_said_to_be_none(tmp_path: Path, source: str) -> None:
    """A slip in a path does not pass for a merge of no runs."""
    done = merge(tmp_path, source)

    assert done.returncode == 2
    assert done.stderr.startswith("bench: error: ")
    assert done.stderr.count("\n") == 1


def test_runs_that_are_appended_meanwhile_are_not_lost(tmp_path: Path) -> None:
    """Merges and a writer that append at once leave every run of both, whole."""
    plant_ledger(tmp_path / "one", make_runs(range(9_000, 9_040)))
    ledger = tmp_path / "all"
    merging = [
        subprocess.Popen(
            [sys.executable, "-m", "bench", "merge", "one", "--ledger", "all"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    appended = 0
    while any(process.poll() is None for process in merging) or appended < 30:
        append_run(ledger, make_run(seed=appended))
        appended += 1

    assert [process.wait() for process in merging] == [0, 0]
    found = read_ledger(ledger_path(ledger, "mnist", "iteration_4"))
    assert not found.torn
    assert {run.seed for run in found.runs} == {*range(appended), *range(9_000, 9_040)}
    assert len(found.path.read_bytes().splitlines()) == len(found.runs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The error says what to do, and nothing is left behind."""
    plant_ledger(tmp_path / "one", make_runs(range(2)))
    (tmp_path / "all").mkdir(mode=0o500)

    done = merge(tmp_path, "one")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the ledger cannot be written" in done.stderr
