"""The ledger: one append-only file of JSON lines per iteration, one line a run.

A line is canonical JSON (sorted keys, no spaces) behind a checksum of its own bytes, so that a
ledger diffs, merges and deduplicates in git. docs/ledger-format.md describes every field.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from filelock import FileLock
from msgspec import Struct
from msgspec.json import Decoder

from bench.errors import LedgerError
from bench.files import check_inside, open_regular
from bench.limits import (
    MOST_FILE_BYTES,
    MOST_FILE_EPOCHS,
    MOST_LINE_BYTES,
    MOST_PAGE_FILE_BYTES,
    MOST_RUNS,
    MOST_WHOLE_FILE_BYTES,
)
from bench.records import FORMAT, Conditions, Run, RunOutline
from bench.run_table import Flags, Ints, RunTable, TableBuilder

_CHECKSUM_LENGTH = 16
RunDecoder = Decoder[Run] | Decoder[RunOutline]
_PREFIX = b'{"checksum":"'
_BODY = len(_PREFIX) + _CHECKSUM_LENGTH + len(b'",')
_encoder = msgspec.json.Encoder(order="sorted")
_decoder: RunDecoder = Decoder(Run)
_outline_decoder: RunDecoder = Decoder(RunOutline)
_BLOCK = 1 << 16
_REPEATED = 100_000
"""Repeated runs that are compared at a time: some ten megabytes."""

RunKey = tuple[str, str, Conditions, int]


class LedgerFile(Struct, frozen=True, kw_only=True):
    """The runs of one file, and whether its last line was torn (a run that never was)."""

    path: Path
    runs: Sequence[Run]
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
    return _decode(line, _decoder)


def decode_outline(line: bytes) -> Run:
    """Return what a verdict needs of the run of a line without its end.

    Raises:
        LedgerError: as `decode_run`.
    """
    return _decode(line, _outline_decoder)


def run_key(run: Run) -> RunKey:
    """Return what makes two runs the same run: code, data, conditions and seed."""
    return run.fingerprint, run.dataset, run.conditions, run.seed


def results_of(run: Run) -> tuple[object, ...]:
    """Return what two lines of one run must agree on."""
    return run.status, tuple((e.training_correct, e.validation_correct) for e in run.epochs)


def describe_results(run: Run) -> str:
    """Return how a run ended and the last validation counts, for a message."""
    return f"{run.status}, {[epoch.validation_correct for epoch in run.epochs[-3:]]}"


def lock_ledger(path: Path) -> FileLock:
    """Return the lock of a file: whoever holds it may append, or put another in its place."""
    return FileLock(path.with_suffix(".lock"))


def read_ledger(path: Path) -> LedgerFile:
    """Read a file; a missing one holds no runs. Repeated runs are returned once.

    Raises:
        LedgerError: the file cannot be read, is beyond a bound of bench/limits.py, leads out of the
            ledger's folder, a line other than a torn last one is damaged, or two lines give one run
            different results.
    """
    runs: dict[RunKey, Run] = {}
    torn = _read(path, _decoder, partial(_add, runs, path), most_bytes=MOST_WHOLE_FILE_BYTES)
    return LedgerFile(path=path, runs=tuple(runs.values()), torn=torn)


def read_outlines(path: Path) -> LedgerFile:
    """Read a file as `read_ledger` does, but of each run only what a verdict needs, as a table.

    Every checksum is verified; what a `RunOutline` leaves out is neither decoded nor kept.
    """
    return _read_table(path, _outline_decoder, most_bytes=MOST_FILE_BYTES)


def read_scores(path: Path) -> LedgerFile:
    """Read a file as `read_ledger` does, but keep only what a page needs, as a table.

    Of each run's mistakes those of the last epoch; of its cost what it shares with others.
    """
    return _read_table(path, _decoder, most_bytes=MOST_PAGE_FILE_BYTES)


def append_run(folder: Path, run: Run) -> None:
    """Append a run under a lock and have it on disk before returning.

    Raises:
        LedgerError: the file cannot be written, or the run could not be read again; the file is
            left as it was.
    """
    append_runs(folder, (run,))


def append_runs(folder: Path, runs: Iterable[Run]) -> None:
    """Append runs as `append_run` does, those of one file together: they are on disk at once.

    Raises:
        LedgerError: as `append_run`; of the runs of that file none is recorded.
    """
    lines: dict[Path, bytes] = {}
    for run in runs:
        path = ledger_path(folder, run.challenge, run.iteration)
        lines[path] = lines.get(path, b"") + _encode_readable(path, run)
    for path, content in lines.items():
        _append(folder, path, content)


def _append(folder: Path, path: Path, content: bytes) -> None:
    try:
        _check_places(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # unbuffered: what a full disk refused must not be written again when the file is closed
        with lock_ledger(path), path.open("a+b", buffering=0) as file:
            _append_lines(file, content)
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


def _encode_readable(path: Path, run: Run) -> bytes:
    """Return the line of a run that the file's next reader takes."""
    line = encode_run(run)
    try:
        check_place(
            _decode_bounded(line.removesuffix(b"\n"), _decoder), (path.parent.name, path.stem)
        )
    except LedgerError as error:
        raise LedgerError(
            f"{path}: seed {run.seed} was not recorded, since it could not be read again ({error})"
        ) from error
    return line


