"""What was claimed for each submission: a CSV or TOML table, checked field by field."""

from __future__ import annotations

import ast
import csv
import io
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from bench.errors import GradingError
from bench.files import read_regular
from bench.grading.numbers import ClaimedCount, parse_accuracy, parse_count, parse_epoch
from bench.limits import MOST_SOURCE_BYTES, MOST_TEXT
from bench.literals import shorten

COLUMNS = ("file", "class", "arguments", "recipe", "student", "parameters", "accuracy", "epoch")
"""Columns of a CSV, keys of a TOML table: `file` must be there, the others may."""

TABLE = "submission"
"""A TOML file has one `[[submission]]` for each."""

MOST_CLAIMS = 10_000
_DELIMITERS = ",;\t"
_UNSEEN = {*map(chr, range(32)), *map(chr, range(127, 160))}

Arguments = tuple[tuple[str, str], ...]
"""Names of a constructor's arguments, with literals as Python writes them."""


class Claimed(Struct, frozen=True, kw_only=True):
    """One row: which file and class, how it is built and trained, and what was claimed of it.

    `accuracy` is a proportion, that of the best epoch; what the row leaves empty is `None`.
    `where` is the row's place in its file, for messages.
    """

    where: str
    file: str
    network: str | None = None
    arguments: Arguments = ()
    recipe: str | None = None
    student: str | None = None
    parameters: ClaimedCount | None = None
    accuracy: Fraction | None = None
    epoch: int | None = None


def read_claims(path: Path) -> tuple[Claimed, ...]:
    """Read a table of claims, `.csv` or `.toml`.

    Raises:
        GradingError: the file cannot be read, has unknown columns, or a wrong value; the message
            names the row and the column.
    """
    readers = {".csv": _read_csv, ".toml": _read_toml}
    if path.suffix.lower() not in readers:
        raise GradingError(f"{path}: neither .csv nor .toml; name a file of one of these")
    text = _read_text(path)
    claims = tuple(_build(where, row) for where, row in readers[path.suffix.lower()](path, text))
    if len(claims) > MOST_CLAIMS:
        raise GradingError(f"{path}: {len(claims):,} claims; {MOST_CLAIMS:,} are read at most")
    _check_distinct(claims)
    return claims


def _read_text(path: Path) -> str:
    try:
        content = read_regular(path, inside=path.parent, most_bytes=MOST_SOURCE_BYTES)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise GradingError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise GradingError(f"{path}: not UTF-8; save it as CSV in UTF-8") from error


def _read_csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield rows by column; the separator is whichever of comma, semicolon, tab heads the table."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(lines, [])]
        _check_columns(columns, f"{path}:1")
        for cells in lines:
            where = f"{path}:{lines.line_num}"
            if any(cell.strip() for cell in cells):
                yield where, _name_cells(columns, cells, where)
    except csv.Error as error:
        raise GradingError(f"{path}:{lines.line_num}: not CSV ({error}); correct it") from error


def _name_cells(columns: list[str], cells: list[str], where: str) -> dict[str, Any]:
    if len(cells) > len(columns):
        raise GradingError(
            f"{where}: {len(cells)} cells in {len(columns)} columns; put a cell with a separator "
            'in it between quotes: "7,924"'
        )
    return {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}


def _check_columns(columns: list[str], where: str) -> None:
    known = ", ".join(COLUMNS)
    for name in columns:
        if name not in COLUMNS:
            raise GradingError(f"{where}: {name!r} is not a column; choose from {known}")
    if len(set(columns)) < len(columns):
        raise GradingError(f"{where}: a column stands there twice; name each once")
    if "file" not in columns:
        raise GradingError(f"{where}: no column `file`; the columns are {known}")


def _read_toml(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise GradingError(f"{path}: not valid TOML ({error}); correct it") from error
    tables = document.pop(TABLE, [])
    for name in document:
        raise GradingError(f"{path}: {name!r} is not a table of claims; write [[{TABLE}]]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise GradingError(f"{path}: {TABLE} is not a list of tables; write [[{TABLE}]] above each")
    for number, table in enumerate(tables, start=1):
        where = f"{path}: {TABLE} {number}"
        _check_columns([name.lower() for name in table], where)
        yield where, {name.lower(): value for name, value in table.items()}


def _build(where: str, row: Mapping[str, Any]) -> Claimed:
    read = _Row(where, row)
    file = read.text("file")
    if file is None:
        raise GradingError(f"{where}: file is empty; name the file that the claim is about")
    return Claimed(
        where=where,
        file=tidy_path(file),
        network=read.text("class"),
        arguments=read.arguments(),
        recipe=read.text("recipe"),
        student=read.text("student"),
        parameters=read.number("parameters", parse_count),
        accuracy=read.number("accuracy", parse_accuracy),
        epoch=read.number("epoch", parse_epoch),
    )


def tidy_path(text: str) -> str:
    """Return a path below the folder of submissions as it is compared: `anna/model.py`."""
    return str(PurePosixPath(text.replace("\\", "/")))


class _Row:
    """The cells of one row; each is read as what its column wants."""

    def __init__(self, where: str, cells: Mapping[str, Any]) -> None:
        self._where, self._cells = where, cells

    def text(self, column: str) -> str | None:
        value = self._cells.get(column)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > MOST_TEXT or _UNSEEN & set(value):
            raise self._refuse(column, value, "is not a line of text; write one")
        return value.strip() or None

    def number(self, column: str, parse: Callable[[str], Any]) -> Any:
        value = self._cells.get(column)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._refuse(column, value, "is not a number; write one")
        try:
            return parse(value if isinstance(value, str) else repr(value))
        except ValueError as error:
            raise self._refuse(column, value, str(error)) from error

    def arguments(self) -> Arguments:
        value = self._cells.get("arguments", "")
        try:
            return _list_table(value) if isinstance(value, dict) else _parse_arguments(value)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
            raise self._refuse(
                "arguments", value, "are not arguments; write channels=8, dropout=0.1"
            ) from error

    def _refuse(self, column: str, value: object, why: str) -> GradingError:
        return GradingError(f"{self._where}: {column} {shorten(value)} {why}")


def _parse_arguments(text: str) -> Arguments:
    """Read `channels=8, dropout=0.1`: names and literals, as in a call."""
    call = ast.parse(f"f({text})", mode="eval").body
    if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
        raise ValueError("not named")
    return _list_table({keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords})


def _list_table(table: Mapping[Any, Any]) -> Arguments:
    for name, value in table.items():
        if not isinstance(name, str) or not name.isidentifier() or not _is_plain(value):
            raise ValueError(f"{name} is no argument")
    return tuple((name, repr(value)) for name, value in table.items())


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def _check_distinct(claims: tuple[Claimed, ...]) -> None:
    seen: dict[tuple[str, str | None], Claimed] = {}
    for claim in claims:
        first = seen.setdefault((claim.file, claim.network), claim)
        if first is not claim:
            raise GradingError(
                f"{claim.where}: {claim.file} is claimed in {first.where} already; keep one row, "
                "or name another class of it"
            )
