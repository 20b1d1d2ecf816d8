"""`bench search` from outside: what it trains, shows and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from planted_runs import CONDITIONS, make_run, plant_ledger
from spaces_for_tests import NETWORK, RATES, read, read_family

import bench
from bench.commands.search import command
from bench.errors import SearchError
from bench.ledger import read_ledger
from bench.searching.studies import Study, Trial

ROOT = Path(bench.__file__).parent.parent
SPACE = """
model = "tiny.py:Tiny"
base_recipe = "iteration_4"
parameters = 1_500
seeds = 2
keep = 2
window = 1
beside = 2
random_seed = 2

[recipe]
epochs = 1
batch_size = 64
schedule.rate = { from = 0.02, to = 0.2, log = true }

[arguments]
width = { from = 4, to = 20, step = 8 }
"""
TRIALS = 3
WITHOUT = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusal())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(
    folder: Path, *arguments: str, without: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.replace("REFUSED", repr(without))
    return subprocess.run(
        [sys.executable, "-c", program, "search", *arguments, "--dataset", "digits"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def train(folder: Path) -> Result:
    """Search in this process, which need not import torch once more."""
    arguments = [
        "space.toml", "--trials", str(TRIALS), "--device", "cpu", "--engine", "eager",
        "--dataset", "digits",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(command, arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network, its space, and a study of it."""
    pytest.importorskip("optuna")
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("[tool.bench]\n")
    (folder / "tiny.py").write_text(NETWORK)
    (folder / "space.toml").write_text(SPACE)
    done = train(folder)
    assert (done.exception, done.return_value) == (None, 0), done.stderr
    return folder