def _check_places(folder: Path, path: Path) -> None:
    """Make sure that neither a run nor the lock is written through a link out of the folder."""
    for file in (path, path.with_suffix(".lock")):
        check_inside(file, folder)


def _append_lines(file: FileIO, content: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    tail = _read_tail(file, end)
    if tail and _decode_tail(tail) is None:
        end = file.truncate(end - len(tail))
    elif tail:
        content = b"\n" + content
    try:
        _write_all(file, content)
        os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def _read_tail(file: FileIO, end: int) -> bytes:
    """Return what follows the last newline, reading backwards and little further than that."""
    start, tail = end, b""
    while start and b"\n" not in tail:
        if len(tail) > MOST_LINE_BYTES:
            raise LedgerError(
                f"{file.name}: its last line is longer than the {MOST_LINE_BYTES:,} bytes that a "
                "run takes at most; restore the file from version control"
            )
        start = max(0, start - _BLOCK)
        file.seek(start)
        tail = file.read(end - start)
    return tail.rpartition(b"\n")[2]


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
    return line[:_BODY] == _PREFIX + _checksum(memoryview(line)[_BODY:]) + b'",'


def _checksum(body: bytes | memoryview) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM_LENGTH].encode()


def _decode(line: bytes, decoder: RunDecoder) -> Run:
    if not _is_intact(line):
        raise LedgerError("the checksum does not match the line")
    try:
        run = decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerError(str(error)) from error
    except RecursionError as error:
        raise LedgerError("brackets are nested too deeply") from error
    if run.format != FORMAT:
        raise LedgerError(f"format {run.format} is not {FORMAT}, the one this version reads")
    _check_counts(run)
    return run


def _decode_bounded(line: bytes, decoder: RunDecoder) -> Run:
    if len(line) > MOST_LINE_BYTES:
        raise LedgerError(f"longer than the {MOST_LINE_BYTES:,} bytes that a run takes at most")
    return _decode(line, decoder)


def _check_counts(run: Run) -> None:
    """Make sure of what the type of no single field can say: no part is larger than its whole."""
    for place, epoch in enumerate(run.epochs):
        if not (
            epoch.training_correct <= epoch.training_total > 0
            and epoch.validation_correct <= epoch.validation_total > 0
        ):
            raise LedgerError(
                f"more images right than there were, or none - at `$.epochs[{place}]`"
            )
    if len(run.mistakes) > len(run.epochs):
        raise LedgerError(f"mistakes of {len(run.mistakes)} epochs, of {len(run.epochs)} that were")
    last = run.epochs[len(run.epochs) - len(run.mistakes) :]
    for place, (mistakes, epoch) in enumerate(zip(run.mistakes, last, strict=True)):
        before = -1
        for mistake in mistakes:
            if not before < mistake.index < epoch.validation_total:
                raise LedgerError(
                    f"image {mistake.index} is out of order, or none of the "
                    f"{epoch.validation_total} - at `$.mistakes[{place}]`"
                )
            before = mistake.index


def _read_table(path: Path, decoder: RunDecoder, *, most_bytes: int) -> LedgerFile:
    builder = TableBuilder()
    torn = _read(path, decoder, builder.add, most_bytes=most_bytes)
    return LedgerFile(path=path, runs=_drop_repeated(builder.finish(), path), torn=torn)


