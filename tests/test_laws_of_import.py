"""Judging, gating and reporting need no torch, and `models` needs nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted_runs import make_mnist_runs as make_runs
from planted_runs import plant_ledger

import bench

ROOT = Path(bench.__file__).parent.parent
TRAINING_PACKAGES = ("torch", "torchvision", "fvcore", "sklearn", "PIL", "optuna")
WITHOUT_TRAINING_PACKAGES = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {TRAINING_PACKAGES}:
            raise ModuleNotFoundError(f"{{name}} is refused", name=name)

sys.meta_path.insert(0, Refusal())
from bench.cli import main
code = main(sys.argv[1:])
assert not set(sys.modules) & set({TRAINING_PACKAGES})
sys.exit(code)
"""


def run_python(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a ledger in which iteration 4 HOLDS."""
    plant_ledger(tmp_path / "reports" / "ledger", make_runs(range(33)))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "judge"),
        (["run", "--help"], "--time-budget"),
        (["cost", "--help"], "MACs"),
        (["list"], "iteration_4"),
        (["judge"], "HOLDS"),
        (["judge", "--format", "json"], '"answer": "HOLDS"'),
        (["judge", "--schema"], "json-schema.org"),
        (["watch", "--once"], "33 of 33"),
        (["completion", "zsh"], "#compdef bench"),
        (["compare", "iteration_4", "iteration_4"], "difference: +0.000"),
        (["power", "--pass-rate", "0.95"], "undecided"),
        (["gate", "iteration_4"], "HOLDS"),
        (["gate", "iteration_4", "--against", "reports/ledger", "--junit", "g.xml"], "same code"),
        (["report"], "index.html"),
        (["merge", "reports/ledger", "--ledger", "all"], "iteration_4: 33 new, 0 known"),
        (["bundle", "b.zip"], "bundle: b.zip"),
        (["export"], "export: drilldown-runs.csv, 33 rows"),
    ],
    ids=" ".join,
)
def test_reading_a_ledger_needs_no_torch(project: Path, arguments: list[str], says: str) -> None:
    """With all packages that training needs refused, the command works all the same."""
    done = run_python(project, WITHOUT_TRAINING_PACKAGES, *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout


def test_the_report_without_torch_is_a_page(project: Path) -> None:
    """The page that is written without torch is whole and gives the verdict."""
    run_python(project, WITHOUT_TRAINING_PACKAGES, "report")

    page = (project / "reports" / "index.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert "HOLDS" in page


def test_verifying_on_paper_needs_no_torch(project: Path) -> None:
    """Planted runs are all alike, so each is a copy of another: exit 1, and nothing is trained."""
    done = run_python(project, WITHOUT_TRAINING_PACKAGES, "verify", "--sample", "0")

    assert (done.returncode, done.stderr) == (1, "")
    assert "a copy: seed 0 has the same losses" in done.stdout


def test_counting_costs_does_need_torch(project: Path) -> None:
    """The refusal refuses: `bench cost` cannot do without torch, and fails for want of it."""
    done = run_python(project, WITHOUT_TRAINING_PACKAGES, "cost", "iteration_4")

    assert done.returncode not in (0, 3)
    assert "torch" in done.stderr


def test_a_wrong_seed_is_told_before_torch_is_imported(project: Path) -> None:
    """`bench run` looks at its options first, so that a typing error costs no seconds."""
    done = run_python(project, WITHOUT_TRAINING_PACKAGES, "run", "--seeds", "ten")

    assert done.returncode == 2
    assert done.stderr.startswith("bench: error: --seeds ten: not seeds")


@pytest.mark.parametrize("module", ["models", "models.recipe"])
def test_recipes_import_nothing_of_bench(module: str, tmp_path: Path) -> None:
    """Whoever reads an iteration needs the recipe types alone: no bench, no torch."""
    program = f"import sys, {module}\nprint(*(name.partition('.')[0] for name in sys.modules))"

    loaded = set(run_python(tmp_path, program).stdout.split())

    assert "models" in loaded
    assert loaded.isdisjoint({"bench", "numpy", "msgspec", *TRAINING_PACKAGES})


def test_iterations_import_nothing_of_bench(tmp_path: Path) -> None:
    """Every file of models/ runs with bench refused: a network can be taken elsewhere."""
    program = """
import importlib, pathlib, sys
sys.modules["bench"] = None
import models
for file in sorted(pathlib.Path(models.__file__).parent.glob("*.py")):
    print(importlib.import_module(f"models.{file.stem}" if file.stem != "__init__" else "models"))
"""

    done = run_python(tmp_path, program)

    assert (done.returncode, done.stderr) == (0, "")
    assert "models.iteration_4" in done.stdout


def test_reading_iterations_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """Fingerprints are computed by a Python without packages, as a commit hook might."""
    program = "from bench.iterations import list_iterations\nprint(len(list_iterations()))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
    assert int(done.stdout) >= 4
