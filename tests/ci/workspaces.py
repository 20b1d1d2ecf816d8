"""A job on GitHub that never was: a checkout, a runner's variables, and the action's script."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planted_runs import plant_ledger

import bench
from bench.iterations import MODELS
from bench.records import Run

ROOT = Path(bench.__file__).parent.parent
SCRIPT = ROOT / "bench" / "ci" / "action.sh"
GOLDEN = ROOT / "tests" / "golden" / "ci"
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A checkout with models and a ledger of its own, and where a runner keeps its files."""

    folder: Path
    runner: Path

    @property
    def summary(self) -> str:
        """Return the summary of the step, empty when there is none."""
        path = self.runner / "summary.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def outputs(self) -> dict[str, str]:
        """Return the outputs of the step as GitHub reads them."""
        lines = (self.runner / "output").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", maxsplit=1) for line in lines)

    @property
    def variables(self) -> dict[str, str]:
        """Return what GitHub sets for a step of a composite action."""
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.runner / "output"),
            "GITHUB_STEP_SUMMARY": str(self.runner / "summary.md"),
            "GITHUB_WORKSPACE": str(self.folder),
            "RUNNER_TEMP": str(self.runner),
        }

    def act(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the action's script with these inputs, by a Python that has the project already."""
        named = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        return self.run(["bash", str(SCRIPT)], BENCH_PYTHON=str(self._write_python()), **named)

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a step of the job."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | self.variables | variables,
            capture_output=True,
            text=True,
        )

    def _write_python(self) -> Path:
        """Return a Python that insists on being isolated, and that has this project's `bench`."""
        python = self.runner / "python"
        path, executable = shlex.quote(str(ROOT)), shlex.quote(sys.executable)
        python.write_text(
            '#!/bin/sh\n[ "$1" = -I ] || exit 99\nshift\n'
            f'PYTHONPATH={path} exec {executable} -P "$@"\n'
        )
        python.chmod(0o755)
        return python


def make_workspace(folder: Path, runs: Iterable[Run]) -> Workspace:
    """Return a checkout with our models and a ledger of these runs."""
    checkout, runner = folder / "checkout", folder / "runner"
    runner.mkdir(parents=True)
    shutil.copytree(MODELS, checkout / "models", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "pyproject.toml").write_text("[tool.bench]\n")
    plant_ledger(checkout / "reports" / "ledger", runs)
    return Workspace(folder=checkout, runner=runner)


def hide_tokens(output: str) -> str:
    """Return output with its random tokens replaced: they are new each time."""
    return _TOKEN.sub("TOKEN", output)


def read_commands(output: str) -> list[str]:
    """Return the lines that a runner would take for commands, as actions/runner decides."""
    stopped, commands = None, []
    for line in output.splitlines():
        text = line.strip()
        if stopped is not None:
            stopped = None if text == f"::{stopped}::" else stopped
        elif text.startswith("::stop-commands::"):
            stopped = text.removeprefix("::stop-commands::")
        elif text.startswith("::") or "##[" in text:
            commands.append(line)
    return commands
