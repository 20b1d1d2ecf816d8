"""A user's mistake is one line that says what to do, and leaves nothing behind."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from planted_runs import LUCKY, make_run, make_runs, plant_ledger

import bench
from bench.cli import COMMANDS, main
from bench.iterations import list_iterations
from bench.ledger import encode_run, ledger_path

ROOT = Path(bench.__file__).parent.parent
MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
EXPLAINED = {
    "recipe": ["ITERATION|FILE", "bench recipe iteration_4", "docs/recipes.md"],
    "search": ["SPACE.toml", "--template", "--results", "tuning seed", "Claim seeds", "130"],
    "init": ["--iteration", "--pictures", "Overwrites nothing"],
    "run": [
        "--seeds", "--until-decided", "--time-budget", "--device", "--dataset", "--data",
        "--workers", "--epochs", "--ledger", "--page", "BENCH_DATA", "1,000,000", "130",
    ],
    "list": ["--dataset", "--ledger"],
    "cost": ["MACs", "FLOPs", "uncounted"],
    "export": ["--format", "--rows", "--output", "--force", "stale", "no torch", "pip install"],
    "merge": ["nothing"],
    "verify": ["identical", "compatible", "contradicted", "--random-seed"],
    "bundle": ["ledger"],
    "judge": [
        "HOLDS", "FAILS", "UNDECIDED", "90 %", "5 %", "--dataset", "--ledger", "--format", "json",
        "--paths", "--schema",
    ],
    "watch": [
        "--once", "--until-decided", "--interval", "--ledger", "--challenge", "Ctrl-C", "130",
        "no torch", "newest",
    ],
    "completion": ["bash", "zsh", "fish", "~/.bashrc", "compinit", "no torch"],
    "compare": ["ITERATION ITERATION", "last 3 epochs", "Welch", "decide nothing", "--format"],
    "power": ["--pass-rate", "--reliability", "--confidence", "--max-seeds", "90 % after"],
    "budget": ["exit 1", "no training", "executes", "gate requires"],
    "gate": [
        "Exit 0", "1 FAILS", "3 UNDECIDED", "stale", "2 usage", "require", "--ledger", "--against",
        "--margin", "0.05", "--junit", "--json", "--badge", "GitHub",
    ],
    "report": ["--page", "--ledger", "no torch"],
    "grade": [
        "--budget", "--claims", "--recipe", "--challenge", "--seeds", "--ledger", "--output", "130",
        "even if every submission is broken",
    ],
}  # fmt: skip
"""What the help of each command must mention."""

Complain = Callable[..., str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no data named in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    return tmp_path


def read_files(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def complain(folder: Path, capfd: pytest.CaptureFixture[str]) -> Complain:
    """Return a function that runs a wrong command and returns the one line it complains in.

    It checks what all mistakes have in common: exit code 2, one line on stderr, nothing on stdout,
    and every file as it was.
    """

    def run_wrongly(*arguments: str | Path) -> str:
        before = read_files(folder)
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert code == 2
        assert captured.out == ""
        assert captured.err.startswith("bench: error: ")
        assert captured.err.count("\n") == 1
        assert captured.err.endswith("\n")
        assert read_files(folder) == before
        return captured.err.removeprefix("bench: error: ")

    return run_wrongly


def run_bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m bench` in the working directory, as a user of a checkout does."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["run", "judge", "gate", "cost"])
def test_an_unknown_iteration_lists_the_valid_names(complain: Complain, command: str) -> None:
    """Whoever mistypes an iteration is told every name there is."""
    line = complain(command, "iteration_77")

    assert line.startswith("iteration_77: no such iteration; choose from iteration_1, ")
    assert all(iteration.name in line for iteration in list_iterations())


def test_an_unknown_command_lists_those_there_are(complain: Complain) -> None:
    """Whoever mistypes a command is told every command there is."""
    line = complain("jugde")

    assert line.startswith("jugde: no such command; choose from init, run, ")
    assert all(command in line for command in COMMANDS)


@pytest.mark.parametrize(
    "seeds",
    [
        "", " ", "ten", "0", "00", "-1", "-5-3", "5-3", "1.5", "1e3", "0x10", "1_000", "+3", "3-",
        "0-", "-", "0--4", "0-4-8", "0:4", "0..4", "0–4", "0-4;7-7", "0-4,", ",0-4", "0-4,,7-7",
        "0-4,7", "1,2", "0-4 7-7", "0 - 4", "1,000", "10\n", "²", "9999999999", "1000001",
        "0-999999999", "9" * 5000,
    ],
)  # fmt: skip
def test_malformed_seeds_are_refused(complain: Complain, seeds: str) -> None:
    """Whatever is not seeds is repeated, and the three ways to write seeds are shown."""
    line = complain("run", "--seeds", seeds)

    assert line.startswith(" ".join(f"--seeds {seeds}: ".split()))
    assert "write 10 (the first ten), 0-58, or 0-4,7-7" in line or "name fewer" in line


@pytest.mark.parametrize(
    "duration",
    [
        "", " ", "soon", "0", "0s", "0h0m0s", "20", "-20m", "1.5h", "1,5h", "20 m", "20min", "1d",
        "m", "30m1h", "1h1h", "1h30", "∞", "1e3s", "9" * 400 + "s", "9" * 5000 + "h",
    ],
)  # fmt: skip
def test_malformed_durations_are_refused(complain: Complain, duration: str) -> None:
    """Whatever is not a duration is repeated, and the ways to write one are shown."""
    line = complain("run", "--time-budget", duration)

    assert line.startswith(" ".join(f"--time-budget {duration}: ".split()))
    assert "90s, 20m or 1h30m" in line


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--workers", "0", "1<=x<=1024"),
        ("--workers", "-1", "1<=x<=1024"),
        ("--workers", "two", "integer"),
        ("--workers", "5000", "1<=x<=1024"),
        ("--epochs", "0", "1<=x<=1000"),
        ("--epochs", "-3", "1<=x<=1000"),
        ("--epochs", "1.5", "integer"),
        ("--device", "tpu", "'cuda'"),
        ("--dataset", "cifar", "'digits'"),
    ],
)
def test_an_option_out_of_range_says_what_is_in_range(
    complain: Complain, option: str, value: str, says: str
) -> None:
    """A number or a choice that does not exist is repeated with what does."""
    line = complain("run", option, value)

    assert option in line
    assert value in line
    assert says in line


def test_a_mistyped_option_is_named_with_the_likely_one(complain: Complain) -> None:
    """Whoever mistypes an option is told which one was meant."""
    line = complain("run", "--sseeds", "3")

    assert "--sseeds" in line
    assert "--seeds" in line.replace("--sseeds", "")


def test_an_option_without_its_value_is_named(complain: Complain) -> None:
    """An option at the end of the line that lacks its value is told by name."""
    assert "--seeds" in complain("run", "--seeds")


def test_cuda_without_cuda_is_refused(complain: Complain) -> None:
    """Asking for a device that is not there says so before any data is read."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")

    line = complain("run", "--device", "cuda", "--seeds", "1")

    assert line.startswith("--device cuda: torch ")
    assert "use --device cpu" in line


