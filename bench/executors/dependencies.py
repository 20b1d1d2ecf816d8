"""What a model file reads of the files beside it that its fingerprint does not cover."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import source_from_cache
from pathlib import Path

import bench
from bench.foreign.sources import Source, list_local_modules

_INSTALLED = tuple(
    Path(os.path.realpath(sysconfig.get_path(name)))
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PACKAGES = {"site-packages", "dist-packages"}
_WRITES = os.O_WRONLY | os.O_RDWR


@contextmanager
def list_opened() -> Iterator[list[str]]:
    """Give a list that gets the paths of all files that are opened for reading meanwhile.

    For a process of its own: Python takes no audit hook away again, this one only falls silent.
    """
    opened: list[str] = []
    listens = True

    def hear(event: str, given: tuple[object, ...]) -> None:
        if not listens or event != "open":
            return
        path, mode, flags = given
        writes = set(mode) & set("wax") if isinstance(mode, str) else int(str(flags)) & _WRITES
        if isinstance(path, str | bytes) and not writes:
            opened.append(os.fsdecode(os.path.realpath(path)))

    sys.addaudithook(hear)
    try:
        yield opened
    finally:
        listens = False


def find_uncovered(source: Source, opened: list[str]) -> str | None:
    """Return a file below a model's folder that was opened and that no digest covers, if any.

    What is installed, the harness's own and what lies in hidden folders is left out.
    """
    base = source.folders[-1]
    covered = {os.path.realpath(path) for path in list_local_modules(source).values()}
    covered.add(os.path.realpath(source.path))
    for path in map(_find_source, dict.fromkeys(opened)):
        if path.is_relative_to(base) and path.is_file() and str(path) not in covered:
            place = path.relative_to(base)
            if not _is_left_out(path, place):
                return place.as_posix()
    return None


def _find_source(opened: str) -> Path:
    """Return the file that is meant: of a compiled module, that with its source."""
    if opened.endswith(".pyc"):
        with suppress(ValueError):
            opened = source_from_cache(opened)
    return Path(os.path.realpath(opened))


def _is_left_out(path: Path, place: Path) -> bool:
    ours = (*_INSTALLED, Path(bench.__file__).resolve().parent, Path.cwd())
    return (
        any(path.is_relative_to(folder) for folder in ours)
        or bool(_PACKAGES & set(place.parts))
        or any(part.startswith(".") for part in place.parts[:-1])
    )
