"""Compile a source once for this machine, and call it.

Compiled libraries are kept in `$XDG_CACHE_HOME/drilldown` (`~/.cache/drilldown`), named by a digest
of the source, the kernels, the compiler and the processor, so that one iteration is compiled once
and not once a seed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels.hpp"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-fno-math-errno")
"""No flag lets the compiler assume that there is no NaN: a run that diverges must show it."""

COMPILE_SECONDS = 300


class CompilationError(Exception):
    """The source did not compile here; the message is the compiler's first error."""


@cache
def find_compiler() -> str | None:
    """Return the C++ compiler: `$CXX`, else g++, clang++ or c++ on the path; `None` without one."""
    asked = os.environ.get("CXX")
    candidates = [asked] if asked else ["g++", "clang++", "c++"]
    return next((path for name in candidates if (path := shutil.which(name))), None)


def load_library(source: str) -> ctypes.CDLL:
    """Return the compiled source, from the cache where it was compiled before.

    Raises:
        CompilationError: there is no compiler, or it refuses the source.
    """
    compiler = find_compiler()
    if compiler is None:
        raise CompilationError("no C++ compiler on the path; install g++ or clang, or set CXX")
    folder = _cache_folder()
    library = folder / f"{_digest(source, compiler)}.so"
    if not library.exists():
        _compile(compiler, source, library)
    return ctypes.CDLL(str(library))


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "drilldown"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="drilldown-"))
    return folder


def _compile(compiler: str, source: str, library: Path) -> None:
    """Compile beside the library and move it into place, so that a reader never sees a half."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        file, built = Path(folder) / "network.cpp", Path(folder) / "network.so"
        file.write_text(source, encoding="utf-8")
        command = [compiler, *FLAGS, f"-I{KERNELS.parent}", str(file), "-o", str(built)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompilationError(f"{compiler}: {error}") from error
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            raise CompilationError(f"{compiler}: {(errors or [done.stderr.strip()])[0]}")
        built.replace(library)


def name_compiler() -> str | None:
    """Return name and version of the compiler as it gives them, `None` without one."""
    compiler = find_compiler()
    return next(iter(_read_version(compiler).splitlines()), None) if compiler else None


@cache
def _read_version(compiler: str) -> str:
    return subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=False
    ).stdout


@cache
def _identify(compiler: str) -> str:
    return f"{_read_version(compiler)}\n{_read_processor()}"


def _read_processor() -> str:
    """Return what `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _digest(source: str, compiler: str) -> str:
    parts = [source, KERNELS.read_text(encoding="utf-8"), _identify(compiler), " ".join(FLAGS)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
