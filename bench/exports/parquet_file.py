"""Rows as a Parquet file, by pyarrow: typed columns, written a row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench import __version__
from bench.exports.destinations import import_extra
from bench.exports.tables import COLUMNS, Row, Rows

GROUP_ROWS = 65_536
"""Rows that are held in memory at a time."""


def load_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module.

    Raises:
        ExportError: pyarrow is not installed.
    """
    return import_extra("pyarrow", extra="parquet"), import_extra(
        "pyarrow.parquet", extra="parquet"
    )


def write_parquet(path: Path, rows: Iterable[Row], kind: Rows) -> int:
    """Write the rows and return how many.

    Raises:
        ExportError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    arrow, parquet = load_pyarrow()
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema(
        [arrow.field(name, types[of]) for name, of in COLUMNS[kind].items()],
        metadata={"drilldown": __version__, "rows": kind},
    )
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _cut(iter(rows)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _cut(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, GROUP_ROWS)):
        yield batch
