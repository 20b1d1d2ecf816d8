"""Workers and parents of short real trainings are killed at random moments until all is trained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from processes import all_end, children_of, ledger_file, stable_lines

from bench.ledger import read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import ENVIRONMENT, list_seeds

ITERATION = "iteration_2"
WORKERS = 2
SEEDS = 16
TRAINING = "runs at most with"
"""What a command says when its workers start to train."""

LONGEST_WAIT_SECONDS = 3.0
LONGEST_LIFE_SECONDS = 40.0
HANG_SECONDS = 180


def inject(given: Circumstances) -> Outcome:
    """Kill 200 times, restart until complete, and compare with a ledger that was left in peace."""
    outcome = Outcome(fault="SIGKILL of workers and parent of a training")
    kills, seeds = given.times(200, 12), given.times(SEEDS, 6)
    undisturbed = given.folder / "undisturbed"
    training = _start(undisturbed, seeds)
    outcome.expect(training.wait() == 0, "the undisturbed training failed")
    attempt = 0
    while outcome.injected < kills:
        attempt += 1
        folder = given.folder / str(attempt)
        _train_disturbed(folder, seeds, kills, given, outcome)
        if outcome.surprises:  # what was not trained to the end cannot be compared
            break
        outcome.compare(range(seeds), list_seeds(_file(folder)))
        outcome.wrong += sum(
            mine != theirs
            for mine, theirs in zip(
                stable_lines(folder, ITERATION), stable_lines(undisturbed, ITERATION), strict=True
            )
        )
        outcome.wrong += _verdict(folder) != _verdict(undisturbed)
    return outcome


def _train_disturbed(
    folder: Path, seeds: int, kills: int, given: Circumstances, outcome: Outcome
) -> None:
    """Start again until all seeds are trained, killing as long as there are kills left.

    A seed that loses its worker three times is given up, which ends with exit code 2 and one line.
    """
    while True:
        training = _start(folder, seeds)
        last_moment = time.monotonic() + given.generator.uniform(0, LONGEST_LIFE_SECONDS)
        while training.poll() is None:
            if outcome.injected >= kills:
                _wait(training, outcome)
                break
            time.sleep(given.generator.uniform(0, LONGEST_WAIT_SECONDS))
            _kill(training, folder, given, outcome, parent=time.monotonic() > last_moment)
        if training.returncode == 0:
            return
        complaint = _read_complaint(folder)
        told = training.returncode == 2 and complaint.count("bench: error: ") == 1
        if "Traceback" in complaint or not (training.returncode == -signal.SIGKILL or told):
            outcome.surprises.append(f"exit code {training.returncode}: {complaint[-600:]}")
            return


def _kill(
    training: subprocess.Popen[bytes],
    folder: Path,
    given: Circumstances,
    outcome: Outcome,
    *,
    parent: bool,
) -> None:
    """Kill the parent or one of its workers, where there is one; its runs must stay."""
    family = children_of(training.pid)
    trains = TRAINING in _read_complaint(folder)
    workers = [pid for pid, depth in family.items() if depth == 2 and trains]
    if training.poll() is not None or not (parent or workers):
        return
    before = list_seeds(_file(folder))
    _signal(training.pid if parent else given.generator.choice(workers))
    outcome.injected += 1
    if parent:
        training.wait()
        outcome.expect(all_end(family), "workers outlived their parent")
    outcome.compare(before, list_seeds(_file(folder)))


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait(training: subprocess.Popen[bytes], outcome: Outcome) -> None:
    try:
        training.wait(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        outcome.surprises.append("hang")
        training.kill()
        training.wait()


def _start(folder: Path, seeds: int) -> subprocess.Popen[bytes]:
    """Start a training whose standard error is kept in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    with _complaints(folder).open("wb") as complaints:
        return subprocess.Popen(
            [
                sys.executable, "-m", "bench", "run", ITERATION, "--dataset", "digits", "--device",
                "cpu", "--epochs", "1", "--workers", str(WORKERS), "--seeds", str(seeds),
                "--ledger", str(folder / "ledger"), "--page", str(folder / "index.html"),
            ],
            cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=complaints,
        )  # fmt: skip


def _complaints(folder: Path) -> Path:
    return folder / "stderr.txt"


def _read_complaint(folder: Path) -> str:
    return _complaints(folder).read_text(encoding="utf-8", errors="replace")


def _file(folder: Path) -> Path:
    return ledger_file(folder, ITERATION)


def _verdict(folder: Path) -> list[tuple[object, ...]]:
    """Return what decides of each run; one epoch is another recipe, and no verdict of its own."""
    runs = sorted(read_ledger(_file(folder)).runs, key=lambda run: run.seed)
    return [(run.seed, run.status, run.epochs[-1].validation_correct) for run in runs]
