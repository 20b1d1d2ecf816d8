"""Which device trains, and what is recorded of the machine it is in."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch

from bench.errors import DeviceError
from bench.records import Conditions, Machine
from bench.training.native.library import name_compiler


def choose_device(name: str) -> torch.device:
    """Return the device of `auto`, `cpu` or `cuda`.

    Raises:
        DeviceError: it is none of these, or CUDA is asked for and torch sees no CUDA device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"--device {name}: no such device; use auto, cpu or cuda")
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
        instructions=describe_instructions(_read_cpuinfo()),
        compiler=name_compiler(),
    )


def describe_instructions(cpuinfo: Mapping[str, str]) -> str | None:
    """Return generation and abilities of a processor, `None` where the system does not tell.

    `cpuinfo` is the first processor of Linux's /proc/cpuinfo, of x86 or Arm. The abilities are a
    digest of their sorted names.
    """
    names = ("cpu family", "model", "stepping", "CPU part", "CPU revision")
    generation = [f"{name} {cpuinfo[name]}" for name in names if cpuinfo.get(name)]
    abilities = " ".join(sorted((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()))
    if not generation or not abilities:
        return None
    digest = hashlib.sha256(abilities.encode()).hexdigest()[:12]
    return f"{', '.join(generation)}, abilities {digest}"


def _read_processor() -> str:
    return _read_cpuinfo().get("model name") or platform.processor() or platform.machine()


def _read_cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


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
