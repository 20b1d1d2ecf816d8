"""Without Ray, or where no cluster answers, one line says what to do; nothing of it needs Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import bench
from bench.executors.cluster.addresses import resolve

TMP = f"{os.sep}tmp"
ROOT = Path(bench.__file__).parent.parent
WITHOUT_RAY = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusal())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_cluster(folder: Path, address: str, *, program: str | None = None) -> str:
    """Run the command, which has to fail, and return the one line that it prints."""
    first = ["-c", program] if program else ["-m", "bench"]
    done = subprocess.run(
        [sys.executable, *first, "run", "--dataset", "digits", "--cluster", address],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_missing_ray_is_one_line(tmp_path: Path) -> None:
    """Exit code 2, and the command that installs it."""
    line = run_cluster(tmp_path, "local", program=WITHOUT_RAY)
    assert "pip install 'drilldown[cluster]'" in line
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_nobody_answers_is_one_line(tmp_path: Path) -> None:
    """A port that was free a moment ago."""
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = run_cluster(tmp_path, f"127.0.0.1:{port}")
    assert f"--cluster 127.0.0.1:{port}: nobody answers there" in line


def test_an_address_that_is_no_cluster_is_one_line(tmp_path: Path) -> None:
    """Someone listens, and says nothing."""
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = run_cluster(tmp_path, f"127.0.0.1:{port}")
    assert f"--cluster 127.0.0.1:{port}: no Ray cluster answers there" in line


def test_a_machine_that_is_a_node_of_no_cluster_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` looks where Ray writes down the cluster that was started last, which may be gone."""
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert "this machine is a node of no cluster" in run_cluster(tmp_path, "auto")

    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"127.0.0.1:{server.getsockname()[1]}"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(gone)
    assert f"--cluster {gone}: nobody answers there" in run_cluster(tmp_path, "auto")


@pytest.mark.parametrize(
    ("platform", "ray", "temporary", "folder"),
    [
        ("linux", "/of/ray", "/other", "/of/ray"),
        ("linux", None, "/other", "/other"),
        ("linux", None, None, TMP),
        ("darwin", None, "/var/folders/x", TMP),
        ("darwin", "/of/ray", "/var/folders/x", "/of/ray"),
    ],
)
def test_the_own_cluster_is_read_where_ray_writes_it(
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    ray: str | None,
    temporary: str | None,
    folder: str,
) -> None:
    """On a Mac Ray does not follow TMPDIR, which the system sets there."""
    for name, value in {"RAY_ADDRESS": None, "RAY_TMPDIR": ray, "TMPDIR": temporary}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    read: list[Path] = []
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    monkeypatch.setattr(Path, "read_text", lambda path, **_: read.append(path) or "host:1")
    assert resolve("auto") == "host:1"
    assert read == [Path(folder, "ray", "ray_current_cluster")]


@pytest.mark.parametrize("address", ["somewhere", "ray://127.0.0.1:10001", "host:port"])
def test_what_is_no_address_is_said(tmp_path: Path, address: str) -> None:
    """Ray's client addresses too: their driver is elsewhere than its ledger."""
    pytest.importorskip("ray")
    assert f"--cluster {address}: not an address" in run_cluster(tmp_path, address)


def test_the_plain_engine_is_refused(tmp_path: Path) -> None:
    """It takes all cores for one seed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--engine", "plain", "--cluster", "local"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--engine plain:" in done.stderr
