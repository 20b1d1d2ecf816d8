"""Where exports go: written whole or not at all, and nothing of the user's is lost to them."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import ExportError

READABLE = 0o644
"""A temporary file is private; an export is for everyone who may read its folder."""


def import_extra(module: str, *, extra: str) -> Any:
    """Import a library that an export needs.

    Raises:
        ExportError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"{module.partition('.')[0]}: cannot be imported ({error}); "
            f"install it with `pip install 'drilldown[{extra}]'`"
        ) from error


def check_free(path: Path, *, force: bool) -> None:
    """Refuse to write over a file, unless that was asked for, or over what is no file.

    Raises:
        ExportError: something is there.
    """
    if path.is_dir():
        raise ExportError(f"{path}: a folder; name a file with --output")
    if path.exists() and not force:
        raise ExportError(f"{path}: exists; add --force to replace it, or name another --output")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside the one to write, and move what was written there when all went well.

    Raises:
        ExportError: the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        try:
            yield Path(name)
            Path(name).chmod(READABLE)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ExportError(
            f"{path}: cannot be written ({error.strerror or error}); free space, or name a file in "
            "a folder that you may write to with --output"
        ) from error
