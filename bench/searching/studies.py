"""A study's folder: what is searched, a line for each configuration drawn, and the runs' ledger.

No storage of Optuna's is used: a journal can be torn, and its lock outlives a process that is
killed; a database would be a second truth beside the ledger. Optuna's study is made anew from these
files, each of which is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from filelock import FileLock, Timeout
from msgspec import Meta, Struct

from bench.errors import SearchError
from bench.files import read_regular, write_whole
from bench.iterations import Iteration
from bench.limits import MOST_WHOLE_FILE_BYTES
from bench.literals import shorten
from bench.records import Conditions, Digest, Name

FORMAT = 1
Count = Annotated[int, Meta(ge=0)]


class Found(Struct, frozen=True, kw_only=True):
    """What a look at a configuration's network gives: how it would be trained here and now."""

    parameters: int
    conditions: Conditions


class Trial(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One configuration: what was drawn by path, and what a look at its network found.

    `iteration` is its name in the ledger, and its runs are those under `conditions`. `refused` says
    why it is never trained; `parameters` is `None` where no network could be built. Where neither
    is known, a look at its network came to nothing that says anything about it.
    """

    number: Count
    drawn: dict[str, int]
    iteration: Name | None = None
    fingerprint: Digest | None = None
    parameters: Count | None = None
    conditions: Conditions | None = None
    refused: str | None = None
    over_budget: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its network has still to be looked at."""
        return self.refused is None and self.conditions is None


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Trial)


class Study:
    """The files of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self._identity_file = folder / "study.json"
        self._trials_file = folder / "trials.jsonl"
        self.trials: list[Trial] = []

    @property
    def has_begun(self) -> bool:
        """Whether it is noted what the study is of."""
        return self._identity_file.exists()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep the study to this process; the system frees it when the process ends, however.

        Raises:
            SearchError: another process has it, or the folder cannot be written.
        """
        lock = FileLock(self.folder / "study.lock", timeout=0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise SearchError(
                f"{self.folder}: another `bench search` is at work in it; wait for it, or look "
                "with --results"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, identity: Mapping[str, Any], space: Path) -> None:
        """Note what the study is of, or make sure that it is of the same, and read its trials.

        Raises:
            SearchError: it is of something else, of which one difference is named; or its files
                cannot be read or written.
        """
        if not self.has_begun:
            content = msgspec.json.format(msgspec.json.encode({"format": FORMAT, **identity}))
            self._write(self._identity_file, content + b"\n")
        self.resume(identity, space)

    def resume(self, identity: Mapping[str, Any], space: Path) -> None:
        """Read a study that has begun; of `identity`, what is given has to be the same.

        Raises:
            SearchError: as `begin`, or there is no such study.
        """
        recorded = self._read_identity()
        known, wanted = dict(_flatten(recorded)), dict(_flatten({"format": FORMAT, **identity}))
        mine = {
            name: value
            for name, value in known.items()
            if name.partition(".")[0] in identity or name == "format"
        }
        for name in sorted({*mine, *wanted}):
            was, is_now = mine.get(name), wanted.get(name)
            if (type(was), was) != (type(is_now), is_now):  # 4 to 20 is drawn unlike 4.0 to 20.0
                raise SearchError(
                    f"{space}: {name.removeprefix('space.')} was {_show(was)} when the "
                    f"study {self.folder} began and is {_show(is_now)}; put it back, or "
                    "name another --study"
                )
        self.trials = self._read_trials()

    def put(self, trial: Trial) -> None:
        """Add a configuration, or what is known of it now; the file is replaced as a whole.

        Should it be lost with the machine, the same are drawn again and their runs found.

        Raises:
            SearchError: it cannot be written.
        """
        trials = [*self.trials[: trial.number], trial, *self.trials[trial.number + 1 :]]
        self._write(self._trials_file, b"".join(_encoder.encode(t) + b"\n" for t in trials))
        self.trials = trials

    def check_code(self, number: int, iteration: Iteration) -> None:
        """Make sure that a configuration is of today's code.

        Raises:
            SearchError: it is of other code.
        """
        if self.trials[number].fingerprint != iteration.fingerprint:
            raise SearchError(
                f"{self.folder}: configuration {number} is of other code than its model and recipe "
                "now; put that back, or name another --study"
            )

    def _read_identity(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(self._read(self._identity_file), type=dict[str, Any])
        except FileNotFoundError:
            raise SearchError(
                f"{self.folder}: no study there; leave --results out to begin one"
            ) from None
        except msgspec.MsgspecError as error:
            raise SearchError(
                f"{self._identity_file}: cannot be read ({error}); name another --study"
            ) from error
        return found

    def _read_trials(self) -> list[Trial]:
        try:
            lines = self._read(self._trials_file).splitlines()
            trials = [_decoder.decode(line) for line in lines]
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as error:
            raise SearchError(
                f"{self._trials_file}: damaged ({error}); move it away: the same configurations "
                "are drawn again, and their runs are kept"
            ) from error
        if [trial.number for trial in trials] != list(range(len(trials))):
            raise SearchError(f"{self._trials_file}: its numbers do not count from 0; move it away")
        return trials

    def _read(self, path: Path) -> bytes:
        try:
            return read_regular(path, inside=self.folder, most_bytes=MOST_WHOLE_FILE_BYTES)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SearchError(f"{path}: cannot be read ({error.strerror})") from error

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_whole(path, content)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> SearchError:
        return SearchError(
            f"{self.folder}: cannot be written ({error.strerror or error}); free space, or name "
            "another --study"
        )


def _flatten(table: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is in nested tables and lists by its path."""
    if isinstance(table, Mapping):
        for name, value in table.items():
            yield from _flatten(value, f"{where}.{name}" if where else str(name))
    elif isinstance(table, list | tuple):
        for index, value in enumerate(table):
            yield from _flatten(value, f"{where}[{index}]")
    else:
        yield where, table


def _show(value: Any) -> str:
    return "left out" if value is None else shorten(value)
