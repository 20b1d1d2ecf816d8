"""A checkout of its own, whose iteration 4 is trained on digits in a second a seed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.ledger import encode_run, read_ledger
from bench.records import Run

ROOT = Path(bench.__file__).parent.parent
EPOCHS = 3
"""As many as a final window has, so that a run can hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A folder with `bench/`, `models/` and a ledger, and the commands of that bench."""

    folder: Path

    @property
    def ledger_file(self) -> Path:
        """Return the file of iteration 4's runs."""
        return self.folder / "reports" / "ledger" / "digits" / "iteration_4.jsonl"

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return the recorded runs by their seeds."""
        return tuple(sorted(read_ledger(self.ledger_file).runs, key=lambda run: run.seed))

    def write(self, runs: Iterable[Run]) -> None:
        """Replace the ledger by these runs, with good checksums."""
        self.ledger_file.parent.mkdir(parents=True, exist_ok=True)
        self.ledger_file.write_bytes(b"".join(map(encode_run, runs)))

    def bench(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of this checkout's bench in its folder."""
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def copy(self, folder: Path) -> Checkout:
        """Return another checkout with the same code and the same ledger."""
        shutil.copytree(self.folder, folder)
        return Checkout(folder=folder)


def make_checkout(folder: Path) -> Checkout:
    """Copy the sources of this repository and shorten iteration 4's recipe."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("bench", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("LICENSE", "README.md", "constraints.txt", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    file = folder / "models" / "iteration_4.py"
    source, changes = re.subn(r"\bepochs=15\b", f"epochs={EPOCHS}", file.read_text())
    assert changes == 1
    file.write_text(source)
    return Checkout(folder=folder)
