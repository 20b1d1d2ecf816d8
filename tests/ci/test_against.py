"""`bench gate --against`: revisions and ledgers are read, and nothing of them is run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from planted_runs import make_mnist_run as make_run
from planted_runs import make_mnist_runs as make_runs
from planted_runs import plant_ledger
from workspaces import Workspace, make_workspace

from bench import iterations
from bench.baselines.revisions import (
    MOST_FILES,
    StoredFile,
    copy_stored_files,
    list_stored_files,
    resolve_revision,
)
from bench.cli import main
from bench.errors import BaselineError
from bench.foreign import find_iterations
from bench.iterations import read_iteration

WORSE = (9_930,) * 3
CHANGED = ("super().__init__(", "super().__init__(*(), ")
Gate = Callable[..., tuple[int, str]]


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    command = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit all that is there and return the commit."""
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--no-gpg-sign", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def change_network(job: Workspace) -> str:
    """Change iteration 4's network and return its new fingerprint."""
    file = job.folder / "models" / "iteration_4.py"
    file.write_text(file.read_text().replace(*CHANGED, 1))
    return read_iteration(file).fingerprint


@pytest.fixture
def job(tmp_path: Path) -> Workspace:
    """Return a repository whose main branch ends with iteration 4, with 40 clean runs."""
    job = make_workspace(tmp_path, make_runs(range(40)))
    for later in job.folder.glob("models/iteration_[5-9].py"):
        later.unlink()
    git(job.folder, "init", "--quiet", "--initial-branch=main")
    commit(job.folder, "base")
    return job