def make_mnist(root: Path, *, content: bytes, compressed: bool) -> Path:
    """Write four files of the same content where those of MNIST belong."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_FILES:
        if compressed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (raw / name).write_bytes(content)
    return root


@pytest.mark.parametrize("kind", ["empty", "missing", "a file", "incomplete"])
@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_a_data_folder_without_mnist_is_refused(
    complain: Complain, folder: Path, kind: str, dataset: str
) -> None:
    """A folder that was named and lacks MNIST is an error, and never replaced by the digits."""
    data = folder / "elsewhere"
    if kind == "empty":
        data.mkdir()
    elif kind == "a file":
        data.write_bytes(b"")
    elif kind == "incomplete":
        make_mnist(data, content=b"", compressed=True)
        (data / "MNIST" / "raw" / f"{MNIST_FILES[3]}.gz").unlink()

    line = complain("run", "--data", data, "--dataset", dataset, "--seeds", "1")

    assert line.startswith(f"{data}: no MNIST there; expected the four original files in ")
    assert str(data / "MNIST" / "raw") in line


def test_a_data_folder_named_in_the_environment_is_meant_too(
    complain: Complain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BENCH_DATA without MNIST is an error that names the folder."""
    monkeypatch.setenv("BENCH_DATA", str(folder / "nowhere"))

    assert complain("run", "--seeds", "1").startswith(f"{folder / 'nowhere'}: no MNIST there")


