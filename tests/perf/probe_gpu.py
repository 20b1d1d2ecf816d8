"""Run the probe of the GPU engine, storing what it finds for the page unless told otherwise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from bench.errors import BenchError
from perf.stored import PERF, RESULTS

PROBE = PERF / "gpu_probe.py"


def main(arguments: Sequence[str]) -> int:
    """Run the probe in a process of its own and return its exit code."""
    if not PROBE.exists():
        raise BenchError(f"--gpu-probe: this checkout has no {PROBE.name}")
    wanted = list(arguments)
    if not {"--output", "-h", "--help"} & {argument.partition("=")[0] for argument in wanted}:
        wanted += ["--output", str(RESULTS / "gpu_probe.json")]
    if not {"--device", "-h", "--help"} & {argument.partition("=")[0] for argument in wanted}:
        wanted += ["--device", "cuda"]
    return subprocess.run([sys.executable, str(PROBE), *wanted], check=False).returncode
