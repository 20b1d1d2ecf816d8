"""A ledger that is being filled is followed: what is new is told once, and nothing is missed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import CLEAN, CONDITIONS, LATEST, LUCKY, make_run, make_runs, plant_ledger
from processes import heed_interrupts
from screens import NAMES, Compare

import bench
from bench.challenges import MNIST
from bench.cli import main
from bench.errors import LedgerError
from bench.ledger import encode_run, ledger_path
from bench.records import Answer, Run
from bench.watching import Arrival, Watch

ROOT = Path(bench.__file__).parent.parent
PATIENCE_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the ledger is or will be."""
    return tmp_path / "ledger"


def start(folder: Path) -> Watch:
    """Return a watch on iteration 4 that knows what is there."""
    watch = Watch([LATEST], MNIST, folder)
    watch.look(first=True)
    return watch


def seeds(arrivals: list[Arrival]) -> list[int]:
    return [arrival.run.seed for arrival in arrivals]


def file_in(folder: Path) -> Path:
    return ledger_path(folder, "mnist", LATEST.name)


def test_only_new_runs_arrive_and_the_verdict_follows(folder: Path) -> None:
    """What was there is known; what is appended arrives once, with the verdict since then."""
    plant_ledger(folder, make_runs(range(31)))
    watch = start(folder)
    assert watch.look() == []

    plant_ledger(folder, make_runs([31]))
    assert [str(a.verdict.answer) for a in watch.look()] == ["UNDECIDED"]
    assert not watch.is_decided
    plant_ledger(folder, make_runs([32]))
    (arrival,) = watch.look()
    assert (arrival.run.seed, arrival.verdict.answer) == (32, Answer.HOLDS)
    assert watch.is_decided
    assert watch.look() == []
    assert watch.arrived == 2


def test_what_was_read_is_not_read_again(folder: Path) -> None:
    """Damage to a line that was read long ago is not seen: only what was appended is read."""
    plant_ledger(folder, make_runs(range(3)))
    watch = start(folder)
    path = file_in(folder)
    with path.open("r+b") as file:
        file.write(b"damaged")

    plant_ledger(folder, make_runs([3]))

    assert seeds(watch.look()) == [3]
    with pytest.raises(LedgerError, match=r"iteration_4\.jsonl:1: damaged line"):
        start(folder)


def test_a_line_that_is_being_written_arrives_when_it_is_whole(folder: Path) -> None:
    """Half a line is neither a run nor an error; the rest makes it one."""
    plant_ledger(folder, make_runs(range(2)))
    watch = start(folder)
    line = encode_run(make_run(seed=2))
    with file_in(folder).open("ab", buffering=0) as file:
        file.write(line[:500])
        assert watch.look() == []
        file.write(line[500:-1])
        assert watch.look() == []
        file.write(line[-1:])
    assert seeds(watch.look()) == [2]


def test_a_ledger_that_ends_torn_is_watched_all_the_same(folder: Path) -> None:
    """The torn line of a power cut is cut off by the next run that is recorded."""
    plant_ledger(folder, make_runs(range(2)))
    path = file_in(folder)
    whole = path.read_bytes()
    path.write_bytes(whole + encode_run(make_run(seed=2))[:300])
    watch = start(folder)

    os.truncate(path, len(whole))
    plant_ledger(folder, make_runs([2]))

    assert seeds(watch.look()) == [2]


def test_a_file_that_appears_later_is_found(folder: Path) -> None:
    """Neither folder nor file need be there when the watch begins."""
    watch = start(folder)
    assert watch.look() == []
    assert watch.is_empty
    assert "no runs" in watch.iterations[0].verdict.why

    plant_ledger(folder, make_runs(range(2)))

    assert seeds(watch.look()) == [0, 1]
    assert not watch.is_empty


def replace_file(folder: Path, runs: list[Run]) -> None:
    """Put another file in the place of the ledger's, as `bench merge` does."""
    other = folder / "other"
    other.write_bytes(b"".join(map(encode_run, runs)))
    other.replace(file_in(folder))


