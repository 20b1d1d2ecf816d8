"""README and docs say what the ledger and the code say."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from bench.cli import COMMANDS
from bench.documents import DOCUMENTS, fill_blocks
from bench.iterations import TRAINING_SEMANTICS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("document", DOCUMENTS)
def test_figures_are_those_of_the_committed_ledger(document: str) -> None:
    """A figure that drifted from the evidence is an error; `python -m bench.documents` mends it."""
    text = (ROOT / document).read_text()
    assert fill_blocks(text, ROOT / "reports" / "ledger") == text


def test_another_ledger_changes_the_figures(tmp_path: Path) -> None:
    """The blocks are made from the ledger: an empty one gives another table."""
    text = (ROOT / "README.md").read_text()
    assert fill_blocks(text, tmp_path) != text


def test_readme_names_sessions_and_commands_that_exist() -> None:
    """Every `nox -s NAME` and `bench NAME` of README and docs is there."""
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M))
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = document.read_text()
        assert set(re.findall(r"nox -s (\w+)", text)) <= sessions, document
        assert set(re.findall(r"`bench (\w+)", text)) <= set(COMMANDS), document


def test_the_changelog_knows_the_training_semantics() -> None:
    """A change of the engine's numbers is written down under Measurement."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"`TRAINING_SEMANTICS` is {TRAINING_SEMANTICS}." in changelog


def test_every_dependency_is_pinned() -> None:
    """Each requirement of pyproject.toml has its version in the constraints file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        requirements = requirements + extra
    for group in project["dependency-groups"].values():
        requirements = requirements + group
    names = {re.split(r"[><=]", requirement)[0].lower() for requirement in requirements}
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    pinned = {line.split("==")[0].replace("_", "-") for line in lines if "==" in line}
    assert names <= pinned


def test_readme_gives_two_commands_that_install_everything() -> None:
    """The first makes an environment and runs the bench, the second passes the tests."""
    block = re.search(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block
    commands = [line for line in block[1].splitlines() if not line.startswith("#")]
    assert len(commands) == 2
    assert shlex.split(commands[0])[:3] == ["python3", "-m", "venv"]
    assert commands[0].endswith("nox -s bench")
    assert commands[1].endswith("nox -s tests")
