"""Rows as comma-separated values (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import TextIO

from bench.exports.tables import COLUMNS, Cell, Row, Rows

FORMULA_STARTS = (
    *("=", "+", "-", "@", "\t", "\r", "\n"),
    *("\uff1d", "\uff0b", "\uff0d", "\uff20"),
)
"""A text that begins with one of these is a formula to a spreadsheet (OWASP, CSV injection).

The last are the full-width forms of the first four.
"""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def write_csv(file: TextIO, rows: Iterable[Row], kind: Rows) -> int:
    """Write a header and the rows to a file opened with `newline=""`; return how many rows.

    In a terminal, a control character of a text is written as its escape: it moves no cursor.
    """
    writer = csv.writer(file)
    show = _escape if file.isatty() else str
    columns = tuple(COLUMNS[kind])
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([show(_write_cell(row.get(column))) for column in columns])
        count += 1
    return count


def _write_cell(value: Cell) -> str:
    """Return a cell's text: numbers to the last digit, nothing for what did not happen."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def _escape(text: str) -> str:
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
