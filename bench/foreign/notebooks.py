"""The Python of a notebook: its code cells, without what only IPython understands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

_CELL_MAGICS_OF_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics whose cell is Python all the same; any other makes it something else."""

_MAGIC = re.compile(r"^(?P<indent>\s*)(?P<target>[\w, ]+=\s*)?(!(?!=)|%(?![=\s])).*$")
"""`!pip install x`, `! ls`, `%matplotlib inline`, `files = !ls`; not a line that goes on with `% x`
or `!= x`."""

_HELP = re.compile(r"^\s*(\?{1,2}[\w.]+|[\w.]+\?{1,2})\s*$")


class _Cell(Struct, frozen=True, kw_only=True):
    """A cell of format 4, whose text is `source`, or of format 3, whose text is `input`."""

    cell_type: str
    source: str | list[str] = ""
    input: str | list[str] = ""


class _Worksheet(Struct, frozen=True, kw_only=True):
    cells: list[_Cell] = []


class _Notebook(Struct, frozen=True, kw_only=True):
    cells: list[_Cell] = []
    worksheets: list[_Worksheet] = []


class NotebookError(Exception):
    """What is wrong with a notebook's file."""


def read_code(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the Python of a notebook's code cells in their order, and notes on what it lacks.

    Raises:
        NotebookError: the content is no notebook.
    """
    try:
        notebook = msgspec.json.decode(content, type=_Notebook)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotebookError(f"not a notebook ({error}); save it again as .ipynb") from error
    cells = [*notebook.cells, *(cell for sheet in notebook.worksheets for cell in sheet.cells)]
    texts = [_join(cell.source or cell.input) for cell in cells if cell.cell_type == "code"]
    code, broken = [], []
    for number, text in enumerate(texts, start=1):
        python = strip_magics(text)
        if python is None:
            broken.append(str(number))
        else:
            code.append(python)
    notes = (f"code cell {', '.join(broken)} is not valid Python and was left out",)
    return "\n\n".join(code) + "\n", notes if broken else ()


def strip_magics(text: str) -> str | None:
    """Return a cell's Python, line for line where it stood; `None` when what is left is none."""
    if _parses(text):
        return text
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "").strip()
    if first.startswith("%%"):
        if not first.split(maxsplit=1)[0].startswith(_CELL_MAGICS_OF_PYTHON):
            return ""
        lines[next(place for place, line in enumerate(lines) if line.strip())] = ""
    kept = "\n".join(_strip_lines(lines))
    return kept if _parses(kept) else None


def _strip_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines without magics; those after the backslash of a magic are empty."""
    goes_on = False
    for line in lines:
        magic = goes_on or _MAGIC.match(line) is not None
        yield "" if goes_on else _strip_line(line)
        goes_on = magic and line.endswith("\\")


def _strip_line(line: str) -> str:
    magic = _MAGIC.match(line)
    if magic is not None:
        target = magic["target"]
        return f"{magic['indent']}{target}None" if target else f"{magic['indent']}pass"
    return "pass" if _HELP.match(line) else line


def _join(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
