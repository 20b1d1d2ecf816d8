"""Many runs as columns: a tenth of the memory of as many `Run`s, and read by numpy at once.

A million runs of 15 epochs take 12 GB as objects and 0.8 GB as a table. A table is a sequence of
the outlines of its runs, each made when it is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from struct import Struct as Packing
from typing import Any, TypeVar, overload

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from bench.records import (
    FORMAT,
    Conditions,
    Cost,
    EpochScore,
    Machine,
    Mistake,
    Run,
    RunOutline,
    Status,
)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Origin = tuple[str, str, str, str, Conditions]
"""Challenge, iteration, fingerprint, dataset and conditions of a run."""

Value = TypeVar("Value", bound=Hashable)

_CODES = {"i": "<i4", "h": "<i2", "d": "<f8"}
_EPOCH, _MISTAKE = "iidiidd", "ihh"
"""How the fields of an `EpochScore` and of a `Mistake` are kept; their bounds allow it."""

NONE = -1
"""Number of mistakes of a run that has none recorded of any epoch."""


class RunTable(Sequence[Run]):
    """Some runs of the same columns, in an order; `rows` are their places there, `None` for all."""

    def __init__(self, columns: _Columns, rows: Ints | None = None) -> None:
        self._columns, self._rows = columns, rows
        self._epochs: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.seeds)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | Sequence[Run]:
        """Return the outline of a run, with the mistakes of its last epoch where it has them."""
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        row = range(len(self))[place]
        return self._columns.outline(row if self._rows is None else int(self._rows[row]))

    def take(self, places: Ints) -> RunTable:
        """Return the runs at some places, in their order; nothing is copied but the places."""
        return RunTable(self._columns, places if self._rows is None else self._rows[places])

    def _pick(self, column: NDArray[Any]) -> NDArray[Any]:
        return column if self._rows is None else column[self._rows]

    @cached_property
    def seeds(self) -> Ints:
        """The seed of each run."""
        return self._pick(self._columns.seeds)

    @cached_property
    def finished(self) -> Flags:
        """Whether each run finished."""
        return self._pick(self._columns.finished)

    @property
    def wall_seconds(self) -> NDArray[np.float64]:
        """The seconds of each run."""
        return self._pick(self._columns.wall_seconds)

    @property
    def origins(self) -> tuple[tuple[Origin, ...], Ints]:
        """Where runs come from, and the place of each run's among them."""
        return self._columns.origins, self._pick(self._columns.origin)

    @property
    def machines(self) -> tuple[tuple[Machine, ...], Ints]:
        """The machines, and the place of each run's among them."""
        return self._columns.machines, self._pick(self._columns.machine)

    @cached_property
    def lengths(self) -> Ints:
        """The number of epochs of each run."""
        return self._pick(self._columns.lengths)

    @cached_property
    def starts(self) -> Ints:
        """The place of each run's first epoch in what `epochs` returns."""
        return _find_starts(self.lengths)

    def epochs(self, name: str) -> NDArray[Any]:
        """Return a field of all epochs, those of one run after those of another."""
        column = self._columns.epochs[name]
        if self._rows is None:
            return column
        if name not in self._epochs:
            self._epochs[name] = column[_spread(self._columns.starts[self._rows], self.lengths)]
        return self._epochs[name]

    @cached_property
    def wrong(self) -> Ints:
        """The number of mistakes in the last epoch of each run, `NONE` where none are recorded."""
        return self._pick(self._columns.wrong)

    def mistakes(self, name: str) -> NDArray[Any]:
        """Return a field of all mistakes, those of one run after those of another."""
        column = self._columns.mistakes[name]
        if self._rows is None:
            return column
        counts = np.maximum(self.wrong, 0)
        return column[_spread(self._columns.mistake_starts[self._rows], counts)]

    def reduce(self, ufunc: np.ufunc, values: NDArray[Any], empty: Any) -> NDArray[Any]:
        """Return one value a run from one an epoch, `empty` for a run without an epoch."""
        reduced = np.full(len(self), empty, dtype=values.dtype)
        filled = self.lengths > 0
        if filled.any():
            reduced[filled] = ufunc.reduceat(values, self.starts[filled])
        return reduced


