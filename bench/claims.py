"""Which process trains which seed, where several `bench run` share a ledger.

A claim is a lock on one byte of a file beside the ledger, at the offset of the seed. The operating
system releases it when its process ends, however it ends: no claim goes stale, and no clock is
asked. The files hold nothing; docs/ledger-format.md mentions them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.errors import LedgerError
from bench.files import open_regular
from bench.ledger import (
    check_place,
    decode_outline,
    decode_run,
    ledger_path,
    read_ledger,
    read_outlines,
    unwritable,
)
from bench.limits import MOST_FILE_BYTES, MOST_WHOLE_FILE_BYTES
from bench.records import Conditions, Run

FOLDER = ".claims"
BLOCK_BYTES = 1 << 16
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


class Claims:
    """Claims on the seeds of one iteration under one fingerprint and one set of conditions."""

    def __init__(
        self, ledger: Path, challenge: str, iteration: str, fingerprint: str, conditions: Conditions
    ) -> None:
        key = msgspec.json.encode([fingerprint, conditions], order="sorted")
        name = f"{iteration}-{hashlib.sha256(key).hexdigest()[:16]}.lock"
        self._path = ledger / challenge / FOLDER / name
        self._file: int | None = None

    def claim(self, seed: int) -> bool:
        """Claim a seed and return whether it is ours: `False` when another process has it.

        Where the file system knows no locks every claim is granted, and work may be repeated.

        Raises:
            LedgerError: the file of the claims cannot be opened.
        """
        try:
            _lock_byte(self._open(), seed)
        except OSError as error:
            return error.errno not in _TAKEN
        return True

    def release(self, seed: int) -> None:
        """Give a seed back, once its run is in the ledger or will not be trained here."""
        if self._file is not None:
            try:
                _unlock_byte(self._file, seed)
            except OSError:  # the file system knows no locks
                return

    def close(self) -> None:
        """Give all seeds back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        # opened once: closing any descriptor of a file drops all the locks of a process on it
        if self._file is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise unwritable(self._path, error) from error
        return self._file


class Addition(Struct, frozen=True, kw_only=True):
    """Runs of a file, in its order: those that are new, or all there are when it was read whole."""

    runs: Sequence[Run]
    whole: bool


class Follower:
    """Reads the runs that were appended to a ledger file since it was read last.

    With `outlines` the runs are without what a verdict does not need.
    """

    def __init__(
        self, ledger: Path, challenge: str, iteration: str, *, outlines: bool = False
    ) -> None:
        self._path = ledger_path(ledger, challenge, iteration)
        self._place: tuple[int, int] | None = None
        self._offset = 0
        self._read = read_outlines if outlines else read_ledger
        self._decode = decode_outline if outlines else decode_run

    def follow(self) -> Addition:
        """Return the new runs; all of them, as such, where the file was replaced or has shrunk.

        Raises:
            LedgerError: the file cannot be read, or a line is damaged.
        """
        try:
            status = self._path.stat()
            place = status.st_dev, status.st_ino
            if place != self._place or status.st_size < self._offset:
                self._place, self._offset = place, _end_of_lines(self._path)
                return self._read_whole()
            if status.st_size - self._offset > MOST_WHOLE_FILE_BYTES:
                self._offset = _end_of_lines(self._path)
                return self._read_whole()  # line by line, or with an error that names the bound
            if status.st_size > self._offset:
                return self._read_from_offset()
            return Addition(runs=(), whole=False)
        except FileNotFoundError:
            self._place = None  # another file may get the same number
            return Addition(runs=(), whole=True)
        except OSError as error:
            raise LedgerError(f"{self._path}: cannot be read ({error.strerror})") from error

    def _read_whole(self) -> Addition:
        return Addition(runs=self._read(self._path).runs, whole=True)

    def _read_from_offset(self) -> Addition:
        with _open(self._path) as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")  # the rest may be in flight
        try:
            place = self._path.parent.name, self._path.stem
            lines = whole.split(b"\n") if newline else []
            runs = tuple(check_place(self._decode(line), place) for line in lines)
        except LedgerError:
            # read whole, for the error that names the line
            self._place = None
            return self._read_whole()
        self._offset += len(whole) + len(newline)
        return Addition(runs=runs, whole=False)


def _open(path: Path) -> FileIO:
    return open_regular(path, inside=path.parent.parent, most_bytes=MOST_FILE_BYTES)


def _end_of_lines(path: Path) -> int:
    """Return the offset behind the last whole line."""
    with _open(path) as file:
        start = file.seek(0, os.SEEK_END)
        while start:
            length = min(start, BLOCK_BYTES)
            start = file.seek(start - length)
            newline = file.read(length).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
    return 0


if sys.platform == "win32":
    import msvcrt

    def _lock_byte(file: int, offset: int) -> None:
        os.lseek(file, offset, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _unlock_byte(file: int, offset: int) -> None:
        os.lseek(file, offset, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock_byte(file: int, offset: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)

    def _unlock_byte(file: int, offset: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, offset)