def results(folder: Path, *arguments: str) -> dict[str, Any]:
    done = run(folder, "space.toml", "--results", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_run_is_by_a_tuning_seed_on_the_split(project: Path) -> None:
    """240 of the 1,438 training images are what it is scored on; the 359 of the test are not."""
    runs = [
        run
        for file in (project / "reports/search/space/ledger/digits").glob("*.jsonl")
        for run in read_ledger(file).runs
    ]
    assert {run.seed for run in runs} <= {1_000_000, 1_000_001}
    assert {epoch.validation_total for run in runs for epoch in run.epochs} == {240}
    assert {epoch.training_total for run in runs for epoch in run.epochs} == {1_198}
    assert len(runs) == results(project)["tally"]["runs"]


def test_the_budget_keeps_networks_out(project: Path) -> None:
    """A width of 20 has 20 * 25 + 20 + 40 + 20 * 90 + 10 parameters: 2,370."""
    document = results(project)
    trials = (project / "reports/search/space/trials.jsonl").read_text().splitlines()
    drawn = [json.loads(line) for line in trials]
    assert [t.get("parameters") for t in drawn if t.get("over_budget")] == [
        2_370 for t in drawn if t["drawn"]["arguments.width"] == 20
    ]
    for each in document["configurations"]:
        width = each["changes"]["arguments.width"]
        assert each["parameters"] == width * 25 + width + 2 * width + width * 90 + 10 < 1_500
    assert document["tally"]["drawn"] == TRIALS
    assert document["tally"]["over_budget"] == 1


def test_the_same_command_again_trains_nothing(project: Path) -> None:
    before = {f: f.read_bytes() for f in (project / "reports/search/space").rglob("*.jsonl")}
    done = train(project)
    assert (done.exception, done.return_value) == (None, 0), done.stderr
    assert f"{TRIALS} drawn already" in done.stderr
    assert "seed 1000000" not in done.stderr
    assert before == {
        f: f.read_bytes() for f in (project / "reports/search/space").rglob("*.jsonl")
    }


def test_results_need_neither_torch_nor_optuna(project: Path) -> None:
    """And the table, the Markdown and the JSON have the same figures."""
    without = ("torch", "optuna")
    document = results(project)
    best = document["configurations"][0]
    shown = f"{int(best['mean'] * 10_000) / 100:.2f} %"
    for form in ("table", "markdown"):
        done = run(project, "space.toml", "--results", "--format", form, without=without)
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout
        assert f"{TRIALS} configurations drawn" in done.stdout


def test_the_recipe_of_the_best_is_written(project: Path, tmp_path: Path) -> None:
    """With the command that trains it, arguments and all."""
    file = tmp_path / "best.toml"
    done = run(project, "space.toml", "--results", "--write", str(file))
    best = results(project)["configurations"][0]
    recipe = tomllib.loads(file.read_text())
    assert recipe["schedule"]["rate"] == best["changes"]["schedule.rate"]
    assert (recipe["epochs"], recipe["batch_size"]) == (1, 64)
    width = best["changes"]["arguments.width"]
    assert f"--recipe {file} --argument width={width} --dataset digits" in done.stderr
    again = run(project, "space.toml", "--results", "--write", str(file))
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "exists" in again.stderr


def test_another_number_may_be_picked(project: Path, tmp_path: Path) -> None:
    *others, last = results(project)["configurations"]
    assert others
    file = tmp_path / "other.toml"
    number = str(last["number"])
    assert run(project, "space.toml", "--results", "--write", str(file), "--pick", number)
    assert tomllib.loads(file.read_text())["schedule"]["rate"] == last["changes"]["schedule.rate"]
    done = run(project, "space.toml", "--results", "--write", str(tmp_path / "x"), "--pick", "99")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no configuration 99" in done.stderr


def test_no_recipe_is_written_of_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that says of a configuration what today's code does not make of it."""
    monkeypatch.chdir(tmp_path)
    Path("space.toml").write_text(RATES)
    space, family = read(RATES), read_family(RATES)
    drawn = dict.fromkeys(family.fields, 0)
    iteration = replace(family.recall(drawn), fingerprint="f" * 64)
    study = Study(Path("study"))
    identity = {"space": dict(space.written), "base": family.base.fingerprint}
    study.begin({**identity, "challenge": "mnist"}, space.path)
    study.put(
        Trial(
            number=0, drawn=drawn, iteration=iteration.name, fingerprint=iteration.fingerprint,
            parameters=7_924, conditions=CONDITIONS,
        )
    )  # fmt: skip
    plant_ledger(study.ledger, [make_run(iteration=iteration, seed=1_000_000)])
    arguments = ["space.toml", "--study", "study", "--results", "--write", "best.toml"]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert isinstance(done.exception, SearchError), done.exception
    assert "configuration 0 is of other code" in str(done.exception)
    assert not Path("best.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "SPACE.toml: missing"),
        (("none.toml",), "none.toml: cannot be read"),
        (("space.toml", "--pick", "3"), "--pick 3: says whose recipe to write"),
        (("space.toml", "--results", "--study", "nowhere"), "nowhere: no study there"),
        (("space.toml", "--engine", "plain"), "space.toml: engine was 'eager' when"),
        (("space.toml", "--time-budget", "soon"), "--time-budget soon: not a duration"),
        (("claims.toml",), "claims.toml: first_seed: 0 is a claim seed"),
    ],
)
def test_a_wrong_call_is_one_line(project: Path, arguments: tuple[str, ...], message: str) -> None:
    (project / "claims.toml").write_text(f"first_seed = 0\n{SPACE}")
    done = run(project, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"bench: error: {message}")
    assert done.stderr.count("\n") == 1


def test_without_optuna_one_line_says_how_to_get_it(project: Path) -> None:
    done = run(project, "space.toml", "--study", "other", without=("optuna",))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'drilldown[search]'" in done.stderr


def test_the_template_is_printed(tmp_path: Path) -> None:
    """Neither torch nor Optuna is needed, nor a project."""
    done = run(tmp_path, "--template", without=("torch", "optuna"))
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["model"] == "iteration_4"
