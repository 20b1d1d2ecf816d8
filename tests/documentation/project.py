"""A folder in which the commands of README and docs find what they take for granted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
NETWORK = '''"""A network that nobody here wrote."""

import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, dropout=0.1, norm="batch"):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.norm1 = nn.BatchNorm2d(8) if norm == "batch" else nn.GroupNorm(2, 8)
        self.conv2 = nn.Conv2d(8, 10, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.dropout(F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2))
        return F.log_softmax(F.adaptive_avg_pool2d(self.conv2(x), 1).flatten(1), dim=1)
'''
CHALLENGE = """dataset = "digits"
target = "0.92"
epochs = 15
parameters = 10_000
"""
"""`clothes` of docs/challenges.md, on images that need no download."""
SETTINGS = f"""[tool.bench]
challenge = "mnist"

[tool.bench.gate]
require = ["iteration_4"]

[tool.bench.challenges.clothes]
{CHALLENGE}"""
RECIPE = """batch_size = 64
epochs = 2

[optimizer]
kind = "SGD"
momentum = 0.9

[schedule]
kind = "OneCycleLR"
max_lr = 0.1
"""


def make_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which `bench` is this checkout's, and no data is named."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    script = programs / "bench"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m bench "$@"\n')
    script.chmod(0o755)
    dropped = ("BENCH_DATA", "GITHUB_ACTIONS", "MLFLOW_TRACKING_URI")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",  # as many commands at once as there are cores
        "NO_COLOR": "1",
    }


def make_project(folder: Path, environment: dict[str, str]) -> Path:
    """Write models, recipes, submissions, pictures and two ledgers, one of them trained now."""
    folder.mkdir()
    shutil.copytree(
        ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "reports" / "ledger" / "mnist", folder / "reports" / "ledger" / "mnist")
    _write_files(folder)
    _write_pictures(folder / "path" / "to" / "folder")
    train = ["bench", "run", "iteration_4", "--dataset", "digits", "--seeds"]
    elsewhere = ["--ledger", "from_gpu/ledger", "--page", "gpu.html"]
    for arguments in (["1"], ["1-1", "--epochs", "1", *elsewhere]):
        _run([*train, *arguments], folder, environment)
    _commit(folder, environment)
    return folder


def _write_files(folder: Path) -> None:
    claims = re.search(r"```csv\n(.*?)```", (ROOT / "docs" / "grading.md").read_text(), re.DOTALL)
    assert claims is not None
    cells = [{"cell_type": "code", "source": NETWORK, "metadata": {}, "outputs": []}]
    files = {
        "pyproject.toml": SETTINGS,
        "model.py": NETWORK,
        "path/to/model.py": NETWORK,
        "package/__init__.py": "",
        "package/module.py": NETWORK,
        "notebook.ipynb": json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}),
        "recipe.toml": RECIPE,
        "my_recipe.toml": RECIPE,
        "clothes.toml": CHALLENGE,
        "other.toml": f"[challenges.clothes]\n{CHALLENGE}",
        "SUBMISSIONS/anna/model.py": NETWORK,
        "SUBMISSIONS/ben.py": NETWORK,
        "SUBMISSIONS/ben.toml": RECIPE,
        "claims.csv": claims[1],
        "DIR/README": "A folder without images.\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _write_pictures(folder: Path) -> None:
    for side in ("training", "validation"):
        for shade, name in ((30, "dark"), (220, "light")):
            (folder / side / name).mkdir(parents=True)
            for number in range(12):
                picture = Image.new("L", (28, 28), shade + number)
                picture.save(folder / side / name / f"{number}.png")


def _commit(folder: Path, environment: dict[str, str]) -> None:
    author = ["-c", "user.name=Reader", "-c", "user.email=reader@example.org"]
    _run(["git", "init", "-q", "-b", "main"], folder, environment)
    _run(["git", "add", "-A"], folder, environment)
    _run(["git", *author, "commit", "-q", "-m", "A project"], folder, environment)
    _run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], folder, environment)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
