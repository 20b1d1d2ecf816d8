"""The ledger: one append-only file of JSON lines per iteration, one line a run.

A line is canonical JSON (sorted keys, no spaces) behind a checksum of its own bytes, so that a
ledger diffs, merges and deduplicates in git. docs/ledger-format.md describes every field.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec import Struct

from bench.errors import LedgerError
from bench.records import FORMAT, Conditions, Run

_CHECKSUM_LENGTH = 16
_PREFIX = b'{"checksum":"'
_BODY = len(_PREFIX) + _CHECKSUM_LENGTH + len(b'",')
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Run)

RunKey = tuple[str, str, Conditions, int]


class LedgerFile(Struct, frozen=True, kw_only=True):
    """The runs of one file, and whether its last line was torn (a run that never was)."""

    path: Path
    runs: tuple[Run, ...]
    torn: bool


def ledger_path(folder: Path, challenge: str, iteration: str) -> Path:
    """Return the file that holds the runs of one iteration on one challenge."""
    return folder / challenge / f"{iteration}.jsonl"


def encode_run(run: Run) -> bytes:
    """Return the line of a run, with its checksum and its end."""
    body = _encoder.encode(run)[1:]
    return _PREFIX + _checksum(body) + b'",' + body + b"\n"


def decode_run(line: bytes) -> Run:
    """Return the run of a line without its end.

    Raises:
        LedgerError: the checksum does not match, or a field is not what the format says.
    """
    if not _is_intact(line):
        raise LedgerError("the checksum does not match the line")
    try:
        run = _decoder.decode(b"{" + line[_BODY:])
    except msgspec.MsgspecError as error:
        raise LedgerError(str(error)) from error
    if run.format != FORMAT:
        raise LedgerError(f"format {run.format} is not {FORMAT}, the one this version reads")
    return run


def run_key(run: Run) -> RunKey:
    """Return what makes two runs the same run: code, data, conditions and seed."""
    return run.fingerprint, run.dataset, run.conditions, run.seed


def read_ledger(path: Path) -> LedgerFile:
    """Read a file; a missing one holds no runs. Repeated runs are returned once.

    Raises:
        LedgerError: the file cannot be read, a line other than a torn last one is damaged, or two
            lines give one run different results.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({error.strerror})") from error
    runs: list[Run] = []
    lines = content.split(b"\n")
    torn = bool(lines[-1]) and not _is_intact(lines[-1])
    for number, line in enumerate(lines[:-1] if torn or not lines[-1] else lines, start=1):
        try:
            runs.append(_belonging(decode_run(line), path))
        except LedgerError as error:
            raise LedgerError(
                f"{path}:{number}: damaged line ({error}); restore the file from version "
                "control, or delete this line and run its seed again"
            ) from error
    return LedgerFile(path=path, runs=_without_repeats(path, runs), torn=torn)


def _belonging(run: Run, path: Path) -> Run:
    """Return a run that belongs into the file, by its challenge and iteration."""
    if (run.challenge, run.iteration) != (path.parent.name, path.stem):
        raise LedgerError(f"a run of {run.iteration} on {run.challenge} belongs elsewhere")
    return run


def append_run(folder: Path, run: Run) -> None:
    """Append a run under a lock and have it on disk before returning.

    Raises:
        LedgerError: the file cannot be written; it is left as it was.
    """
    path = ledger_path(folder, run.challenge, run.iteration)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # unbuffered: what a full disk refused must not be written again when the file is closed
        with FileLock(path.with_suffix(".lock")), path.open("a+b", buffering=0) as file:
            _append_line(file, encode_run(run))
    except OSError as error:
        raise unwritable(path, error) from error


def check_writable(folder: Path, challenge: str) -> None:
    """Find out before hours of training whether a ledger can be written.

    Raises:
        LedgerError: it cannot.
    """
    probe = folder / challenge / f".probe-{os.getpid()}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(path: Path, error: OSError) -> LedgerError:
    """Return the error of a ledger that cannot be written."""
    return LedgerError(
        f"{path}: the ledger cannot be written ({error.strerror}); "
        "free space, correct its permissions, or name another folder with --ledger"
    )


def _append_line(file: FileIO, line: bytes) -> None:
    file.seek(0)
    tail = file.read().rsplit(b"\n", 1)[-1]
    end = file.tell()
    if tail and _decode_tail(tail) is None:
        end = file.truncate(end - len(tail))
    elif tail:
        line = b"\n" + line
    try:
        _write_all(file, line)
        os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def _write_all(file: FileIO, content: bytes) -> None:
    """Write all of it: one unbuffered write may take only a part."""
    while content:
        content = content[file.write(content) :]


def _decode_tail(tail: bytes) -> Run | None:
    """Return the run of a last line without its end, `None` when the line is torn.

    Raises:
        LedgerError: the line is whole, by its checksum, and not a run that this version reads.
    """
    return decode_run(tail) if tail and _is_intact(tail) else None


def _is_intact(line: bytes) -> bool:
    return line[:_BODY] == _PREFIX + _checksum(line[_BODY:]) + b'",'


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM_LENGTH].encode()


def _without_repeats(path: Path, runs: Iterable[Run]) -> tuple[Run, ...]:
    first: dict[RunKey, Run] = {}
    for run in runs:
        known = first.setdefault(run_key(run), run)
        if _results(known) != _results(run):
            raise LedgerError(
                f"{path}: seed {run.seed} of {run.fingerprint[:12]} is recorded twice under "
                f"{run.conditions} with different results ({known.started}: {_summary(known)}; "
                f"{run.started}: {_summary(run)}); run the seed again with another "
                "--ledger and delete the line that differs"
            )
    return tuple(first.values())


def _results(run: Run) -> tuple[object, ...]:
    return run.status, tuple((e.training_correct, e.validation_correct) for e in run.epochs)


def _summary(run: Run) -> str:
    return f"{run.status}, {[epoch.validation_correct for epoch in run.epochs[-3:]]}"
