"""Ledgers of several machines joined into one: all is checked before anything is written.

Reads JSON only and knows no model file. Under the locks that `append_run` takes, each file that
gains runs is written whole beside its place, and moved there when all of them are on disk: a reader
sees the old file or the new one, a writer that waits for the lock opens the new one, and what goes
wrong before that (a conflict, a full disk) leaves every file as it was.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from bench.errors import LedgerError
from bench.files import check_inside
from bench.ledger import (
    LedgerFile,
    RunKey,
    describe_results,
    encode_run,
    ledger_path,
    lock_ledger,
    read_ledger,
    results_of,
    run_key,
    unwritable,
)
from bench.records import Run

READABLE = 0o644
"""A temporary file is private; a ledger is for everyone who may read its folder."""

Place = tuple[str, str]
"""Names of a challenge and of an iteration."""


class Joined(Struct, frozen=True, kw_only=True):
    """How many runs of an iteration were new to the destination, and how many it had already."""

    challenge: str
    iteration: str
    new: int
    known: int


class Merge(Struct, frozen=True, kw_only=True):
    """What a merge did, iteration by iteration; `torn` are files whose last line was ignored."""

    joined: tuple[Joined, ...]
    torn: tuple[Path, ...]


class _Draft(Struct, frozen=True, kw_only=True):
    """The runs that a file is to gain."""

    place: Place
    file: LedgerFile
    new: tuple[Run, ...]
    known: int
    torn: tuple[Path, ...]


def merge_ledgers(sources: Sequence[Path], destination: Path) -> Merge:
    """Join the runs of ledger folders into another one, each once.

    Raises:
        LedgerError: a source has no ledger or a damaged one, a link leads out of a folder, two
            lines give one run different results, or the destination cannot be written. Nothing
            has been written then.
    """
    places = _find_places(sources)
    for place, files in places.items():  # before a lock or a folder is made
        _draft(place, files, destination)
    with _lock(places, destination):
        drafts = [_draft(place, files, destination) for place, files in places.items()]
        _write([draft for draft in drafts if draft.new])
    return Merge(
        joined=tuple(
            Joined(challenge=d.place[0], iteration=d.place[1], new=len(d.new), known=d.known)
            for d in drafts
        ),
        torn=tuple(path for draft in drafts for path in draft.torn),
    )


def list_ledger_files(folder: Path) -> list[Path]:
    """Return every iteration's file of every challenge in a ledger folder, in order of their names.

    Raises:
        LedgerError: one of them is not a file, or a link that leads out of the folder.
    """
    files = [path for path in sorted(folder.glob("*/*.jsonl")) if not path.name.startswith(".")]
    for path in files:
        _check_place(path, folder)
        if not path.is_file():
            raise LedgerError(f"{path}: not a file; remove it from the ledger")
    return files


def _check_place(path: Path, folder: Path) -> None:
    try:
        check_inside(path, folder)
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error


def _find_places(sources: Sequence[Path]) -> dict[Place, list[Path]]:
    places: dict[Place, list[Path]] = defaultdict(list)
    for source in sources:
        files = list_ledger_files(source)
        if not files:
            raise LedgerError(
                f"{source}: no ledger there; name a folder that holds CHALLENGE/ITERATION.jsonl, "
                "such as reports/ledger"
            )
        for file in files:
            places[file.parent.name, file.stem].append(file)
    return dict(sorted(places.items()))


def _draft(place: Place, files: Sequence[Path], destination: Path) -> _Draft:
    """Find out which runs a destination's file lacks.

    Raises:
        LedgerError: a line is damaged, or two lines give one run different results.
    """
    path = ledger_path(destination, *place)
    for target in (path, path.with_suffix(".lock")):
        _check_place(target, destination)
    mine = read_ledger(path)
    seen = {run_key(run): (run, path) for run in mine.runs}
    counted: set[RunKey] = set()
    torn = [path] if mine.torn else []
    for file in files:
        read = read_ledger(file)
        torn += [file] if read.torn and file != path else []
        for run in read.runs:
            _agree(seen.setdefault(run_key(run), (run, file)), (run, file))
            counted.add(run_key(run))
    had = {run_key(run) for run in mine.runs}
    return _Draft(
        place=place,
        file=mine,
        new=tuple(run for key, (run, _) in seen.items() if key not in had),
        known=len(counted & had),
        torn=tuple(torn),
    )


def _agree(one: tuple[Run, Path], other: tuple[Run, Path]) -> None:
    if results_of(one[0]) != results_of(other[0]):
        run = one[0]
        raise LedgerError(
            f"seed {run.seed} of {run.iteration} under {run.conditions} has different results in "
            f"{_describe(*one)} and in {_describe(*other)}; nothing was merged: train the seed "
            "again with another --ledger and delete the line that differs"
        )


def _describe(run: Run, path: Path) -> str:
    return f"{path} ({run.started}: {describe_results(run)})"


@contextmanager
def _lock(places: Mapping[Place, object], destination: Path) -> Iterator[None]:
    """Hold the locks of all files, in one order, so that two merges never wait for each other."""
    with ExitStack() as stack:
        for place in sorted(places):
            path = ledger_path(destination, *place)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock_ledger(path))
            except OSError as error:
                raise unwritable(path, error) from error
        yield


def _write(drafts: Sequence[_Draft]) -> None:
    """Write all files beside their places, then move each there."""
    written: list[tuple[Path, Path]] = []
    try:
        for draft in drafts:
            with _reporting(draft.file.path):
                written.append((_write_beside(draft), draft.file.path))
        for beside, path in written:
            with _reporting(path):
                beside.replace(path)
                _sync_folder(path.parent)
    finally:
        for beside, _ in written:
            with suppress(OSError):
                beside.unlink()


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def _write_beside(draft: _Draft) -> Path:
    path = draft.file.path
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _copy_lines(draft.file, file)
            file.writelines(map(encode_run, draft.new))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(READABLE)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def _copy_lines(source: LedgerFile, target: BinaryIO) -> None:
    """Copy the lines as they are, a torn last one left out, a last one without its end ended."""
    if not source.path.is_file():
        return
    with source.path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                target.write(line)
            elif not source.torn:
                target.write(line + b"\n")


def _sync_folder(folder: Path) -> None:
    """Have the names of a folder on disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
