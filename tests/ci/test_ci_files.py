"""Workflows, action, hooks and example against their published schemas; scripts by shellcheck."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pre_commit.clientlib import load_manifest
from workspaces import ROOT

from bench.cli import COMMANDS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = [
    *(("github-workflows", path) for path in WORKFLOWS),
    ("github-actions", ROOT / "action.yml"),
    ("gitlab-ci", ROOT / "docs" / "examples" / "gitlab-ci.yml"),
]
SCRIPTS = [
    ROOT / ".ci" / "run",
    ROOT / "bench" / "ci" / "action.sh",
    ROOT / "docs" / "examples" / "slurm.sh",
]


def check(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against a schema that check-jsonschema carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True)


def read_yaml(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(("schema", "path"), FILES, ids=lambda value: getattr(value, "name", value))
def test_a_file_is_what_its_schema_says(schema: str, path: Path, tmp_path: Path) -> None:
    """The published schema takes it, and refuses it once a needed part is gone."""
    done = check(schema, path)
    assert done.returncode == 0, done.stdout

    broken = tmp_path / path.name
    needed = {"github-workflows": "runs-on:", "github-actions": "using:", "gitlab-ci": "script:"}
    broken.write_text(path.read_text(encoding="utf-8").replace(needed[schema], "x-nothing:"))
    assert check(schema, broken).returncode == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    """Scripts that run in CI or on a cluster are free of what shellcheck knows to go wrong."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    shellcheck = shutil.which("shellcheck", path=places)
    assert shellcheck is not None

    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_action_hands_every_input_to_its_script() -> None:
    """Each input but those of other steps is a variable that the script reads, and none is text."""
    action = read_yaml(ROOT / "action.yml")
    script = (ROOT / "bench" / "ci" / "action.sh").read_text(encoding="utf-8")
    step = action["runs"]["steps"][-1]

    handed = {name for name in action["inputs"] if f"INPUT_{name.upper()}" in step["env"]}
    assert handed == set(action["inputs"]) - {"python-version", "working-directory"}
    assert all(f"INPUT_{name.upper()}" in script for name in handed)
    assert "${{" not in step["run"]
    told = set(re.findall(r"^tell(?:_file)? ([\w-]+) ", script, re.MULTILINE))
    assert told == set(action["outputs"])
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.{step['id']}.outputs.{name} }}}}"


def test_this_repository_uses_its_own_action() -> None:
    """The workflow's gate is the action, with inputs that it has, on a clone that has the base."""
    (workflow,) = map(read_yaml, WORKFLOWS)
    steps = workflow["jobs"]["ci"]["steps"]
    (gate,) = [step for step in steps if step.get("uses") == "./"]

    assert set(gate["with"]) <= set(read_yaml(ROOT / "action.yml")["inputs"])
    checkout = next(step for step in steps if step.get("uses", "").startswith("actions/checkout"))
    assert checkout["with"]["fetch-depth"] == 0


def test_the_hooks_count_parameters_and_say_that_they_execute_model_files() -> None:
    """pre-commit takes the manifest; each hook is a command of ours, and its name warns."""
    hooks = load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))

    assert [hook["id"] for hook in hooks] == ["bench-budget", "bench-budget-system"]
    for hook in hooks:
        program, command = hook["entry"].split()
        assert program == "bench"
        assert command in COMMANDS
        assert hook["pass_filenames"] is False
        assert "executes the model files" in hook["name"]
        assert re.search(hook["files"], "models/iteration_4.py")


def test_the_gitlab_job_keeps_what_it_wrote() -> None:
    """The example's artefacts are the files that its command writes."""
    job = read_yaml(ROOT / "docs" / "examples" / "gitlab-ci.yml")["gate"]
    words = job["script"][0].split()
    written = {
        option: words[words.index(option) + 1] for option in ("--junit", "--json", "--badge")
    }

    assert job["artifacts"]["reports"]["junit"] == written["--junit"]
    assert set(job["artifacts"]["paths"]) == {written["--json"], written["--badge"]}
    assert job["allow_failure"] == {"exit_codes": 3}
