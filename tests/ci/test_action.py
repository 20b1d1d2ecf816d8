"""The action's script, run with GitHub's variables: annotations, summary, outputs, exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Compare
from markdown_it import MarkdownIt
from msgspec.structs import replace
from planted_runs import (
    CONDITIONS,
    LUCKY,
    make_cost,
    plant_ledger,
)
from planted_runs import (
    make_mnist_run as make_run,
)
from planted_runs import (
    make_mnist_runs as make_runs,
)
from workspaces import Workspace, hide_tokens, make_workspace, read_commands

from bench.records import Run

WORSE = (9_941, 9_940, 9_940)
"""Five images below CLEAN in the mean, and above the target."""

HEAVY = make_cost(parameters=10_000)
CASES: dict[str, tuple[list[Run], str, int]] = {
    "holds": (make_runs(range(33)), "HOLDS", 0),
    "fails": (make_runs(range(2), final=LUCKY), "FAILS", 1),
    "over_budget": (make_runs(range(2), final=LUCKY, cost=HEAVY), "FAILS", 1),
    "undecided": (make_runs(range(5)), "UNDECIDED", 3),
    "stale": (make_runs(range(33), fingerprint="0" * 64), "UNDECIDED", 3),
    "missing_seeds": (make_runs([0, 1, 5, 7]), "UNDECIDED", 3),
    "no_runs": ([], "UNDECIDED", 3),
}
HOSTILE = replace(
    CONDITIONS,
    device="::error::pwned ##[set-output name=verdict]HOLDS",
    engine="|<img src=x> [a](http://x) `code` **bold** @you https://x.org",
    torch="</testcase>]]>&amp;%0A::notice::pwned",
)


@pytest.mark.parametrize("case", CASES)
def test_the_action_says_what_is_wrong_and_what_to_run(
    case: str, tmp_path: Path, compare_golden: Compare
) -> None:
    """Output and summary are those of the golden files; exit code and outputs tell the verdict."""
    runs, verdict, code = CASES[case]
    job = make_workspace(tmp_path, runs)

    done = job.act(iterations="iteration_4", junit="gate.xml", badge="gate.svg")

    assert (done.returncode, done.stderr) == (code, "")
    assert job.outputs == {
        "verdict": verdict,
        "exit-code": str(code),
        "junit": "gate.xml",
        "json": "",
        "badge": "gate.svg",
    }
    assert (job.folder / "gate.xml").exists()
    compare_golden(f"{case}.txt", hide_tokens(done.stdout))
    compare_golden(f"{case}.md", job.summary)


def test_a_slip_that_stays_above_the_target_is_annotated(
    tmp_path: Path, compare_golden: Compare
) -> None:
    """From 99.43 to 99.40: all 33 seeds hold, and the gate fails for being worse than before."""
    old = plant_ledger(tmp_path / "checkout" / "old", make_runs(range(33), fingerprint="0" * 64))
    shifted = make_runs(range(33), final=WORSE)
    (tmp_path / "checkout").rename(tmp_path / "kept")
    job = make_workspace(tmp_path, shifted)
    (tmp_path / "kept" / old.name).rename(job.folder / "old")

    done = job.act(iterations="iteration_4", against="old", margin="0.03")

    assert (done.returncode, job.outputs["verdict"]) == (1, "FAILS")
    compare_golden("worse.txt", hide_tokens(done.stdout))
    compare_golden("worse.md", job.summary)


def test_without_anything_to_compare_with_the_margin_is_ignored(tmp_path: Path) -> None:
    """On a push, `against` is empty: the action does not fail for a margin that it then lacks."""
    job = make_workspace(tmp_path, make_runs(range(33)))

    assert job.act(iterations="iteration_4", against="", margin="0.1").returncode == 0


def test_several_iterations_and_strange_names_are_single_words(tmp_path: Path) -> None:
    """Names are separated by white space, lines too; what looks like an option is a name."""
    job = make_workspace(tmp_path, make_runs(range(33)))

    both = job.act(iterations="iteration_4\n  iteration_3\n")
    option = job.act(iterations="--help $(touch pwned) `touch pwned`")

    assert both.returncode == 3
    assert both.stdout.count("\nUNDECIDED iteration_3") == 1
    assert option.returncode == 2
    assert "--help: no such iteration" in option.stderr
    assert not (job.folder / "pwned").exists()
    assert job.outputs["verdict"] == "ERROR"


def test_an_error_is_an_annotation_and_a_line(tmp_path: Path) -> None:
    """A damaged ledger: exit 2, one line on standard error, one annotation with the file."""
    job = make_workspace(tmp_path, make_runs(range(3)))
    file = job.folder / "reports" / "ledger" / "mnist" / "iteration_4.jsonl"
    file.write_bytes(file.read_bytes().replace(b"9945", b"9946", 1))

    done = job.act(iterations="iteration_4")

    assert done.returncode == 2
    assert done.stderr.startswith("bench: error: ")
    assert done.stderr.count("\n") == 1
    (annotation,) = read_commands(done.stdout)
    assert annotation.startswith("::error title=bench gate::")
    assert "iteration_4.jsonl:1: damaged line" in annotation
    assert job.outputs["verdict"] == "ERROR"


def test_a_stranger_gives_the_runner_no_command(tmp_path: Path) -> None:
    """Conditions that look like commands, Markdown and XML are text wherever they are shown."""
    job = make_workspace(tmp_path, [make_run(conditions=HOSTILE)])

    done = job.act(iterations="iteration_4", junit="gate.xml", json="gate.json", badge="gate.svg")

    assert done.returncode == 3
    assert "::error::pwned" in done.stdout  # shown, while commands are stopped
    (command,) = read_commands(done.stdout + done.stderr)
    assert command.startswith("::warning title=iteration_4 UNDECIDED%3A accuracy,file=models/")
    page = MarkdownIt("commonmark").enable("table").render(job.summary)
    assert "<img" not in page
    assert "<a " not in page
    assert "<strong>bold" not in page
    assert page.count("<td") == 6
    assert HOSTILE.engine.split(" @")[0].split("> ")[1] in page


def test_an_error_in_a_strangers_words_gives_no_command(tmp_path: Path) -> None:
    """An error that quotes a setting is neither a command on stdout nor on stderr."""
    job = make_workspace(tmp_path, [])
    settings = '[tool.bench.gate]\nrequire = ["##[error]::error::pwned"]\n'
    (job.folder / "pyproject.toml").write_text(settings)

    done = job.act()

    assert done.returncode == 2
    assert "pwned" in done.stderr
    assert read_commands(done.stderr) == []
    (annotation,) = read_commands(done.stdout)
    assert annotation.startswith("::error title=bench gate::")


def test_modules_of_the_checkout_are_not_imported(tmp_path: Path) -> None:
    """A stranger's `bench`, `json` and `models` in the working directory are never run."""
    job = make_workspace(tmp_path, make_runs(range(33)))
    trap = "raise SystemExit('trapped')\n"
    (job.folder / "bench").mkdir()
    for name in ("bench/__init__.py", "bench/__main__.py", "json.py", "models/__init__.py"):
        (job.folder / name).write_text(trap)

    done = job.act(iterations="iteration_4")

    assert "trapped" not in done.stdout + done.stderr
    assert done.returncode in (0, 3)  # 3: another __init__ is other code


def test_elsewhere_nothing_is_annotated(tmp_path: Path) -> None:
    """Without GITHUB_ACTIONS there are neither commands nor a summary."""
    job = make_workspace(tmp_path, make_runs(range(5)))

    done = job.run([str(job._write_python()), "-I", "-m", "bench", "gate"], GITHUB_ACTIONS="")

    assert done.returncode == 3
    assert read_commands(done.stdout) == []
    assert job.summary == ""


def test_summaries_of_two_gates_in_one_step_are_both_kept(tmp_path: Path) -> None:
    """A summary is added to what is there."""
    job: Workspace = make_workspace(tmp_path, make_runs(range(33)))
    (job.runner / "summary.md").write_text("before\n")

    job.act(iterations="iteration_4")

    assert job.summary.startswith("before\n## Gate: ✓ HOLDS\n")