def test_an_altered_archive_is_refused(complain: Complain, folder: Path) -> None:
    """An archive that torchvision's checksum does not know is named with what to do."""
    data = make_mnist(folder / "data", content=b"not the images", compressed=True)

    line = complain("run", "--data", data, "--seeds", "1")

    archive = data / "MNIST" / "raw" / f"{MNIST_FILES[0]}.gz"
    assert line.startswith(f"{archive}: truncated or altered (MD5 ")
    assert "f68b3c2dcbeaaa9fbdd348bbdeb94873" in line  # as yann.lecun.com and torchvision give it
    assert "replace it" in line


def test_a_truncated_archive_is_refused(
    complain: Complain, folder: Path, mnist_folder: Path
) -> None:
    """The real archives, one of them cut short by a byte, are refused by the name of that one."""
    raw = folder / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_FILES:
        original = mnist_folder / "MNIST" / "raw" / f"{name}.gz"
        if not original.is_file():
            pytest.skip("MNIST lies here without its archives")
        (raw / original.name).symlink_to(original)
    cut = raw / f"{MNIST_FILES[3]}.gz"
    content = cut.read_bytes()
    cut.unlink()
    cut.write_bytes(content[:-1])

    line = complain("run", "--data", folder / "data", "--seeds", "1")

    assert line.startswith(f"{cut}: truncated or altered (MD5 ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"not an image at all",
        struct.pack(">I", 0x0803),
        struct.pack(">IIII", 0x0803, 60_000, 28, 28) + bytes(1000),
        struct.pack(">IIII", 0x0803, 2, 28, 28) + bytes(2 * 28 * 28),
        struct.pack(">II", 0x0801, 3) + bytes(3),
        struct.pack(">II", 0x0A01, 3) + bytes(3),
        struct.pack(">I", 0xFFFFFFFF) * 4,
    ],
    ids=["empty", "a byte", "text", "no sizes", "cut short", "images", "labels", "type", "ones"],
)
def test_an_extracted_file_that_is_not_mnist_is_refused(
    complain: Complain, folder: Path, content: bytes
) -> None:
    """Whatever the extracted files hold, what is not MNIST is one line that names their folder."""
    data = make_mnist(folder / "data", content=content, compressed=False)

    line = complain("run", "--data", data, "--seeds", "1")

    assert line.startswith(f"{data / 'MNIST' / 'raw'}: ")
    assert "replace" in line


@pytest.mark.parametrize("command", ["judge", "gate", "list", "report", "run"])
def test_a_damaged_ledger_line_is_refused(complain: Complain, folder: Path, command: str) -> None:
    """A forged line is told by file and line and what to do, and no command goes on without it."""
    ledger = plant_ledger(folder / "ledger", make_runs(range(3), challenge="digits", final=LUCKY))
    path = ledger_path(ledger, "digits", "iteration_4")
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b":9939,", b":9940,", 1))
    assert path.read_bytes() != honest
    options = {"run": ["--seeds", "1"], "gate": ["iteration_4"]}.get(command, [])

    line = complain(command, "--dataset", "digits", "--ledger", ledger, *options)

    assert line.startswith(f"{path}:1: damaged line (the checksum does not match")
    assert "restore the file from version control" in line


@pytest.mark.parametrize("command", ["judge", "gate", "list", "report", "run"])
def test_a_ledger_that_is_a_file_is_refused(complain: Complain, folder: Path, command: str) -> None:
    """A file named as the folder of the ledger is told by its name."""
    (folder / "ledger").write_text("not a folder")

    line = complain(command, "--ledger", folder / "ledger")

    assert str(folder / "ledger") in line
    assert "is a file" in line