def test_a_file_replaced_by_a_merge_is_read_anew(folder: Path) -> None:
    """Only its unknown runs arrive, wherever they are in it; runs that it lacks count no more."""
    plant_ledger(folder, make_runs(range(3)))
    watch = start(folder)

    replace_file(folder, [make_run(seed=4), *make_runs(range(4))])
    assert seeds(watch.look()) == [4, 3]
    reliable = watch.iterations[0].verdict.reliable
    assert reliable is not None
    assert reliable.runs == 5

    replace_file(folder, make_runs([0]))
    assert watch.look() == []
    reliable = watch.iterations[0].verdict.reliable
    assert reliable is not None
    assert reliable.runs == 1


def test_a_file_that_vanishes_and_comes_back_brings_nothing_twice(folder: Path) -> None:
    """Without the file there are no runs; with it, no run is told as new again."""
    plant_ledger(folder, make_runs(range(3)))
    watch = start(folder)

    file_in(folder).unlink()
    assert watch.look() == []
    assert watch.is_empty
    plant_ledger(folder, make_runs(range(4)))
    assert seeds(watch.look()) == [3]


def test_a_seed_with_two_results_is_an_error(folder: Path) -> None:
    """As when the file is read whole: both results are named."""
    plant_ledger(folder, make_runs(range(2)))
    watch = start(folder)

    plant_ledger(folder, [make_run(seed=1, final=LUCKY)])

    with pytest.raises(LedgerError, match=r"seed 1 .* recorded twice"):
        watch.look()


def test_a_damaged_new_line_is_an_error_that_names_it(folder: Path) -> None:
    """Whole lines are checked as they come."""
    plant_ledger(folder, make_runs(range(2)))
    watch = start(folder)
    with file_in(folder).open("ab") as file:
        file.write(encode_run(make_run(seed=2)).replace(b":9944,", b":9999,"))

    with pytest.raises(LedgerError, match=r"iteration_4\.jsonl:3: damaged line"):
        watch.look()


def test_the_newest_run_chooses_the_conditions(folder: Path) -> None:
    """Ten old runs on a CPU do not hide the GPU that is being trained on now."""
    plant_ledger(folder, make_runs(range(10), final=LUCKY))
    watch = start(folder)
    gpu = replace(CONDITIONS, device="cuda sm_90")

    plant_ledger(folder, make_runs([0], conditions=gpu, started="2026-01-03T00:00:00+00:00"))

    (arrival,) = watch.look()
    assert arrival.verdict.evidence is not None
    assert arrival.verdict.evidence.conditions == gpu
    assert watch.iterations[0].last_runs == (arrival.run,)


def test_runs_that_never_count_are_told_and_not_counted(folder: Path) -> None:
    """A run of other code and one of a tuning seed arrive, and change neither verdict nor rate."""
    watch = start(folder)

    plant_ledger(folder, [make_run(fingerprint="f" * 64), make_run(seed=1_000_000)])

    assert [arrival.counts for arrival in watch.look()] == [False, False]
    assert watch.arrived == 0


