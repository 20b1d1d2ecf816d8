"""`bench gate` exits with 0 for HOLDS, 1 FAILS, 3 UNDECIDED or stale evidence, 2 wrong usage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import (
    CONDITIONS,
    LUCKY,
    make_cost,
    make_epoch,
    plant_ledger,
)
from planted_runs import (
    make_mnist_run as make_run,
)
from planted_runs import (
    make_mnist_runs as make_runs,
)

import bench
from bench.challenges import DIGITS_DIGEST
from bench.cli import main
from bench.iterations import MODELS, read_iteration
from bench.ledger import encode_run, ledger_path
from bench.records import Run

ROOT = Path(bench.__file__).parent.parent
ITERATION_3 = read_iteration(MODELS / "iteration_3.py")
ON_GPU = replace(CONDITIONS, device="cuda sm_90")
HOLDING = make_runs(range(33))
FAILING = make_runs(range(2), final=LUCKY)
UNDECIDED = make_runs(range(5))


def run_gate(
    folder: Path, *arguments: str | Path, root: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `bench gate` in a folder, with the code of `root`."""
    return subprocess.run(
        [sys.executable, "-m", "bench", "gate", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def set_gate(folder: Path, settings: str) -> None:
    """Give a folder a project of its own with these settings of the gate."""
    (folder / "pyproject.toml").write_text(settings)


@pytest.mark.parametrize(
    ("runs", "code", "says"),
    [
        (HOLDING, 0, "HOLDS     iteration_4 (cpu, fp32, eager engine, torch 2.13): 33 of 33"),
        (FAILING, 1, "FAILS     iteration_4 (cpu, fp32, eager engine, torch 2.13): 0 of 2"),
        (UNDECIDED, 3, "UNDECIDED iteration_4 (cpu, fp32, eager engine, torch 2.13): 5 of 5"),
        ([], 3, "UNDECIDED iteration_4: no runs; run `bench run iteration_4`"),
        (make_runs(range(33), fingerprint="0" * 64), 3, "UNDECIDED iteration_4: stale: 33 runs"),
        (make_runs(range(33), cost=make_cost(parameters=10_000)), 1, "FAILS     iteration_4"),
        (make_runs(range(1, 40)), 3, "UNDECIDED iteration_4: seed 0 is missing"),
    ],
    ids=["holds", "fails", "undecided", "empty", "stale", "over budget", "gap"],
)
def test_the_exit_code_is_the_verdict(
    tmp_path: Path, runs: list[Run], code: int, says: str
) -> None:
    """The gate exits as the evidence deserves, and says why in one line and one a problem."""
    ledger = plant_ledger(tmp_path / "ledger", runs)

    done = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert (done.returncode, done.stderr) == (code, "")
    first, *problems = done.stdout.splitlines()
    assert first.startswith(says)
    assert len(problems) == (code != 0)
    assert all(line.startswith("  ") and "; run `bench " in line for line in problems)


def test_one_failing_iteration_fails_a_gate_that_others_leave_undecided(tmp_path: Path) -> None:
    """FAILS outweighs UNDECIDED, and both outweigh HOLDS; every required iteration has its line."""
    ledger = plant_ledger(tmp_path / "ledger", HOLDING)
    assert run_gate(tmp_path, "iteration_4", "iteration_3", "--ledger", ledger).returncode == 3

    plant_ledger(ledger, make_runs(range(2), iteration=ITERATION_3, final=LUCKY))
    done = run_gate(tmp_path, "iteration_4", "iteration_2", "iteration_3", "--ledger", ledger)

    assert done.returncode == 1
    lines = [line for line in done.stdout.replace(":", "").splitlines() if line[0] != " "]
    assert [line.split()[:2] for line in lines] == [
        ["HOLDS", "iteration_4"],
        ["UNDECIDED", "iteration_2"],
        ["FAILS", "iteration_3"],
    ]


def test_the_project_says_which_iterations_are_required(tmp_path: Path) -> None:
    """Only required iterations are judged: the others are history and may fail."""
    ledger = plant_ledger(tmp_path / "ledger", FAILING)
    plant_ledger(ledger, make_runs(range(33), iteration=ITERATION_3))
    set_gate(tmp_path, '[tool.bench.gate]\nrequire = ["iteration_3"]\n')

    required = run_gate(tmp_path, "--ledger", ledger)
    named = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert required.returncode == 0
    assert "iteration_4" not in required.stdout
    assert named.returncode == 1
    assert "iteration_3" not in named.stdout


def test_the_latest_iteration_is_required_by_default(tmp_path: Path) -> None:
    """Without settings, the gate judges the one iteration with the highest number."""
    latest = max(MODELS.glob("iteration_*.py"), key=lambda file: int(file.stem.split("_")[1])).stem

    done = run_gate(tmp_path, "--ledger", plant_ledger(tmp_path / "ledger", []))

    assert done.returncode == 3
    assert done.stdout.startswith(f"UNDECIDED {latest}: no runs")


def test_the_project_says_under_which_conditions(tmp_path: Path) -> None:
    """Clean runs on a CPU do not open a gate that asks for a GPU, whichever are more."""
    ledger = plant_ledger(tmp_path / "ledger", HOLDING)
    set_gate(tmp_path, '[tool.bench.gate]\nconditions = { device = "cuda sm_90" }\n')
    without_any = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    plant_ledger(ledger, make_runs(range(2), conditions=ON_GPU, final=LUCKY))
    with_failing_ones = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert without_any.returncode == 3
    assert with_failing_ones.returncode == 1
    assert "(cuda sm_90, fp32, eager engine, torch 2.13)" in with_failing_ones.stdout


def test_the_project_says_how_many_seeds_are_trained_side_by_side(tmp_path: Path) -> None:
    """A gate that asks for one at a time is not opened by blocks of 64."""
    blocks = replace(ON_GPU, engine="stacked", block=64)
    ledger = plant_ledger(tmp_path / "ledger", make_runs(range(33), conditions=blocks))
    codes = []
    for block in (1, 64):
        set_gate(tmp_path, f"[tool.bench.gate]\nconditions = {{ block = {block} }}\n")
        codes.append(run_gate(tmp_path, "iteration_4", "--ledger", ledger).returncode)
    assert codes == [3, 0]


def test_the_conditions_with_most_runs_decide_by_default(tmp_path: Path) -> None:
    """33 clean runs on a GPU outweigh 2 failing ones on a CPU, and the line says which."""
    ledger = plant_ledger(tmp_path / "ledger", FAILING)
    plant_ledger(ledger, make_runs(range(33), conditions=ON_GPU))

    done = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert done.returncode == 0
    assert "(cuda sm_90, fp32, eager engine, torch 2.13)" in done.stdout


def test_the_project_says_where_its_ledger_is(tmp_path: Path) -> None:
    """Without --ledger, the folder is the project's, also from a folder inside it."""
    set_gate(tmp_path, '[tool.bench]\nledger = "proof"\n')
    plant_ledger(tmp_path / "proof", HOLDING)
    inside = tmp_path / "inside"
    inside.mkdir()

    assert run_gate(inside, "iteration_4").returncode == 0


def test_digits_are_judged_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """Whoever commits digits alone opens no gate of MNIST; each line says what is not MNIST."""
    digits = make_runs(range(33), challenge="digits", dataset=DIGITS_DIGEST)
    scored = [replace(run, epochs=(make_epoch(350, total=359),) * 15) for run in digits]
    ledger = plant_ledger(tmp_path / "ledger", scored)
    chosen = ["iteration_4", "--ledger", ledger]

    for asked in ([], ["--dataset", "auto"], ["--dataset", "mnist"]):
        done = run_gate(tmp_path, *chosen, *asked)
        assert done.returncode == 3
        assert done.stdout.startswith("UNDECIDED iteration_4: no runs")

    assert run_gate(tmp_path, *chosen, "--dataset", "digits").returncode == 0
    set_gate(tmp_path, '[tool.bench]\nchallenge = "digits"\n')
    by_setting = run_gate(tmp_path, *chosen)
    assert by_setting.returncode == 0
    assert by_setting.stdout.startswith("HOLDS     iteration_4 on digits (cpu")


def test_runs_on_other_images_than_mnists_never_count(tmp_path: Path) -> None:
    """More runs on images that are easier do not outweigh those on MNIST, nor stand for them."""
    others = make_runs(range(60), dataset="e" * 64)
    ledger = plant_ledger(tmp_path / "ledger", others)
    alone = run_gate(tmp_path, "iteration_4", "--ledger", ledger)
    plant_ledger(ledger, FAILING)
    outweighed = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert alone.returncode == 3
    assert (
        "  evidence: 60 runs on images that are not those of MNIST (digest eeeeeeeeeeee), which "
        "never count; run `bench run iteration_4 --ledger "
    ) in alone.stdout
    assert outweighed.returncode == 1
    assert "0 of 2" in outweighed.stdout


def test_runs_on_digits_in_the_file_of_mnist_do_not_open_the_gate(tmp_path: Path) -> None:
    """A file copied to the wrong folder is no evidence for the challenge it lies in."""
    ledger = plant_ledger(tmp_path / "ledger", [])
    path = ledger_path(ledger, "mnist", "iteration_4")
    path.parent.mkdir()
    path.write_bytes(b"".join(encode_run(replace(run, challenge="digits")) for run in HOLDING))

    assert run_gate(tmp_path, "iteration_4", "--ledger", ledger).returncode != 0


def test_a_torn_last_line_is_reported_and_the_gate_goes_on(tmp_path: Path) -> None:
    """The runs before the tear are judged; the tear is told on stderr with its file."""
    ledger = plant_ledger(tmp_path / "ledger", HOLDING)
    path = ledger_path(ledger, "mnist", "iteration_4")
    with path.open("ab") as file:
        file.write(encode_run(make_run(seed=33))[:200])

    done = run_gate(tmp_path, "iteration_4", "--ledger", ledger)

    assert done.returncode == 0
    assert done.stderr.startswith(f"bench: {path}: the last line is torn")
    assert done.stderr.count("\n") == 1


def test_a_change_of_the_network_makes_a_gate_stale_and_a_comment_does_not(
    tmp_path: Path,
) -> None:
    """In a checkout that held, a comment changes nothing and another network exits 3."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bench", checkout / "bench", ignore=ignored)
    shutil.copytree(MODELS, checkout / "models", ignore=ignored)
    ledger = plant_ledger(tmp_path / "ledger", HOLDING)
    file = checkout / "models" / "iteration_4.py"
    source = file.read_text()

    def gate() -> subprocess.CompletedProcess[str]:
        return run_gate(checkout, "iteration_4", "--ledger", ledger, root=checkout)

    file.write_text("# a comment\n" + source)
    assert gate().returncode == 0
    file.write_text(source.replace("super().__init__(", "super().__init__(*(), "))
    stale = gate()
    assert stale.returncode == 3
    assert "stale: 33 runs" in stale.stdout


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ('[tool.bench.gate]\nrequire = ["iteration_77"]', "iteration_77"),
        ('[tool.bench.gate]\nrequire = "iteration_4"', "gate.require"),
        ('[tool.bench.gate]\nrequired = ["iteration_4"]', "required"),
        ('[tool.bench.gate.conditions]\ngpu = "H100"', "gpu"),
        ("[tool.bench.gate.conditions]\ntorch = 2.13", "gate.conditions.torch"),
        ('[tool.bench]\nbudget = "20m"', "budget"),
        ("[tool]\nbench = 3", "pyproject.toml"),
        ("tool = 3", "pyproject.toml"),
        ("[tool.bench", "pyproject.toml"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    settings: str,
    value: str,
) -> None:
    """A gate that cannot read its settings neither passes nor fails: it names the setting."""
    ledger = plant_ledger(tmp_path / "ledger", HOLDING)
    set_gate(tmp_path, settings)
    monkeypatch.chdir(tmp_path)

    code = main(["gate", "--ledger", str(ledger)])

    captured = capfd.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("bench: error: ")
    assert captured.err.count("\n") == 1
    assert value in captured.err
