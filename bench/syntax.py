"""Python files of strangers as syntax trees: read to a bound, never run, told apart by digest."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import io
import json
import tokenize
from pathlib import Path
from typing import Any

from bench.errors import IterationError
from bench.files import read_regular
from bench.limits import MOST_SOURCE_BYTES

TOO_DEEP = "nested too deeply to be read; write it flatter"
_PROSE_TYPES = {"Statement"}
"""Types of the narrative alone, whose import is left out of a fingerprint as the narrative is."""

_LONGEST_INTEGER_BITS = 10_000
"""Python writes no longer one in decimal digits."""

_EMPTY_STRING = ["Constant", {"value": "str ''"}]
_IRRELEVANT_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}


def parse_file(path: Path, folder: Path) -> ast.Module:
    """Parse a Python file, which may not lead out of a folder.

    Raises:
        IterationError: it cannot be read or parsed, or is beyond a bound.
    """
    try:
        content = read_regular(path, inside=folder, most_bytes=MOST_SOURCE_BYTES)
        encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
        if encoding not in ("utf-8", "utf-8-sig"):  # what a comment says might be code in another
            raise IterationError(f"{path}: encoded as {encoding}; write it in UTF-8")
        return ast.parse(content)
    except OSError as error:
        raise IterationError(f"{path}: cannot be read ({error.strerror})") from error
    except (SyntaxError, ValueError) as error:
        raise IterationError(f"{path}: not valid Python ({error}); correct it") from error
    except (RecursionError, MemoryError) as error:
        raise IterationError(f"{path}: {TOO_DEEP}") from error


def name_assigned(node: ast.stmt) -> str | None:
    """Return the one name that a statement assigns, `None` when it does anything else."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return target.id if isinstance(target, ast.Name) else None
    return None


def drop_prose(tree: ast.Module) -> ast.Module:
    """Drop docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("recipe"):
            node.names = [alias for alias in node.names if alias.name not in _PROSE_TYPES]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


def canonicalise(node: Any) -> Any:
    """Return a tree of lists that is the same under every version of Python."""
    if isinstance(node, ast.AST):
        fields = {
            name: canonicalise(value)
            for name, value in ast.iter_fields(node)
            if name not in _IRRELEVANT_FIELDS and value is not None and value != []
        }
        if isinstance(node, ast.JoinedStr):  # Python 3.12.0 to 3.12.3 add empty strings to it
            fields["values"] = [v for v in fields.get("values", []) if v != _EMPTY_STRING]
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [canonicalise(element) for element in node]
    if isinstance(node, int) and node.bit_length() > _LONGEST_INTEGER_BITS:
        return f"int {node:#x}"
    return f"{type(node).__name__} {node!r}"


def list_values(value: Any) -> Any:
    """Return a recipe as plain values without its defaults, which mean "feature absent"."""
    if not dataclasses.is_dataclass(value):
        return [list_values(v) for v in value] if isinstance(value, tuple) else value
    fields = {
        field.name: list_values(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    return [type(value).__name__, fields]


def digest(content: object) -> str:
    """Return the SHA-256 of a document of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