class TableBuilder:
    """A table that grows by one run after the other."""

    def __init__(self) -> None:
        self._epochs, self._mistakes = bytearray(), bytearray()
        self._lengths, self._wrong = array("i"), array("i")
        self._seeds, self._wall_seconds = array("q"), array("d")
        self._finished, self._started = array("b"), list[str]()
        self._origin, self._machine, self._cost = array("i"), array("i"), array("i")
        self._origins: dict[Origin, int] = {}
        self._machines: dict[Machine, int] = {}
        self._costs: dict[Cost, int] = {}

    def add(self, run: Run) -> None:
        """Add a run; of its mistakes those of its last epoch."""
        self._epochs += _pack(_EPOCH, run.epochs)
        self._lengths.append(len(run.epochs))
        self._wrong.append(len(run.mistakes[-1]) if run.mistakes else NONE)
        if run.mistakes:
            self._mistakes += _pack(_MISTAKE, run.mistakes[-1])
        self._seeds.append(run.seed)
        self._wall_seconds.append(run.wall_seconds)
        self._finished.append(run.status is Status.FINISHED)
        self._started.append(run.started)
        origin = run.challenge, run.iteration, run.fingerprint, run.dataset, run.conditions
        self._origin.append(_code(self._origins, origin))
        self._machine.append(_code(self._machines, run.machine))
        self._cost.append(_code(self._costs, run.cost))

    def finish(self) -> RunTable:
        """Return the table of all runs that were added."""
        lengths, wrong = _array(self._lengths), _array(self._wrong)
        return RunTable(
            _Columns(
                epochs=np.frombuffer(self._epochs, _describe(EpochScore, _EPOCH)),
                lengths=lengths,
                starts=_find_starts(lengths),
                mistakes=np.frombuffer(self._mistakes, _describe(Mistake, _MISTAKE)),
                wrong=wrong,
                mistake_starts=_find_starts(np.maximum(wrong, 0)),
                seeds=_array(self._seeds),
                finished=_array(self._finished) > 0,
                wall_seconds=np.array(self._wall_seconds),
                started=self._started,
                origin=_array(self._origin),
                origins=tuple(self._origins),
                machine=_array(self._machine),
                machines=tuple(self._machines),
                cost=_array(self._cost),
                costs=tuple(self._costs),
            )
        )


def tabulate(runs: Iterable[Run]) -> RunTable:
    """Return runs as a table; one that is a table already is returned as it is."""
    if isinstance(runs, RunTable):
        return runs
    builder = TableBuilder()
    for run in runs:
        builder.add(run)
    return builder.finish()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Columns:
    """One entry a run, but for `epochs` and `mistakes`, where those of one run follow another's.

    What many runs have in common is kept once: `origin`, `machine` and `cost` are places in
    `origins`, `machines` and `costs`.
    """

    epochs: NDArray[np.void]
    lengths: Ints
    starts: Ints
    mistakes: NDArray[np.void]
    wrong: Ints
    mistake_starts: Ints
    seeds: Ints
    finished: Flags
    wall_seconds: NDArray[np.float64]
    started: Sequence[str]
    origin: Ints
    origins: tuple[Origin, ...]
    machine: Ints
    machines: tuple[Machine, ...]
    cost: Ints
    costs: tuple[Cost, ...]

    def outline(self, row: int) -> RunOutline:
        """Return one run without what no column has."""
        origin = self.origins[self.origin[row]]
        challenge, iteration, fingerprint, dataset, conditions = origin
        cost: Any = self.costs[self.cost[row]]
        epochs = _cut(self.epochs, self.starts[row], self.lengths[row])
        last = _cut(self.mistakes, self.mistake_starts[row], self.wrong[row])
        return RunOutline(
            format=FORMAT,
            challenge=challenge,
            iteration=iteration,
            fingerprint=fingerprint,
            seed=int(self.seeds[row]),
            dataset=dataset,
            conditions=conditions,
            machine=self.machines[self.machine[row]],
            cost=cost,
            status=Status.FINISHED if self.finished[row] else Status.DIVERGED,
            epochs=tuple(EpochScore(**dict(zip(_NAMES, each, strict=True))) for each in epochs),
            mistakes=() if self.wrong[row] == NONE else (tuple(Mistake(*m) for m in last),),
            started=self.started[row],
            wall_seconds=float(self.wall_seconds[row]),
        )


_NAMES = EpochScore.__struct_fields__


def _cut(column: NDArray[np.void], start: Any, count: Any) -> list[Any]:
    return list(column[start : start + max(count, 0)].tolist())


def _describe(kind: type[Struct], codes: str) -> np.dtype[np.void]:
    names = kind.__struct_fields__
    return np.dtype([(name, _CODES[code]) for name, code in zip(names, codes, strict=True)])


@lru_cache(maxsize=256)
def _packing(codes: str, count: int) -> Packing:
    return Packing("<" + codes * count)


def _pack(codes: str, rows: Sequence[Struct]) -> bytes:
    return _packing(codes, len(rows)).pack(*chain.from_iterable(map(astuple, rows)))


def _code(codes: dict[Value, int], value: Value) -> int:
    return codes.setdefault(value, len(codes))


def _array(values: array[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _find_starts(counts: Ints) -> Ints:
    return np.cumsum(counts) - counts


def _spread(starts: Ints, counts: Ints) -> Ints:
    """Return the places start, start + 1, ... of each block, block after block."""
    places = np.repeat(starts - _find_starts(counts), counts)
    places += np.arange(len(places))
    return places


def find_distinct(values: NDArray[Any]) -> list[int]:
    """Return the different values in ascending order; few, and mostly one after its like."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return [int(value) for value in np.unique(values[np.append(0, changes)[: len(values)]])]
