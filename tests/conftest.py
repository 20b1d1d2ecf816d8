"""Where the tests find MNIST, and what several of them share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# laws are checked on as many examples as they need, however busy the machine is
settings.register_profile("drilldown", deadline=None, print_blob=True)
settings.load_profile("drilldown")

# a command that is tested does not annotate the job that tests it, nor is it led to another git
for _name in [name for name in os.environ if name.startswith(("GITHUB_", "GIT_"))]:
    del os.environ[_name]

# a shell's background job ignores Ctrl-C, and so would every command that it starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
_RAW = Path("MNIST", "raw")


def _find_mnist() -> Path | None:
    named = os.environ.get("BENCH_DATA")
    candidates = [Path(named)] if named else []
    candidates += [ROOT / "data", ROOT.parent / "shared" / "mnist"]
    for folder in candidates:
        if any((folder / _RAW).glob("train-images-idx3-ubyte*")):
            return folder.resolve()
    return None


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """Return the folder of real MNIST; tests that need it are skipped where there is none."""
    folder = _find_mnist()
    if folder is None:
        pytest.skip("MNIST is not on this machine: name its folder in BENCH_DATA")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden outlines of the page be written anew."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the outlines of the page into tests/golden/ instead of comparing them",
    )
