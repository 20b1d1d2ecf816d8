"""The iterations, read from their files without running them.

An iteration file assigns two literals, `NARRATIVE = Narrative(...)` and `RECIPE = Recipe(...)`, and
defines `class Network`. Its fingerprint is a digest of everything that a run's numbers depend on.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import io
import json
import math
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import models
from bench.errors import IterationError
from bench.files import read_regular
from bench.limits import (
    MOST_ENTRIES,
    MOST_EPOCHS,
    MOST_NUMBER,
    MOST_SOURCE_BYTES,
    MOST_SOURCES,
    MOST_TEXT,
)
from models import recipe as recipe_types
from models.recipe import Narrative, Recipe

TRAINING_SEMANTICS = 1
"""Changes whenever the engine can move a number; a golden run pins the engine's numbers."""

MODELS = Path(models.__file__).parent
_LITERALS = {"NARRATIVE": Narrative, "RECIPE": Recipe}
_PROSE_TYPES = {"Statement"}
"""Types of the narrative alone, whose import is left out of a fingerprint as the narrative is."""

_TOO_DEEP = "nested too deeply to be read; write it flatter"
_LONGEST_INTEGER_BITS = 10_000
"""Python writes no longer one in decimal digits."""

_LONGEST_VALUE = 60
"""Characters of a wrong value that an error shows."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What moves a terminal's cursor, and halves of characters, which no file can hold."""

_NAME = re.compile(r"iteration_(\d+)")
_EMPTY_STRING = ["Constant", {"value": "str ''"}]
_IRRELEVANT_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Iteration:
    """One iteration as its file tells it; `fingerprint` is a SHA-256 in hexadecimal."""

    name: str
    path: Path
    narrative: Narrative
    recipe: Recipe
    fingerprint: str


def list_iterations(folder: Path = MODELS) -> tuple[Iteration, ...]:
    """Return all iterations of a folder in the order of their numbers.

    Raises:
        IterationError: a file cannot be read as an iteration, or there are too many.
    """
    files = [file for file in folder.glob("iteration_*.py") if _NAME.fullmatch(file.stem)]
    if len(files) > MOST_SOURCES:
        raise IterationError(
            f"{folder}: {len(files)} iterations, more than the {MOST_SOURCES} that are read; "
            "move some elsewhere"
        )
    return tuple(read_iteration(file) for file in sorted(files, key=_number))


