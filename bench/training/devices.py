"""Which device trains, and what is recorded of the machine it is in."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from bench.errors import DeviceError
from bench.records import Conditions, Machine


def choose_device(name: str) -> torch.device:
    """Return the device of `auto`, `cpu` or `cuda`.

    Raises:
        DeviceError: CUDA is asked for, and torch sees no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"--device cuda: torch {torch.__version__} sees no CUDA device; "
            "use --device cpu, or install a CUDA build of torch on a machine with a GPU"
        )
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_conditions(
    device: torch.device, precision: str, *, engine: str, block: int = 1
) -> Conditions:
    """Return what may move the distribution of accuracies on this device with this engine."""
    kind = "cpu"
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        kind = f"cuda sm_{major}{minor}"
    return Conditions(
        device=kind,
        precision=precision,
        engine=engine,
        torch=".".join(torch.__version__.split(".")[:2]),
        block=block,
    )


def describe_machine(device: torch.device) -> Machine:
    """Return what moves bits and seconds only: models, versions, and the commit of the sources."""
    processor = _read_processor()
    on_gpu = device.type == "cuda"
    commit, dirty = _read_commit(Path(__file__).parent)
    return Machine(
        device=torch.cuda.get_device_name(device) if on_gpu else processor,
        driver=_read_driver() if on_gpu else None,
        processor=processor,
        system=f"{platform.system()} {platform.machine()}",
        torch=str(torch.__version__),
        python=platform.python_version(),
        commit=commit,
        dirty=dirty,
    )


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _read_driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = _ask(query, Path.cwd())
    return answer.splitlines()[0] if answer else None


def _read_commit(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit, and whether sources differ from it (evidence and page aside)."""
    commit = _ask(["git", "rev-parse", "HEAD"], folder)
    if not commit:
        return None, None
    changes = _ask(["git", "status", "--porcelain", "--", ":/", ":(top,exclude)reports"], folder)
    return commit, bool(changes)


def _ask(command: list[str], folder: Path) -> str | None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