@pytest.fixture
def gate(
    job: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Gate:
    """Return a function that runs the gate in the repository, and gives its code and output."""
    monkeypatch.chdir(job.folder)

    def run(*arguments: str, iteration: str = "iteration_4") -> tuple[int, str]:
        code = main(["gate", iteration, *arguments])
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_branch_that_changed_nothing_is_not_worse(job: Workspace, gate: Gate) -> None:
    """A comment is no change: the same code, whatever the number of runs."""
    file = job.folder / "models" / "iteration_4.py"
    file.write_text("# a comment\n" + file.read_text())

    code, output = gate("--against", "main")

    assert code == 0
    assert "baseline: not worse than iteration_4 in main (" in output
    assert "the same code" in output


@pytest.mark.parametrize(
    ("final", "code", "standing"),
    [((9_946,) * 3, 0, "not worse"), ((9_940,) * 3, 0, "not worse"), (WORSE, 1, "worse")],
)
def test_new_code_is_compared_with_the_old_codes_own_runs(
    job: Workspace, gate: Gate, final: tuple[int, ...], code: int, standing: str
) -> None:
    """The old fingerprint is that of the old file, its runs those of the old ledger."""
    fingerprint = change_network(job)
    runs = make_runs(range(40), fingerprint=fingerprint, final=final)
    plant_ledger(job.folder / "reports" / "ledger", runs)

    found, output = gate("--against", "main")

    assert found == code
    assert f"  baseline: {standing} than iteration_4 in main (" in output
    assert "(40 pairs of seeds)" in output


def test_a_change_of_the_engine_is_other_code(
    job: Workspace, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model file is as it was, and yet its old runs are of other code: they are compared."""
    monkeypatch.setattr(iterations, "TRAINING_SEMANTICS", 2)
    without_runs, output = gate("--against", "main")
    assert without_runs == 3
    assert "the same code" not in output
    assert "no runs of the new code" in output

    new = read_iteration(job.folder / "models" / "iteration_4.py")
    ledger = job.folder / "reports" / "ledger"
    plant_ledger(ledger, make_runs(range(40), iteration=new, final=(9_940,) * 3))
    code, output = gate("--against", "main", "--margin", "0.01")

    assert code == 1
    assert "  baseline: worse than iteration_4 in main (" in output
    assert "(40 pairs of seeds)" in output
    assert "; the runs there are of another engine, or of code before the file there" in output

    commit(job.folder, "trained by the new engine")
    assert "the same code" in gate("--against", "HEAD")[1]


def test_runs_that_were_added_to_the_old_code_later_do_not_count(
    job: Workspace, gate: Gate
) -> None:
    """What is compared is what the revision had: four runs there are four pairs."""
    ledger = job.folder / "reports" / "ledger" / "mnist" / "iteration_4.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    base = commit(job.folder, "four runs")
    ledger.write_bytes(whole)
    fingerprint = change_network(job)
    plant_ledger(job.folder / "reports" / "ledger", make_runs(range(40), fingerprint=fingerprint))

    code, output = gate("--against", base)

    assert code == 3
    assert f"not shown to be as good as iteration_4 in {base[:12]}:" in output
    assert "(4 pairs of seeds)" in output
    assert "1 more pairs would decide if they went as these: 1 of the old" in output
    assert "train the old code at its revision (`git worktree add ../old REVISION`" in output
    assert "bench run iteration_4 --seeds 4-4` under the same conditions), and name" in output
    assert "; run `" not in output


def test_a_new_iteration_is_compared_with_the_latest_one_there(job: Workspace, gate: Gate) -> None:
    """iteration_5 is not in the base: iteration_4 stands for it, unless another is named."""
    old = job.folder / "models" / "iteration_4.py"
    file = old.with_name("iteration_5.py")
    file.write_text(old.read_text().replace(*CHANGED, 1))
    new = read_iteration(file)
    plant_ledger(job.folder / "reports" / "ledger", make_runs(range(40), iteration=new))

    code, output = gate("--against", "main", iteration="iteration_5")
    named, other = gate("--against", "main", "--baseline", "iteration_3", iteration="iteration_5")
    absent, error = gate("--against", "main", "--baseline", "../x", iteration="iteration_5")

    assert code == 0
    assert "not worse than iteration_4 in main (" in output
    assert named == 3
    assert "no runs that count of iteration_3 in main (" in other
    assert "bench run iteration_3 --seeds 0-39` under the same conditions" in other
    assert "; run `" not in other
    assert absent == 2
    assert "../x is not there" in error


def test_a_model_file_is_compared_with_what_it_was(job: Workspace, gate: Gate) -> None:
    """The file of the same place and class at the revision, with the same recipe."""
    file = job.folder / "nets" / "net.py"
    file.parent.mkdir()
    file.write_text("from torch import nn\n\n\nclass Net(nn.Sequential):\n    width = 8\n")
    recipe = ("--recipe", "iteration_4")
    ledger = job.folder / "reports" / "ledger"

    def plant(final: tuple[int, ...]) -> None:
        (model,) = find_iterations(("nets/net.py:Net",), recipe=recipe[1], root=job.folder)
        plant_ledger(ledger, make_runs(range(40), iteration=model, final=final))

    plant((9_946,) * 3)
    base = commit(job.folder, "a model file")
    same, unchanged = gate(*recipe, "--against", base, iteration="nets/net.py:Net")
    file.write_text(file.read_text().replace("8", "9"))
    plant((9_940,) * 3)
    code, output = gate(*recipe, "--against", base, iteration="nets/net.py:Net")

    assert same == 0
    assert "the same code" in unchanged
    assert code == 1
    assert "  baseline: worse than nets-net-Net in " in output
    assert "(40 pairs of seeds)" in output
    assert gate(*recipe, "--against", f"{base}~1", iteration="nets/net.py:Net")[0] == 2


def test_a_recipe_file_is_read_as_the_revision_has_it(
    job: Workspace, gate: Gate, tmp_path: Path
) -> None:
    """A changed recipe is other code; one that the revision has not is never read from today."""
    (job.folder / "net.py").write_text("from torch import nn\n\n\nclass Net(nn.Sequential): ...\n")
    recipe = job.folder / "fast.toml"
    recipe.write_text(
        'epochs = 15\nbatch_size = 64\n[optimizer]\nkind = "SGD"\nlr = 0.1\nmomentum = 0.9\n'
    )
    ledger = job.folder / "reports" / "ledger"

    def plant(final: tuple[int, ...]) -> None:
        (model,) = find_iterations(("net.py:Net",), recipe="fast.toml", root=job.folder)
        plant_ledger(ledger, make_runs(range(40), iteration=model, final=final))

    plant((9_946,) * 3)
    base = commit(job.folder, "a model file and its recipe")
    compare = ("--against", base, "--recipe")
    assert "the same code" in gate(*compare, "fast.toml", iteration="net.py:Net")[1]

    recipe.write_text(recipe.read_text().replace("64", "128"))
    plant((9_940,) * 3)
    for name in ("fast.toml", str(recipe)):
        code, output = gate(*compare, name, iteration="net.py:Net")
        assert code == 1
        assert "  baseline: worse than net-Net in " in output

    added, outside = job.folder / "added.toml", tmp_path / "outside.toml"
    outside.write_bytes(recipe.read_bytes())
    added.symlink_to(recipe)
    for path in (added, outside):
        code, output = gate(*compare, str(path), iteration="net.py:Net")
        assert code == 2
        assert f"--recipe {path} is not there" in output


def test_a_project_without_iterations_has_those_of_the_harness_as_recipes(
    job: Workspace, gate: Gate
) -> None:
    """`--recipe iteration_4` is ours, now as then."""
    shutil.rmtree(job.folder / "models")
    (job.folder / "net.py").write_text("from torch import nn\n\n\nclass Net(nn.Sequential): ...\n")
    commit(job.folder, "a model file alone")

    code, output = gate("--recipe", "iteration_4", "--against", "HEAD", iteration="net.py:Net")

    assert code == 3
    assert "the same code" in output


def test_an_old_file_that_cannot_be_read_is_named_as_it_was(job: Workspace, gate: Gate) -> None:
    """Not by the copy that was made of it, which is deleted."""
    file = job.folder / "models" / "iteration_4.py"
    whole = file.read_text()
    file.write_text("class :\n")
    commit(job.folder, "broken")
    file.write_text(whole)

    code, output = gate("--against", "HEAD")

    assert code == 2
    assert output.startswith("bench: error: --against HEAD (")
    assert "): models/iteration_4.py" in output
    assert "bench-against-" not in output


def test_another_ledger_is_a_baseline(job: Workspace, gate: Gate, tmp_path: Path) -> None:
    """The code that most of its runs are of is the old one; our own runs there are passed over."""
    other = plant_ledger(tmp_path / "other", make_runs(range(40), fingerprint="1" * 64))
    plant_ledger(other, make_runs(range(5), fingerprint="2" * 64, final=WORSE))
    plant_ledger(other, make_runs(range(40)))

    code, output = gate("--against", str(other))

    assert code == 0
    assert f"not worse than iteration_4 in {other}: median difference +0.000 to +0.000" in output
    assert gate("--against", str(other), "--baseline", "iteration_3")[0] == 2


def test_a_folder_in_the_checkout_never_stands_for_a_revision(job: Workspace, gate: Gate) -> None:
    """A stranger adds a folder named as the base: the gate is not shown his ledger instead."""
    base = git(job.folder, "rev-parse", "HEAD")
    absent = "0123456789abcdef0123456789abcdef01234567"
    for name in ("main", base, absent, "mine"):
        plant_ledger(job.folder / name, make_runs(range(40), fingerprint="1" * 64, final=WORSE))
    fingerprint = change_network(job)
    plant_ledger(job.folder / "reports" / "ledger", make_runs(range(40), fingerprint=fingerprint))

    for name in ("main", base, absent):
        code, output = gate("--against", name)
        assert code == 2
        assert (
            f"--against {name}: a folder, and a git revision or named like one; write ./{name} "
            in output
        )
        assert gate("--against", f"./{name}")[0] == 0
    assert gate("--against", "mine")[0] == 0
    assert gate("--against", "refs/heads/main")[0] == 0


def test_a_ledger_without_runs_on_the_challenge_is_an_error(gate: Gate, tmp_path: Path) -> None:
    """One line that says what to name instead."""
    code, output = gate("--against", str(tmp_path))

    assert code == 2
    assert "no runs on mnist of iteration_4 there; name a ledger" in output


@pytest.mark.parametrize(
    "revision",
    ["nosuch", "--help", "-c", "", "main:models", "a b", "\x1b[31m", "$(touch pwned)", "../..x"],
)
def test_what_is_no_revision_is_one_line(job: Workspace, gate: Gate, revision: str) -> None:
    """Neither git nor a shell takes it for an option or a command; nothing is written."""
    code, output = gate("--against", revision)

    assert code == 2
    assert output.startswith("bench: error: --against ")
    assert output.count("\n") == 1
    assert not (job.folder / "pwned").exists()


def test_a_margin_without_anything_to_compare_with_is_an_error(gate: Gate) -> None:
    """--margin and --baseline alone mean nothing."""
    assert gate("--margin", "0.1")[0] == 2
    assert gate("--baseline", "iteration_3")[0] == 2


@pytest.mark.parametrize(
    "margin", ["-0.1", "11", "nan", "inf", "0,05", "1e9999999", "1e-9999999", "five"]
)
def test_a_wrong_margin_is_one_line(gate: Gate, margin: str) -> None:
    """Margins are points from 0 to 10."""
    code, output = gate("--against", "main", "--margin", margin)

    assert code == 2
    assert output.startswith(f"bench: error: --margin {margin}: ")


def test_links_and_odd_names_of_a_revision_are_left_out(job: Workspace, tmp_path: Path) -> None:
    """Only plain files are copied, and only into the folder."""
    ledger = job.folder / "reports" / "ledger" / "mnist"
    (tmp_path / "secret").write_text("the secret")
    (ledger / "iteration_3.jsonl").symlink_to(tmp_path / "secret")
    (ledger / "odd\nname.jsonl").write_text("")
    (ledger / ("long" * 60)).write_text("")
    revision = commit(job.folder, "odd")

    files = list_stored_files(job.folder, revision, "reports/ledger/mnist")
    copy_stored_files(job.folder, files, tmp_path / "copy")

    assert [file.path for file in files] == ["reports/ledger/mnist/iteration_4.jsonl"]
    copied = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in copied] == [(ledger / "iteration_4.jsonl").read_bytes()]


def test_nothing_of_a_revision_is_run_or_filtered(
    job: Workspace, gate: Gate, tmp_path: Path
) -> None:
    """Model files with side effects, hooks, filters, replaced objects: none of them has effect."""
    trap = tmp_path / "trap"
    file = job.folder / "models" / "iteration_4.py"
    file.write_text(f"import pathlib\npathlib.Path({str(trap)!r}).touch()\n" + file.read_text())
    (job.folder / ".gitattributes").write_text("*.jsonl filter=evil diff=evil\n")
    git(job.folder, "config", "filter.evil.smudge", f"touch {trap}; cat")
    git(job.folder, "config", "diff.evil.textconv", f"touch {trap}; cat")
    git(job.folder, "config", "core.fsmonitor", f"touch {trap}")
    for hook in ("post-checkout", "reference-transaction"):
        path = job.folder / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {trap}\n")
        path.chmod(0o755)
    git(job.folder, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "add", "--all")
    git(job.folder, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "commit", "-qm", "e")
    trap.unlink(missing_ok=True)
    before = sorted(job.folder.rglob("*"))

    code, output = gate("--against", "HEAD")

    assert code == 3  # the file has changed: its runs are stale
    assert "baseline: not shown to be as good as iteration_4 in HEAD (" in output
    assert not trap.exists()
    assert sorted(job.folder.rglob("*")) == before


def test_a_repository_hidden_in_the_project_is_not_asked(
    job: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's own variables do not lead elsewhere, and a bare repository in a folder is none."""
    other = tmp_path / "other"
    shutil.copytree(job.folder, other)
    (other / "models" / "iteration_4.py").write_text("other")
    elsewhere = commit(other, "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))

    with pytest.raises(BaselineError, match="no such revision"):
        resolve_revision(job.folder, elsewhere)

    hidden = job.folder / "hidden"
    shutil.copytree(other / ".git", hidden)
    git(hidden, "config", "core.bare", "true")
    with pytest.raises(BaselineError, match="no such revision"):
        resolve_revision(hidden, elsewhere)


def test_too_many_or_too_large_files_are_refused(job: Workspace, tmp_path: Path) -> None:
    """What is read of a revision is bounded before anything is copied."""
    file = StoredFile(path="a", identity="0" * 40, size=1)

    with pytest.raises(BaselineError, match="more than the"):
        copy_stored_files(job.folder, [file] * (MOST_FILES + 1), tmp_path / "copy")
    with pytest.raises(BaselineError, match="more than the"):
        copy_stored_files(
            job.folder, [StoredFile(path="a", identity="0" * 40, size=1 << 40)], tmp_path / "copy"
        )
    with pytest.raises(BaselineError, match="not in this clone"):
        copy_stored_files(job.folder, [file], tmp_path / "copy")
    assert not any(path.stat().st_size for path in (tmp_path / "copy").rglob("*"))


def test_outside_a_repository_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder without git has no revisions; without git itself, that is said."""
    job = make_workspace(tmp_path, [make_run()])
    monkeypatch.chdir(job.folder)
    assert main(["gate", "iteration_4", "--against", "main"]) == 2
    assert "no such revision" in capfd.readouterr().err

    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["gate", "iteration_4", "--against", "main"]) == 2
    assert "git cannot be run here" in capfd.readouterr().err
