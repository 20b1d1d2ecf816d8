"""Rows as comma-separated values (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from bench.exports.tables import COLUMNS, Cell, Row, Rows

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins with one of these is a formula to a spreadsheet (OWASP, CSV injection)."""


def write_csv(file: TextIO, rows: Iterable[Row], kind: Rows) -> int:
    """Write a header and the rows to a file opened with `newline=""`; return how many rows."""
    writer = csv.writer(file)
    columns = tuple(COLUMNS[kind])
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_write_cell(row.get(column)) for column in columns])
        count += 1
    return count


def _write_cell(value: Cell) -> str:
    """Return a cell's text: numbers to the last digit, nothing for what did not happen."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return repr(value).lower() if isinstance(value, bool) else repr(value)
