"""A pull request from a stranger is judged, gated and reported without running its code.

The repository is a copy of ours with model files that leave a mark when they are run and a ledger
full of links. Python's own audit events tell what the command opens, imports, compiles and starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted_runs import make_runs, plant_ledger

import bench
from bench.iterations import read_iteration

ROOT = Path(bench.__file__).parent.parent

TRAP = """
import pathlib, pickle, socket, subprocess
(pathlib.Path(__file__).parent / "TRAPPED").write_text("run")
"""
HOSTILE = f"""
{TRAP}
from models.helper import Network as Base
NARRATIVE = Narrative(title="[/bold] [red]</script><script>alert(1)</script>", target=("a",))
RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), batch_size=128, epochs=15)
class Network(Base):
    {TRAP.replace(chr(10), chr(10) + "    ")}
"""

AUDIT = """
import contextlib, importlib, os, sys

root, page = sys.argv[1:3]
told = []


def writes(mode, flags):
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)


def audit(event, arguments):
    if event == "open":
        name, mode, flags = arguments
        if isinstance(name, int) or not writes(mode, flags):
            return
        name = os.path.abspath(os.fsdecode(name))
        if os.path.dirname(name) != os.path.dirname(page) or name.endswith(".jsonl"):
            told.append(f"writes {name}")
    elif event == "import":
        if arguments[0].startswith("models.") and arguments[0].split(".")[1] != "recipe":
            told.append(f"imports {arguments[0]}")
    elif event == "exec":
        name = arguments[0].co_filename
        if os.path.dirname(name).endswith("models") and not name.endswith("__init__.py"):
            told.append(f"runs {name}")
    elif event.partition(".")[0] in ("socket", "subprocess", "ctypes", "urllib") or event in (
        "pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn",
        "os.link", "os.symlink", "os.remove", "os.rmdir", "shutil.rmtree",
    ):
        told.append(event)


from bench.cli import main
import bench.commands.judge, bench.commands.gate, bench.commands.report, bench.commands.list

sys.dont_write_bytecode = True
sys.addaudithook(audit)
if sys.argv[3] == "import":
    code = 0
    with contextlib.suppress(NameError):
        importlib.import_module(sys.argv[4])
else:
    code = main(sys.argv[3:])
print(*told, sep="\\n", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a copy of our sources into which a stranger put an iteration, helpers and links."""
    root = tmp_path / "repository"
    for package in ("bench", "models"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (root / "pyproject.toml").write_text("[tool.bench]\n")
    (root / "models" / "iteration_99.py").write_text(HOSTILE)
    (root / "models" / "helper.py").write_text(f"{TRAP}\nclass Network: pass\n")
    (root / "conftest.py").write_text(TRAP)
    (root / "sitecustomize.py").write_text(TRAP)
    ledger = plant_ledger(root / "reports" / "ledger", make_runs(range(33)))
    iteration = read_iteration(root / "models" / "iteration_99.py")
    plant_ledger(ledger, make_runs(range(33), iteration=iteration))
    return root


def audited(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the stranger's folder; standard error tells what it should not have done."""
    page = root / "reports" / "index.html"
    return subprocess.run(
        [sys.executable, "-P", "-c", AUDIT, str(root), str(page), *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "trusted"), "COLUMNS": "300"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def trusted(repository: Path) -> Path:
    """Return the repository with a `bench` that reads its models, and no other of its modules.

    A reader of a pull request has `bench`, `models/__init__.py` and `models/recipe` from a
    commit of his own; here they are ours, in front of the stranger's folder.
    """
    folder = repository / "trusted"
    folder.mkdir()
    for package in ("bench", "models"):
        (folder / package).symlink_to(repository / package)
    return repository


COMMANDS = [
    ["judge"],
    ["judge", "--format", "json"],
    ["judge", "--format", "markdown"],
    ["gate", "iteration_99", "iteration_4"],
    ["gate", "iteration_99", "iteration_4", "--against", "./reports/ledger"],
    ["watch", "--once"],
    ["list"],
    ["report"],
    ["compare", "iteration_4", "iteration_99"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nothing_of_a_stranger_is_run(trusted: Path, arguments: list[str]) -> None:
    """No model file is imported or run, nothing but the page written, nothing started or loaded."""
    before = sorted(trusted.rglob("*"))

    done = audited(trusted, *arguments)

    assert done.stderr.strip() == ""
    assert done.returncode in (0, 3)
    page = trusted / "reports" / "index.html"
    assert sorted(set(trusted.rglob("*")) - {page}) == before
    assert page.exists() == (arguments == ["report"])


def test_the_audit_tells_when_a_model_file_is_run(trusted: Path) -> None:
    """The hook hooks: once the model file is imported, the audit says all that it does."""
    done = audited(trusted, "import", "models.iteration_99")

    assert "imports models.helper" in done.stderr
    assert "writes " in done.stderr
    assert "runs " in done.stderr
    assert (trusted / "models" / "TRAPPED").exists()


def test_a_script_of_a_stranger_is_text_on_the_page(trusted: Path) -> None:
    """The title of a narrative is shown and never becomes an element."""
    audited(trusted, "report")

    page = (trusted / "reports" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "alert(1)" in page


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["link", "folder link", "pipe", "device"])
def test_a_ledger_of_links_is_one_line(trusted: Path, kind: str, arguments: list[str]) -> None:
    """Links out of the ledger, pipes and devices in it are an error of one line, exit code 2."""
    file = trusted / "reports" / "ledger" / "mnist" / "iteration_99.jsonl"
    secret = trusted.parent / "secret" / "iteration_99.jsonl"
    secret.parent.mkdir()
    secret.write_text("the secret\n")
    file.unlink()
    if kind == "link":
        file.symlink_to(secret)
    elif kind == "folder link":
        shutil.rmtree(file.parent)
        file.parent.symlink_to(secret.parent)
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")

    done = audited(trusted, *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("bench: error: ")
    assert done.stderr.strip().count("\n") == 0
    assert "secret\n" not in done.stdout + done.stderr


def test_a_page_that_is_a_link_is_replaced_and_not_followed(trusted: Path) -> None:
    """A stranger's link in the place of the page leads to a refusal, and its target is whole."""
    target = trusted.parent / "target"
    target.write_text("mine")
    (trusted / "reports" / "index.html").symlink_to(target)

    done = audited(trusted, "report")

    assert done.returncode == 2
    assert "leads out of" in done.stderr
    assert target.read_text() == "mine"
