"""Shells complete commands, options, iterations and challenges, at once and without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

import bench
from bench.cli import COMMANDS, main
from bench.cli import bench as group

ROOT = Path(bench.__file__).parent.parent
COMPLETE_ALL = """
import os, sys
from click.shell_completion import BashComplete
from bench.cli import COMMANDS, bench
for command in COMMANDS:
    os.environ.update(COMP_WORDS=f"bench {command} --", COMP_CWORD="2")
    assert "--help" in BashComplete(bench, {}, "bench", "_BENCH_COMPLETE").complete()
assert "rich" in sys.modules
print(*{"torch", "torchvision", "sklearn"} & set(sys.modules))
"""
COMPLETE_NAMES = """
import os, sys
os.environ.update(COMP_WORDS="bench j", COMP_CWORD="1", _BENCH_COMPLETE="bash_complete")
from bench.cli import main
try:
    main([])
finally:
    print(*{"torch", "numpy", "scipy", "msgspec", "rich"} & set(sys.modules), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complete(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what click answers to a shell whose line ends where the cursor is."""
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    answer = BashComplete(group, {}, "bench", "_BENCH_COMPLETE").complete()
    return [item.removeprefix("plain,") for item in answer.splitlines()]


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_commands_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their beginning, all of them after nothing."""
    assert complete("bench co", monkeypatch) == ["cost", "compare", "completion"]
    assert complete("bench ", monkeypatch) == list(COMMANDS)
    assert complete("bench --v", monkeypatch) == ["--version"]


@pytest.mark.parametrize(
    "words", ["run", "judge", "watch", "gate", "cost", "compare iteration_2", "recipe", "report",
              "judge --recipe"],
)  # fmt: skip
def test_iterations_are_completed(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a command takes one."""
    found = complete(f"bench {words} iter", monkeypatch)

    assert found[:4] == ["iteration_1", "iteration_2", "iteration_3", "iteration_4"]


def test_iterations_of_the_projects_own_are_completed_unread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of their numbers, from files that are not even Python."""
    (folder / "pyproject.toml").write_text("[tool.bench]\n")
    (folder / "models").mkdir()
    for name in ("iteration_2", "iteration_10", "iteration_x", "skeleton"):
        (folder / "models" / f"{name}.py").write_text("not ( python")

    assert complete("bench judge ", monkeypatch) == ["iteration_2", "iteration_10"]


def test_what_is_no_iteration_is_completed_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file takes the place of an iteration: the shell looks for it."""
    assert complete("bench run my_mod", monkeypatch) == ["file,my_mod"]


def test_challenges_are_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the harness and of the project; else files, which hold challenges too."""
    (folder / "pyproject.toml").write_text("[tool.bench.challenges.clothes]\n")

    assert complete("bench judge --challenge ", monkeypatch) == [
        "auto", "mnist", "digits", "clothes",
    ]  # fmt: skip
    assert complete("bench watch --challenge c", monkeypatch) == ["clothes"]
    assert complete("bench run --dataset m", monkeypatch) == ["mnist"]
    assert complete("bench judge --challenge own.t", monkeypatch) == ["file,own.t"]


def test_wrong_settings_are_no_error_while_a_line_is_typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told when the command runs."""
    (folder / "pyproject.toml").write_text("[tool.bench]\nmodels = 3\n")

    assert complete("bench judge iter", monkeypatch) == ["file,iter"]
    assert complete("bench judge --challenge di", monkeypatch) == ["digits"]


def test_no_completion_loads_torch() -> None:
    """The options of every command are completed in one process that never loads it."""
    done = run_python(COMPLETE_ALL)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_completing_a_command_loads_none() -> None:
    """The names of the commands are known without importing any: neither numpy nor rich."""
    done = run_python(COMPLETE_NAMES)

    assert (done.returncode, done.stdout, done.stderr.strip()) == (0, "plain,judge\n", "")


@pytest.mark.parametrize(
    ("shell", "says"),
    [("bash", "complete -o nosort -F _bench_completion bench"), ("zsh", "#compdef bench"),
     ("fish", "complete --no-files --command bench")],
)  # fmt: skip
def test_the_script_is_that_of_the_shell(
    shell: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It names the program and the variable in which the shell asks."""
    assert main(["completion", shell]) == 0

    script = capfd.readouterr().out
    assert says in script
    assert f"_BENCH_COMPLETE={shell}_complete" in script


def test_another_shell_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """The shells that there are scripts for are named."""
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capfd.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_real_bash_completes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The script is sourced, and the function that it registers fills COMPREPLY."""
    main(["completion", "bash"])
    (folder / "completion.bash").write_text(capfd.readouterr().out)
    program = folder / "bench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    program.chmod(0o755)
    line = (
        "source ./completion.bash; COMP_WORDS=(bench judge iteration_); COMP_CWORD=2; "
        '_bench_completion ./bench; echo "${COMPREPLY[@]}"; complete -p bench'
    )

    done = subprocess.run(
        ["bash", "--norc", "-c", line],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith("iteration_1 iteration_2 iteration_3 iteration_4")
    assert done.stdout.endswith("-F _bench_completion bench\n")