def select_iterations(names: tuple[str, ...], folder: Path = MODELS) -> tuple[Iteration, ...]:
    """Return the named iterations in the given order, all of them when no name is given.

    Raises:
        IterationError: a name is not an iteration; the message lists the valid names.
    """
    known = {iteration.name: iteration for iteration in list_iterations(folder)}
    for name in names:
        if name not in known:
            raise IterationError(f"{name}: no such iteration; choose from {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) or tuple(known.values())


def read_iteration(path: Path) -> Iteration:
    """Read an iteration's literals and fingerprint from its syntax tree.

    Raises:
        IterationError: the file cannot be parsed, a literal is missing or not literal, or a value
            or the file is beyond a bound of bench/limits.py.
    """
    try:
        return _read(path)
    except (RecursionError, MemoryError) as error:
        raise IterationError(f"{path}: {_TOO_DEEP}") from error


def _read(path: Path) -> Iteration:
    tree = _parse(path, path.parent)
    narrative = _read_literal(tree, path, "NARRATIVE")
    recipe = _read_literal(tree, path, "RECIPE")
    _check_schedule(recipe, path)
    if not any(isinstance(node, ast.ClassDef) and node.name == "Network" for node in tree.body):
        raise IterationError(f"{path}: defines no class Network; add the network to train")
    return Iteration(
        name=path.stem,
        path=path,
        narrative=narrative,
        recipe=recipe,
        fingerprint=_fingerprint(tree, path.parent, recipe),
    )


def change_epochs(iteration: Iteration, *, epochs: int) -> Iteration:
    """Return an iteration trained for another number of epochs: another recipe and fingerprint."""
    recipe = dataclasses.replace(iteration.recipe, epochs=epochs)
    tree = _parse(iteration.path, iteration.path.parent)
    return dataclasses.replace(
        iteration, recipe=recipe, fingerprint=_fingerprint(tree, iteration.path.parent, recipe)
    )


def _number(file: Path) -> int:
    match = _NAME.fullmatch(file.stem)
    return int(match[1]) if match else 0


def _parse(path: Path, folder: Path) -> ast.Module:
    """Parse a file of a models folder, which it may not lead out of."""
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
        raise IterationError(f"{path}: {_TOO_DEEP}") from error


def _read_literal(tree: ast.Module, path: Path, name: str) -> Any:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _assigned_name(node) == name:
            value = _evaluate(node.value, path)
            if isinstance(value, _LITERALS[name]):
                return value
    kind = _LITERALS[name].__name__
    raise IterationError(f"{path}: no {name} = {kind}(...) at the top level; add it")


def _assigned_name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return target.id if isinstance(target, ast.Name) else None
    return None


def _evaluate(node: ast.expr, path: Path) -> Any:
    """Build plain values and the types of `models.recipe`; anything else is refused."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        kind = getattr(recipe_types, node.func.id, None)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return _build(kind, node, path)
    if isinstance(node, ast.Tuple):
        return tuple(_evaluate(element, path) for element in node.elts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise IterationError(
            f"{path}:{node.lineno}: {_shorten(ast.unparse(node))} is not a literal; "
            "narrative and recipe are plain values and types of models/recipe.py"
        ) from error


def _shorten(value: object) -> str:
    """Return a value as an error shows it, whatever a stranger wrote."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"a value of type {type(value).__name__}"
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def _build(kind: type, node: ast.Call, path: Path) -> Any:
    values = {}
    hints = get_type_hints(kind)
    for keyword in node.keywords:
        where = f"{path}:{keyword.value.lineno}"
        if keyword.arg is None:
            shown = ast.unparse(keyword.value)
            raise IterationError(f"{where}: '**{shown}' is not a literal; name each value")
        value = values[keyword.arg] = _evaluate(keyword.value, path)
        if keyword.arg in hints and not _fits(value, hints[keyword.arg]):
            raise IterationError(
                f"{where}: {keyword.arg}={_shorten(value)} is not a value for {keyword.arg} of "
                f"{kind.__name__}{_list_choices(hints[keyword.arg])}"
            )
        fault = _find_fault(value, MOST_EPOCHS if keyword.arg == "epochs" else MOST_NUMBER)
        if fault:
            raise IterationError(f"{where}: {keyword.arg}={_shorten(value)} has {fault}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise IterationError(f"{path}:{node.lineno}: {error}") from error


def _find_fault(value: object, most: float) -> str | None:
    """Say what keeps a value from being computed with or shown, and what would do instead."""
    if isinstance(value, tuple):
        if len(value) > MOST_ENTRIES:
            return f"{len(value):,} entries; write {MOST_ENTRIES:,} at most"
        return next(filter(None, (_find_fault(each, most) for each in value)), None)
    if isinstance(value, str):
        if len(value) > MOST_TEXT:
            return f"{len(value):,} characters; write {MOST_TEXT:,} at most"
        return "characters that cannot be shown; leave them out" if _UNSEEN.search(value) else None
    if isinstance(value, int | float) and not -most <= value <= most:
        return f"a size that nobody needs; write {most:,.0f} at most"
    return None


def _check_schedule(recipe: Recipe, path: Path) -> None:
    """Make sure that a schedule's numbers give a learning rate for every epoch."""
    try:
        rates = recipe.schedule.table(epochs=recipe.epochs, steps_per_epoch=1)
    except ArithmeticError:
        rates = [math.nan]
    if not all(map(math.isfinite, rates)):
        raise IterationError(
            f"{path}: schedule={_shorten(recipe.schedule)} gives learning rates that are no "
            "numbers; correct its values"
        )


def _list_choices(hint: Any) -> str:
    choices = ", ".join(map(repr, get_args(hint)))
    return f"; choose from {choices}" if get_origin(hint) is Literal else ""


def _fits(value: object, hint: Any) -> bool:
    """Say whether a value is of an annotated type; an int is a float, a bool is neither."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        of = arguments[:1] * len(value) if Ellipsis in arguments else arguments
        return len(value) == len(of) and all(map(_fits, value, of))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _fingerprint(tree: ast.Module, folder: Path, recipe: Recipe) -> str:
    # the recipe enters by value, the narrative not at all
    tree.body = [node for node in tree.body if _assigned_name(node) not in _LITERALS]
    sources = {"": _canonical(_without_prose(tree))}
    waiting, followed = _imported_modules(tree) | {"__init__"}, {"recipe"}
    while waiting - followed:
        name = (waiting - followed).pop()
        followed.add(name)
        if len(sources) > MOST_SOURCES:
            raise IterationError(
                f"{folder}: more than {MOST_SOURCES} files are imported; use fewer"
            )
        for file in _module_files(folder, name):
            imported = _parse(file, folder)
            place = file.relative_to(folder).with_suffix("").as_posix()
            waiting |= _imported_modules(imported)
            if _without_prose(imported).body:
                sources[place] = _canonical(imported)
    content = [TRAINING_SEMANTICS, _recipe_values(recipe), sources]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _module_files(folder: Path, name: str) -> list[Path]:
    """Return the file of a module of `models`, or all files of a package there."""
    file = folder / f"{name}.py"
    return [file] if file.is_file() else sorted((folder / name).rglob("*.py"))


def _without_prose(tree: ast.Module) -> ast.Module:
    """Drop docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("recipe"):
            node.names = [alias for alias in node.names if alias.name not in _PROSE_TYPES]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


def _canonical(node: Any) -> Any:
    """Return a tree of lists that is the same under every version of Python."""
    if isinstance(node, ast.AST):
        fields = {
            name: _canonical(value)
            for name, value in ast.iter_fields(node)
            if name not in _IRRELEVANT_FIELDS and value is not None and value != []
        }
        if isinstance(node, ast.JoinedStr):  # Python 3.12.0 to 3.12.3 add empty strings to it
            fields["values"] = [v for v in fields.get("values", []) if v != _EMPTY_STRING]
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [_canonical(element) for element in node]
    if isinstance(node, int) and node.bit_length() > _LONGEST_INTEGER_BITS:
        return f"int {node:#x}"
    return f"{type(node).__name__} {node!r}"


def _imported_modules(tree: ast.Module) -> set[str]:
    """Return the modules of `models` that a file imports from, by their names there."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == 1 or module.split(".")[0] == "models":
                parts = module.split(".") if node.level == 1 else module.split(".")[1:]
                names |= {parts[0]} if parts and parts[0] else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            parts_of = [alias.name.split(".") for alias in node.names]
            names |= {parts[1] for parts in parts_of if parts[0] == "models" and len(parts) > 1}
    return names


def _recipe_values(value: Any) -> Any:
    """Return a recipe as plain values without its defaults, which mean "feature absent"."""
    if not dataclasses.is_dataclass(value):
        return [_recipe_values(v) for v in value] if isinstance(value, tuple) else value
    fields = {
        field.name: _recipe_values(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    return [type(value).__name__, fields]
