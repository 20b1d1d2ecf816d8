"""`bench --help` loads nothing that computes: it answers before a user wonders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench

ROOT = Path(bench.__file__).parent.parent
PROGRAM = """
import sys
from bench.cli import main
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def list_loaded(*arguments: str) -> set[str]:
    """Return the top-level packages that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_neither_torch_nor_scipy(option: str) -> None:
    """Nor numpy, msgspec, rich or jinja2: click and the names of the commands are enough."""
    loaded = list_loaded(option)

    assert "click" in loaded
    assert loaded.isdisjoint({"torch", "scipy", "numpy", "msgspec", "rich", "jinja2", "models"})


def test_a_forecast_needs_scipy_and_no_torch() -> None:
    """`bench power` computes, so the check above can fail; and no network is loaded for it."""
    loaded = list_loaded("power")

    assert "scipy" in loaded
    assert loaded.isdisjoint({"torch", "torchvision", "models"})