@pytest.mark.parametrize("place", ["ledger/digits", "ledger"])
def test_an_unwritable_ledger_is_refused_before_training(
    complain: Complain, folder: Path, place: str
) -> None:
    """Where a file is in the way of the ledger's folders, `bench run` ends before it trains."""
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text("in the way")
    ledger = folder / "ledger" if place != "ledger" else folder / "ledger" / "below"

    line = complain("run", "--dataset", "digits", "--ledger", ledger, "--seeds", "1")

    assert line.startswith(f"{ledger}: the ledger cannot be written")
    assert "--ledger" in line


def test_an_unwritable_page_is_refused_before_training(complain: Complain, folder: Path) -> None:
    """Hours of training do not end in an error about the page: its place is tried first."""
    (folder / "file").write_text("in the way")
    page = folder / "file" / "index.html"

    line = complain(
        "run", "iteration_2", "--dataset", "digits", "--epochs", "1", "--seeds", "1",
        "--workers", "1", "--ledger", folder / "ledger", "--page", page,
    )  # fmt: skip

    assert line.startswith(f"{page}: ")


def test_a_report_that_cannot_be_written_leaves_nothing(complain: Complain, folder: Path) -> None:
    """A page whose folder cannot be made is told by its name, and no part of it stays."""
    (folder / "file").write_text("in the way")
    page = folder / "file" / "index.html"

    assert complain("report", "--page", page).startswith(f"{page}: the page cannot be written")


def test_a_run_in_the_file_of_another_iteration_is_told(complain: Complain, folder: Path) -> None:
    """A ledger file that was renamed is an error that names it, not a traceback."""
    ledger = plant_ledger(folder / "ledger", [])
    path = ledger_path(ledger, "digits", "iteration_2")
    path.parent.mkdir()
    path.write_bytes(encode_run(make_run(challenge="digits")))

    line = complain("run", "iteration_2", "--dataset", "digits", "--seeds", "1", "--ledger", ledger)

    assert line.startswith(f"{path}:1: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate", "iteration_77"],
        ["run", "--seeds", "ten"],
        ["run", "--data", "nowhere", "--dataset", "mnist", "--seeds", "1"],
    ],
    ids=" ".join,
)
def test_the_process_itself_complains_in_one_line(folder: Path, arguments: list[str]) -> None:
    """`python -m bench` ends with exit code 2, one line on stderr and no traceback."""
    done = run_bench(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"bench: error: [^\n]+\n", done.stderr)
    assert read_files(folder) == {}


def test_an_error_cannot_steer_the_terminal(complain: Complain) -> None:
    """What a stranger wrote into a name is shown, and clears no screen and sets no title."""
    line = complain("judge", "\x1b[2J\x1b]0;owned\x07\u202eiteration_4")

    assert line.startswith("?[2J?]0;owned??iteration_4: no such iteration")


def test_help_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    """`bench --help` names every command with its one line, and where to read on."""
    assert main(["--help"]) == 0

    shown = capfd.readouterr().out
    for command, line in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(line)}$", shown, flags=re.MULTILINE)
    assert "bench COMMAND --help" in shown


def test_no_command_shows_the_help(capfd: pytest.CaptureFixture[str]) -> None:
    """`bench` alone is a usage error that teaches: exit code 2, and the whole help."""
    assert main([]) == 2

    captured = capfd.readouterr()
    assert "Commands:" in captured.out + captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """`--help` of a command exits with 0 and mentions its options and what its answers mean."""
    for option in ("--help", "-h"):
        assert main([command, option]) == 0

        shown = capfd.readouterr().out
        assert shown.startswith(f"Usage: bench {command} [OPTIONS]")
        assert [mention for mention in EXPLAINED[command] if mention not in shown] == []


def test_the_version_is_told_from_a_checkout() -> None:
    """`python -m bench --version` works whether the package is installed or not."""
    done = run_bench("--version")

    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+\.\d+", done.stdout)
