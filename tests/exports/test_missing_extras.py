"""Without the library of an export, one line says how to install it."""

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

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlflow", "pyarrow", "tensorboard", "torch"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusal())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("form", "extra"),
    [("mlflow", "mlflow"), ("parquet", "parquet"), ("tensorboard", "tensorboard")],
)
def test_a_missing_library_is_one_line(ledger: Path, tmp_path: Path, form: str, extra: str) -> None:
    """Exit code 2, the command that installs it, no traceback, and nothing half written."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "export", "--format", form],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"pip install 'drilldown[{extra}]'" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]
