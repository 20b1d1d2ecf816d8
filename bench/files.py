"""Files that a stranger may have put there: only regular ones, inside their folder, to a bound."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from io import FileIO
from pathlib import Path

READABLE = 0o644
"""A temporary file is private; what is written is for everyone who may read the folder."""


def open_regular(path: Path, *, inside: Path, most_bytes: int) -> FileIO:
    """Open a regular file for reading that lies, links resolved, inside a folder.

    A pipe or a device is not waited for.

    Raises:
        OSError: there is no such file, it is something else, elsewhere or larger; `strerror` says
            which.
    """
    check_inside(path, inside)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    file = FileIO(descriptor)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise _refusal(errno.EISDIR, "a folder is in its place; move it away", path)
        if not stat.S_ISREG(found.st_mode):
            raise _refusal(errno.EINVAL, "not a regular file; replace it by one", path)
        if found.st_size > most_bytes:
            size = f"{found.st_size:,} bytes, more than the {most_bytes:,} that are read"
            raise _refusal(errno.EFBIG, f"{size}; make it smaller", path)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: Path, *, inside: Path, most_bytes: int) -> bytes:
    """Return the content of a file that `open_regular` opens."""
    with open_regular(path, inside=inside, most_bytes=most_bytes) as file:
        content = bytearray()
        while block := file.read(most_bytes + 1 - len(content)):
            content += block
            if len(content) > most_bytes:
                raise _refusal(errno.EFBIG, "it grows while it is read; try again", path)
        return bytes(content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then moved there.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(READABLE)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def check_inside(path: Path, folder: Path) -> None:
    """Make sure that a path, links resolved, lies inside a folder.

    Raises:
        OSError: it does not, or its links go round in a circle.
    """
    try:
        resolved, root = path.resolve(), folder.resolve()
    except RuntimeError as error:  # Python 3.11 and 3.12 say so of a circle of links
        raise _refusal(errno.ELOOP, "its links lead in a circle; remove them", path) from error
    if not resolved.is_relative_to(root):
        raise _refusal(errno.EPERM, f"it leads out of {folder}; put a regular file there", path)


def _refusal(code: int, text: str, path: Path) -> OSError:
    return OSError(code, text, str(path))
