"""Malformed command lines and data folders: each ends with exit code 2 and one line."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from faults.outcome import Circumstances, Outcome
from faults.samples import ENVIRONMENT

COMMAND_LINES = [
    ["--no-such-option"], ["no-such-command"], ["run", "no_such_iteration"],
    ["run", "../models/iteration_4"], ["run", "iteration_4", "--seeds", "-1"],
    ["run", "--seeds", "ten"], ["run", "--seeds", "5-3"], ["run", "--seeds", ""],
    ["run", "--seeds", "0-999999999"], ["run", "--seeds", "0,1"], ["run", "--seeds"],
    ["run", "--time-budget", "soon"], ["run", "--time-budget", "0s"], ["run", "--epochs", "0"],
    ["run", "--epochs", "1001"], ["run", "--epochs", "1e3"], ["run", "--workers", "0"],
    ["run", "--workers", "99999"], ["run", "--block", "0"], ["run", "--device", "tpu"],
    ["run", "--engine", "steam"], ["run", "--dataset", "cifar"],
    ["judge", "iteration_4", "--format", "xml"], ["judge", "iteration_999"],
    ["gate", "iteration_x"], ["gate", "--ledger", "FILE"], ["report", "--page", "FOLDER"],
    ["report", "--page", "FILE/index.html"], ["compare", "iteration_4"],
    ["compare", "iteration_1", "iteration_2", "iteration_3"], ["power", "--pass-rate", "1.5"],
    ["power", "--confidence", "1"], ["power", "--max-seeds", "10001"],
    ["power", "--reliability", "nan"], ["list", "surplus"], ["cost", "iteration_"],
    ["judge", "--ledger", "x" * 5_000], ["judge", "\x1b[2J"],
    ["watch", "--interval", "0"], ["watch", "iteration_x"], ["completion", "tcsh"], ["completion"],
]  # fmt: skip
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
HANG_SECONDS = 120
READ_FOLDERS = """
import contextlib, io, json, sys
from bench.cli import main

for folder in sys.argv[1:]:
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        code = main(["run", "iteration_4", "--dataset", "mnist", "--seeds", "1", "--data", folder])
    print(json.dumps([folder, code, told.getvalue()]), flush=True)
"""


def inject_commands(given: Circumstances) -> Outcome:
    """Start the command line with what it cannot mean."""
    outcome = Outcome(fault="malformed command line")
    (given.folder / "FILE").write_text("in the way")
    (given.folder / "FOLDER").mkdir()
    for arguments in COMMAND_LINES:
        _complain(arguments, given.folder, outcome)
    return outcome


def inject_folders(given: Circumstances) -> Outcome:
    """Name folders as MNIST's that are not, to one process that has imported torch already."""
    outcome = Outcome(fault="malformed data folder")
    folders = []
    for place, fill in enumerate(_list_folders()):
        folders.append(given.folder / str(place))
        (folders[-1] / "MNIST").mkdir(parents=True)
        fill(folders[-1] / "MNIST" / "raw")
    reader = subprocess.run(
        [sys.executable, "-c", READ_FOLDERS, *map(str, folders)], cwd=given.folder,
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=10 * HANG_SECONDS,
    )  # fmt: skip
    for told in reader.stdout.splitlines():
        folder, code, complaint = json.loads(told)
        outcome.injected += 1
        _expect_one_line(f"--data {Path(folder).name}", code, complaint, outcome)
    outcome.expect(outcome.injected == len(folders), f"ended early: {reader.stderr[-500:]}")
    return outcome


def _complain(arguments: list[str], folder: Path, outcome: Outcome) -> None:
    shown = " ".join(arguments)[:80]
    outcome.injected += 1
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *arguments], cwd=folder, env=ENVIRONMENT,
            capture_output=True, text=True, check=False, timeout=HANG_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        outcome.surprises.append(f"hang: {shown}")
        return
    _expect_one_line(shown, done.returncode, done.stderr, outcome)


def _expect_one_line(shown: str, code: int, complaint: str, outcome: Outcome) -> None:
    one_line = complaint.count("\n") == 1 and complaint.startswith("bench: error: ")
    outcome.expect(code == 2 and one_line, f"{shown}: exit code {code}, {complaint[-300:]!r}")


def _list_folders() -> list[Callable[[Path], object]]:
    """Return what puts files into a folder of MNIST, each in a way of its own."""
    images = struct.pack(">IIII", 0x0803, 60_000, 28, 28)
    contents = [
        b"", b"\0", b"text", images, images + bytes(1_000), bytes(47_040_017),
        struct.pack(">IIII", 0x0803, 2, 28, 28) + bytes(1_568), struct.pack(">I", 0xFFFFFFFF) * 4,
        struct.pack(">IIII", 0x0803, 1 << 31, 1 << 15, 1 << 15), struct.pack(">II", 0x0801, 3),
    ]  # fmt: skip
    archives = [
        b"", b"\x1f\x8b", gzip.compress(b""), gzip.compress(images), gzip.compress(bytes(1 << 27)),
        gzip.compress(b"x")[:-4], b"PK\x03\x04", bytes(9_912_422),
    ]  # fmt: skip
    return [
        *(_write_all(content, "") for content in contents),
        *(_write_all(content, ".gz") for content in archives),
        lambda raw: None,
        lambda raw: raw.write_text("a file"),
        lambda raw: raw.symlink_to("raw"),
        lambda raw: [(raw / name).mkdir(parents=True) for name in FILES],
        lambda raw: (raw.mkdir(), [os.mkfifo(raw / name) for name in FILES]),
        lambda raw: (raw.mkdir(), [(raw / f"{name}.gz").symlink_to("/dev/zero") for name in FILES]),
    ]


def _write_all(content: bytes, end: str) -> Callable[[Path], object]:
    def write(raw: Path) -> None:
        raw.mkdir()
        for name in FILES:
            (raw / f"{name}{end}").write_bytes(content)

    return write
