"""Model files that misbehave: each is reported in one line and costs its own iteration only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import ledger_file, stable_lines

from bench.errors import IterationError, UnansweredError
from bench.executors.inspection import inspect_iteration
from bench.iterations import read_iteration

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")


def write_model(folder: Path, *, imported: str = "", built: str = "", forward: str = "") -> Path:
    """Write iteration 9: iteration 1 with more statements at import, in `__init__`, in forward."""
    text = (ROOT / "models" / "iteration_1.py").read_text()
    text = text.replace(
        "        super().__init__()\n", f"        super().__init__()\n        {built or 'pass'}\n"
    )
    text = text.replace(
        '(N, 1, 28, 28)."""\n', f'(N, 1, 28, 28)."""\n        {forward or "pass"}\n'
    )
    path = folder / "iteration_9.py"
    path.write_text(text + "\n" + imported + "\n")
    return path


@pytest.mark.parametrize(
    ("imported", "built", "message"),
    [
        ("while True: pass", "", "takes longer than 5 seconds"),
        ("", "import time; time.sleep(1000)", "takes longer than 5 seconds"),
        ("import sys; sys.exit(0)", "", "calls sys.exit"),
        ("", "raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(0)", "", "ended its process"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "", "ended its process"),
        ("1 / 0", "", "division by zero"),
        ("", "raise KeyError('weights')", "KeyError: 'weights'"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_of_its_own(
    tmp_path: Path, imported: str, built: str, message: str
) -> None:
    """The error names the file and what it did, within the time limit."""
    path = write_model(tmp_path, imported=imported, built=built)
    with pytest.raises(IterationError) as caught:
        inspect_iteration(read_iteration(path), CPU, engine="eager", limit_seconds=5)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    unanswered = "takes longer" in message or "ended its process" in message
    assert isinstance(caught.value, UnansweredError) == unanswered


def test_what_a_file_does_does_not_reach_this_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printed bytes, files, threads, default dtype and generators stay where the file ran."""
    path = write_model(
        tmp_path,
        imported="import os, torch; os.write(1, bytes(range(256))); open('litter', 'w').close(); "
        "torch.set_num_threads(7); torch.set_default_dtype(torch.float32); torch.manual_seed(0)",
    )
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = torch.get_num_threads(), torch.get_rng_state()
    found = inspect_iteration(read_iteration(path), CPU, engine="eager")
    assert found.cost.parameters > 500_000
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not list(folder.iterdir())
    assert capfd.readouterr().out == ""


def run_copy(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "run", *arguments, "--dataset", "digits", "--device", "cpu",
         "--ledger", "ledger", "--page", "index.html", "--epochs", "1"],
        cwd=project, env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of harness and models, to put a bad iteration into."""
    for folder in ("bench", "models"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.faults
def test_the_others_are_trained_bit_for_bit(project: Path) -> None:
    """Beside a file that meddles with torch, iteration 1 has the bits it has without it."""
    write_model(
        project / "models",
        imported="import torch; torch.set_num_threads(2); torch.manual_seed(5); "
        "torch.set_default_dtype(torch.float64)",
    )
    beside = run_copy(project, "iteration_9", "iteration_1", "--seeds", "2", "--workers", "1")
    assert "iteration_1 seed 1: finished" in beside.stderr, beside.stderr
    lines = stable_lines(project, "iteration_1")
    shutil.rmtree(project / "ledger")
    alone = run_copy(project, "iteration_1", "--seeds", "2", "--workers", "1")
    assert alone.returncode == 0, alone.stderr
    assert stable_lines(project, "iteration_1") == lines


@pytest.mark.faults
def test_a_seed_that_kills_its_worker_is_given_up_and_the_rest_goes_on(project: Path) -> None:
    """Exit code 2, the seed and the reason; the other iteration has all its runs."""
    write_model(
        project / "models",
        forward="import os; os.getpid() if not self.training or images.shape[0] < 3 "
        "else os.kill(os.getpid(), 9)",
    )
    done = run_copy(
        project, "iteration_9", "iteration_1", "--seeds", "2", "--workers", "2", "--engine", "eager"
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "iteration_9 seed 0: given up: took its worker down 3 times" in done.stderr
    assert "unfinished: iteration_9 seeds 0-1" in done.stderr
    assert len(stable_lines(project, "iteration_1")) == 2
    assert not ledger_file(project, "iteration_9").exists()


@pytest.mark.faults
def test_a_file_that_cannot_be_run_stops_no_other(project: Path) -> None:
    """Exit code 2 names it; alone it is one line and nothing is trained."""
    write_model(project / "models", imported="import sys; sys.exit(0)")
    done = run_copy(project, "iteration_9", "iteration_1", "--seeds", "1")
    assert done.returncode == 2
    assert "iteration_9: not trained" in done.stderr
    assert len(stable_lines(project, "iteration_1")) == 1
    alone = run_copy(project, "iteration_9", "--seeds", "1")
    assert alone.returncode == 2
    assert len(alone.stderr.splitlines()) == 1
    assert "calls sys.exit" in alone.stderr


SHORT_OF_MEMORY = """
import torch
from bench.training.stacked import block

make = block._make_block

def make_narrow(program, layout, recipe, training, validation, width, method):
    if width > 2:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return make(program, layout, recipe, training, validation, width, method)

make_narrow.cache_clear = make.cache_clear
block._make_block = make_narrow
"""


def test_a_block_that_is_too_wide_for_the_memory_is_halved_until_it_fits(project: Path) -> None:
    """Of 8, 4 and 2 seeds side by side the last fit: all seeds are trained so, and it is said."""
    write_model(project / "models", imported=SHORT_OF_MEMORY)
    done = run_copy(
        project, "iteration_9", "--seeds", "3", "--engine", "stacked", "--block", "8",
        "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for wide, narrow in ((8, 4), (4, 2)):
        assert f"{wide} seeds side by side take more memory" in done.stderr
        assert f"going on with {narrow}, which are other conditions" in done.stderr
    lines = stable_lines(project, "iteration_9")
    assert [line["seed"] for line in lines] == [0, 1, 2]
    assert {line["conditions"]["block"] for line in lines} == {2}
