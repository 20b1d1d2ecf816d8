"""A ledger's files, read into groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.exports.collection import Group, group_runs
from bench.iterations import Iteration
from bench.ledger import LedgerFile, ledger_path, read_ledger
from bench.records import Challenge


def read_groups(
    ledger: Path,
    challenge: Challenge,
    name: str,
    iteration: Iteration | None,
    *,
    read: Callable[[Path], LedgerFile] = read_ledger,
) -> tuple[tuple[Group, ...], Path | None]:
    """Return the groups of one iteration's file, and its path when its last line was torn.

    With `read_outlines` the runs are without their mistakes and their layers.

    Raises:
        LedgerError: the file cannot be read or judged.
    """
    file = read(ledger_path(ledger, challenge.name, name))
    groups = group_runs(file.runs, name, iteration, challenge)
    return groups, file.path if file.torn else None
