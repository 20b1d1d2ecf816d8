"""Where a cluster may be, looked at before anything is imported that takes its time."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bench.errors import ClusterError, EngineError

LOCAL = "local"
"""A Ray of this machine's own, which ends with the command."""

AUTO = "auto"
"""The cluster that this machine is a node of."""

ANSWER_SECONDS = 5
"""How long an address may take to answer."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SETTINGS = b"\x04"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0" * 5
"""What a client of HTTP/2 sends first (RFC 9113, 3.4); a server answers with its own settings."""


def check_address(address: str, engine: str) -> None:
    """Find out without importing Ray whether there can be a cluster, and whether an engine does.

    Raises:
        ClusterError: Ray is not installed, or nobody answers at the address.
        EngineError: the engine takes a whole machine for one seed.
    """
    if engine == "plain":
        raise EngineError(
            "--engine plain: trains with all cores of a machine, and a task of a cluster has one; "
            "leave --cluster out"
        )
    if not _is_installed():
        raise ClusterError(
            f"--cluster {address}: Ray is not installed; pip install 'drilldown[cluster]'"
        )
    if address != LOCAL:
        _knock(resolve(address))


def resolve(address: str) -> str:
    """Return for `auto` the address of the cluster that this machine is a node of.

    Raises:
        ClusterError: it is a node of none.
    """
    if address != AUTO:
        return address
    named = os.environ.get("RAY_ADDRESS", "")
    if ":" in named and "/" not in named:
        return named
    try:
        return (
            (_find_ray_folder() / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
        )
    except OSError as error:
        raise ClusterError(
            "--cluster auto: this machine is a node of no cluster; run `ray start` on it, or name "
            "an address"
        ) from error


def _find_ray_folder() -> Path:
    """Return where Ray writes down its clusters: not always where Python has temporary files."""
    named = os.environ.get("RAY_TMPDIR")
    if not named and sys.platform == "linux":
        named = os.environ.get("TMPDIR")
    return Path(named or (tempfile.gettempdir() if sys.platform == "win32" else "/tmp"))  # noqa: S108


def _is_installed() -> bool:
    try:
        return find_spec("ray") is not None
    except ImportError:
        return False


def _knock(address: str) -> None:
    host, port = _split(address)
    remedy = "start a cluster with `ray start --head`, or use --cluster local"
    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as line:
            answers = "RAY_USE_TLS" in os.environ or _answers(line)
    except (OSError, OverflowError) as error:
        reason = f"nobody answers there ({error})"
        raise ClusterError(f"--cluster {address}: {reason}; {remedy}") from error
    if not answers:
        raise ClusterError(f"--cluster {address}: no Ray cluster answers there; {remedy}")


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ClusterError(
            f"--cluster {address}: not an address; use local, auto (the cluster that this machine "
            "is a node of), or HOST:PORT as `ray start --head` prints it"
        )
    return host.strip("[]"), int(port)


def _answers(line: socket.socket) -> bool:
    """Say whether a server of HTTP/2 is there, as Ray's is: Ray itself would ask for minutes."""
    line.sendall(_GREETING)
    try:
        return line.recv(9)[3:4] == _SETTINGS
    except TimeoutError:
        return False


def is_closed_to_others(address: str) -> bool:
    """Say whether a cluster listens on this machine's loopback address and on no other.

    Ray takes a loopback address for that of the machine in its network, unless it is told not to.
    """
    if address == LOCAL:
        return False
    host, port = _split(address)
    if host not in _LOOPBACK:
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(("192.0.2.1", 9))  # sends nothing; the system chooses our own address
            own = line.getsockname()[0]
        socket.create_connection((own, port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return True
    return False