@pytest.mark.parametrize("width", [60, 80, 160])
def test_once_prints_the_table(
    ledger: Path,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    compare_golden: Compare,
) -> None:
    """Verdicts so far, what would decide, and the last seeds; no wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["watch", "--once", "--ledger", str(ledger), *NAMES]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    (footer,) = [line for line in lines if line.startswith("watching")]
    assert re.fullmatch(r"watching ledger/mnist: 0 new runs in \d+ s", footer)
    rest = "".join(f"{line}\n" for line in lines if line != footer)
    compare_golden(f"watch-{width}.txt", rest)


def test_between_two_looks_it_sleeps(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run is told after the sleep in which it came; Ctrl-C in one ends with exit code 130."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            plant_ledger(ledger, [make_run(seed=33, final=LUCKY), make_run(seed=1_000_000)])
        if len(slept) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("bench.commands.watch.time.sleep", sleep)
    code = main(["watch", "iteration_4", "--ledger", str(ledger), "--interval", "7"])

    captured = capfd.readouterr()
    assert code == 130
    assert captured.err.strip() == "bench: interrupted"
    assert slept == [7.0] * 4
    assert captured.out.splitlines() == [
        "iteration_4: HOLDS: 33 of 33 seeds hold; decided after 33; HOLDS up to a target of "
        "99.42 % too",
        "iteration_4 seed 33: finished, does not hold, final epochs 99.45 % 99.42 % 99.39 %; "
        "HOLDS: 33 of 34 hold, decided after 33",
        "iteration_4 seed 1000000: finished, holds, final epochs 99.45 % 99.42 % 99.44 %; "
        "a tuning seed, which does not count",
    ]


def test_what_is_decided_already_is_not_waited_for(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --until-decided and a verdict, no time is spent: exit code 0."""
    monkeypatch.setattr("bench.commands.watch.time.sleep", pytest.fail)

    assert main(["watch", "iteration_4", "--until-decided", "--ledger", str(ledger)]) == 0


@contextmanager
def watching(folder: Path, *arguments: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run `bench watch` as a process in a folder of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "bench", "watch", "iteration_4", "--interval", "0.1"]
    process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        [*command, "--ledger", "ledger", *arguments],
        cwd=folder,
        env=environment,
        text=True,
        preexec_fn=heed_interrupts,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_growing_ledger_is_followed_until_it_is_decided(tmp_path: Path) -> None:
    """From no ledger at all to HOLDS: every run is one line, and then the process ends by itself.

    The ledger turns out to be one of digits: what `auto` stands for is found when its file comes.
    """
    ledger = tmp_path / "ledger"
    runs = make_runs(range(33), challenge="digits", final=CLEAN)
    with watching(tmp_path, "--until-decided") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("iteration_4: UNDECIDED: no runs")
        plant_ledger(ledger, runs[:2])
        lines = [process.stdout.readline() for _ in range(2)]
        with ledger_path(ledger, "digits", "iteration_4").open("ab", buffering=0) as file:
            for block in (encode_run(runs[2])[:900], encode_run(runs[2])[900:]):
                file.write(block)
                time.sleep(0.2)
        lines.append(process.stdout.readline())
        plant_ledger(ledger, runs[3:])
        rest, errors = process.communicate(timeout=PATIENCE_SECONDS)

    lines += rest.splitlines()
    assert [re.match(r"iteration_4 seed (\d+): finished, holds", line)[1] for line in lines] == [
        str(seed) for seed in range(33)
    ]
    assert lines[-1].endswith("HOLDS: 33 of 33 hold, decided after 33")
    assert "UNDECIDED: 3 of 3 hold, 30 more" in lines[2]
    assert (process.returncode, errors) == (0, "")


def read_until(terminal: int, text: str) -> str:
    """Return what a terminal is sent up to a text."""
    seen = ""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while text not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_in_a_terminal_the_table_is_alive_until_ctrl_c(tmp_path: Path) -> None:
    """New runs change the table in its place; Ctrl-C gives the cursor back: exit code 130."""
    import pty

    plant_ledger(tmp_path / "ledger", make_runs(range(3)))
    terminal, end = pty.openpty()
    ours = {"stdout": end, "stderr": end, "stdin": end}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "90")
        patch.delenv("NO_COLOR", raising=False)
        with watching(tmp_path, **ours) as process:
            os.close(end)
            assert "3 of 3" in read_until(terminal, "0 new runs in")
            plant_ledger(tmp_path / "ledger", [make_run(seed=3, final=LUCKY)])
            changed = read_until(terminal, "1 new run in")
            assert "3 of 4" in changed
            assert "3✗" in changed
            process.send_signal(signal.SIGINT)
            farewell = read_until(terminal, "bench: interrupted")
            assert "\x1b[?25h" in farewell
            assert process.wait(timeout=PATIENCE_SECONDS) == 130
    os.close(terminal)