def _read(path: Path, decoder: RunDecoder, keep: Callable[[Run], None], *, most_bytes: int) -> bool:
    """Keep every run of a file, and say whether its last line was torn."""
    torn = False
    try:
        with (
            open_regular(path, inside=path.parent.parent, most_bytes=most_bytes) as raw,
            BufferedReader(raw, _BLOCK) as file,
        ):
            for run in _decode_lines(file, path, decoder):
                torn = run is None
                if run is not None:
                    keep(run)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({error.strerror})") from error
    return torn


def _decode_lines(file: BinaryIO, path: Path, decoder: RunDecoder) -> Iterator[Run | None]:
    """Yield one run after the other, with one line in memory, and `None` for a torn last line."""
    place = path.parent.name, path.stem
    epochs = 0
    # no line is read further than a run may be long
    for number, line in enumerate(iter(partial(file.readline, MOST_LINE_BYTES + 2), b""), start=1):
        content = line.removesuffix(b"\n")
        if content == line and len(line) <= MOST_LINE_BYTES and not _is_intact(content):
            yield None
            return
        try:
            run = check_place(_decode_bounded(content, decoder), place)
        except LedgerError as error:
            raise LedgerError(
                f"{path}:{number}: damaged line ({error}); restore the file from version "
                "control, or delete this line and run its seed again"
            ) from error
        epochs += len(run.epochs)
        if number > MOST_RUNS or epochs > MOST_FILE_EPOCHS:
            raise LedgerError(
                f"{path}:{number}: more than {MOST_RUNS:,} runs or {MOST_FILE_EPOCHS:,} epochs, "
                "which is all that is read of one file; move stale runs elsewhere"
            )
        yield run


def check_place(run: Run, place: tuple[str, str]) -> Run:
    """Return a run that belongs into the file of a challenge and an iteration."""
    if (run.challenge, run.iteration) != place:
        raise LedgerError(f"a run of {run.iteration} on {run.challenge} belongs elsewhere")
    return run


def _drop_repeated(runs: RunTable, path: Path) -> RunTable:
    """Return each run once, its first line; those that repeat one must have the same results."""
    _, origin = runs.origins
    order = np.lexsort((runs.seeds, origin))  # stable: equal runs stay in the order of their lines
    again = (np.diff(origin[order]) == 0) & (np.diff(runs.seeds[order]) == 0)
    if not again.any():
        return runs
    starts = np.maximum.accumulate(np.where(np.append(False, again), 0, np.arange(len(runs))))
    first, repeated = order[starts[1:][again]], order[1:][again]
    by_line = np.argsort(repeated)
    _check_repeated(runs, first[by_line], repeated[by_line], path)
    return runs.take(np.setdiff1d(np.arange(len(runs)), repeated))


def _check_repeated(runs: RunTable, first: Ints, repeated: Ints, path: Path) -> None:
    """Make sure that runs at some places have the results of the first ones, some at a time."""
    for start in range(0, len(first), _REPEATED):
        some = slice(start, start + _REPEATED)
        differ = _differ(runs.take(first[some]), runs.take(repeated[some]))
        if differ.any():
            at = start + int(np.argmax(differ))
            raise _explain_conflict(path, runs[int(first[at])], runs[int(repeated[at])])


def _differ(one: RunTable, other: RunTable) -> Flags:
    """Say of each pair of runs whether `results_of` would tell them apart."""
    differ: Flags = (one.finished != other.finished) | (one.lengths != other.lengths)
    alike = np.flatnonzero(~differ)
    one, other = one.take(alike), other.take(alike)
    for name in ("training_correct", "validation_correct"):
        unequal = one.epochs(name) != other.epochs(name)
        differ[alike] |= one.reduce(np.logical_or, unequal, False)
    return differ


def _add(runs: dict[RunKey, Run], path: Path, run: Run) -> None:
    """Add a run; one that is there already must have the same results."""
    known = runs.setdefault(run_key(run), run)
    if known is not run and results_of(known) != results_of(run):
        raise _explain_conflict(path, known, run)


def _explain_conflict(path: Path, known: Run, run: Run) -> LedgerError:
    return LedgerError(
        f"{path}: seed {run.seed} of {run.fingerprint[:12]} is recorded twice under "
        f"{run.conditions} with different results ({known.started}: {describe_results(known)}; "
        f"{run.started}: {describe_results(run)}); run the seed again with another "
        "--ledger and delete the line that differs"
    )
