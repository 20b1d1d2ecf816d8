"""The iterations, read from their files without running them.

An iteration file assigns two literals, `NARRATIVE = Narrative(...)` and `RECIPE = Recipe(...)`, and
defines `class Network`. Its fingerprint is a digest of everything that a run's numbers depend on.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import models
from bench.adaptation import Adaptation
from bench.errors import IterationError
from bench.limits import MOST_EPOCHS, MOST_NUMBER, MOST_SOURCES
from bench.literals import find_fault, find_schedule_fault, fits, shorten
from bench.syntax import (
    TOO_DEEP,
    canonicalise,
    digest,
    drop_prose,
    list_values,
    name_assigned,
    parse_file,
)
from models import recipe as recipe_types
from models.recipe import Narrative, Recipe

TRAINING_SEMANTICS = 1
"""Changes whenever the engine can move a number; a golden run pins the engine's numbers."""

MODELS = Path(models.__file__).parent
LITERALS = {"NARRATIVE": Narrative, "RECIPE": Recipe}
_NAME = re.compile(r"iteration_(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """How a model file that is no iteration of `models` was named, and the recipe it was given.

    `recipe` is `None` where the file has one of its own.
    """

    model: str
    recipe: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Iteration:
    """One iteration as its file tells it; `fingerprint` is a SHA-256 in hexadecimal.

    `network` is the class that is trained, `arguments` what its constructor is given: names with
    literals as Python writes them. `origin` is `None` for an iteration of `models`; any other model
    file gets its `adaptation` when it is inspected.
    """

    name: str
    path: Path
    narrative: Narrative
    recipe: Recipe
    fingerprint: str
    network: str = "Network"
    arguments: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = None
    adaptation: Adaptation | None = None

    @property
    def label(self) -> str:
        """Return what errors call it: a model file as it was named, else the path."""
        return self.origin.model if self.origin is not None else str(self.path)


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
            raise IterationError(
                f"{name}: no such iteration; choose from {', '.join(known)}, or name a model file "
                "as FILE:CLASS"
            )
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
        raise IterationError(f"{path}: {TOO_DEEP}") from error


def _read(path: Path) -> Iteration:
    tree = parse_file(path, path.parent)
    narrative: Narrative = read_literal(tree, path, "NARRATIVE")
    recipe: Recipe = read_literal(tree, path, "RECIPE")
    if not any(isinstance(node, ast.ClassDef) and node.name == "Network" for node in tree.body):
        raise IterationError(f"{path}: defines no class Network; add the network to train")
    return Iteration(
        name=path.stem,
        path=path,
        narrative=narrative,
        recipe=recipe,
        fingerprint=_fingerprint(tree, path.parent, recipe),
    )


def change_recipe(iteration: Iteration, recipe: Recipe) -> Iteration:
    """Return an iteration trained by another recipe: another fingerprint."""
    tree = parse_file(iteration.path, iteration.path.parent)
    return dataclasses.replace(
        iteration, recipe=recipe, fingerprint=_fingerprint(tree, iteration.path.parent, recipe)
    )


def _number(file: Path) -> int:
    match = _NAME.fullmatch(file.stem)
    return int(match[1]) if match else 0


def read_literal(tree: ast.Module, path: Path, name: str) -> Any:
    """Return the narrative or the recipe (`NARRATIVE`, `RECIPE`) that a file assigns as a literal.

    Raises:
        IterationError: it assigns none, it is not literal, or a value of it is wrong.
    """
    for node in tree.body:
        if isinstance(node, ast.Assign) and name_assigned(node) == name:
            value = _evaluate(node.value, path)
            if isinstance(value, LITERALS[name]):
                return _check_schedule(value, path)
    kind = LITERALS[name].__name__
    raise IterationError(f"{path}: no {name} = {kind}(...) at the top level; add it")


def _check_schedule(value: Any, path: Path) -> Any:
    fault = find_schedule_fault(value) if isinstance(value, Recipe) else None
    if fault:
        raise IterationError(f"{path}: schedule={shorten(value.schedule)} {fault}")
    return value


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
            f"{path}:{node.lineno}: {shorten(ast.unparse(node))} is not a literal; "
            "narrative and recipe are plain values and types of models.recipe"
        ) from error


def _build(kind: type, node: ast.Call, path: Path) -> Any:
    values = {}
    hints = get_type_hints(kind)
    for keyword in node.keywords:
        where = f"{path}:{keyword.value.lineno}"
        if keyword.arg is None:
            shown = ast.unparse(keyword.value)
            raise IterationError(f"{where}: '**{shown}' is not a literal; name each value")
        value = values[keyword.arg] = _evaluate(keyword.value, path)
        if keyword.arg in hints and not fits(value, hints[keyword.arg]):
            raise IterationError(
                f"{where}: {keyword.arg}={shorten(value)} is not a value for {keyword.arg} of "
                f"{kind.__name__}{_list_choices(hints[keyword.arg])}"
            )
        fault = find_fault(value, MOST_EPOCHS if keyword.arg == "epochs" else MOST_NUMBER)
        if fault:
            raise IterationError(f"{where}: {keyword.arg}={shorten(value)} has {fault}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise IterationError(f"{path}:{node.lineno}: {error}") from error


def _list_choices(hint: Any) -> str:
    choices = ", ".join(map(repr, get_args(hint)))
    return f"; choose from {choices}" if get_origin(hint) is Literal else ""


def _fingerprint(tree: ast.Module, folder: Path, recipe: Recipe) -> str:
    # the recipe enters by value, the narrative not at all
    tree.body = [node for node in tree.body if name_assigned(node) not in LITERALS]
    sources = {"": canonicalise(drop_prose(tree))}
    for base, file, imported in _follow_imports(tree, folder):
        if drop_prose(imported).body:
            sources[file.relative_to(base).with_suffix("").as_posix()] = canonicalise(imported)
    content = [TRAINING_SEMANTICS, list_values(recipe), sources]
    return digest(content)


def list_sources(iteration: Iteration) -> list[Path]:
    """Return the files beside one of `models` that its fingerprint covers, its own file first.

    Raises:
        IterationError: one of them cannot be read, or there are too many.
    """
    folder = iteration.path.parent
    followed = _follow_imports(parse_file(iteration.path, folder), folder)
    beside = {file for base, file, _ in followed if base == folder}
    return [iteration.path, *sorted(beside - {iteration.path})]


def _follow_imports(tree: ast.Module, folder: Path) -> Iterator[tuple[Path, Path, ast.Module]]:
    """Yield the files of `models` that a file imports, directly or not, each after its folder."""
    waiting, followed = _imported_modules(tree) | {"__init__"}, {"recipe"}
    count = 0
    while waiting - followed:
        name = (waiting - followed).pop()
        followed.add(name)
        base, files = _module_files(folder, name)
        for file in files:
            count += 1
            if count > MOST_SOURCES:
                raise IterationError(
                    f"{folder}: more than {MOST_SOURCES} files are imported; use fewer"
                )
            imported = parse_file(file, base)
            waiting |= _imported_modules(imported)
            yield base, file, imported


def _module_files(folder: Path, name: str) -> tuple[Path, list[Path]]:
    """Return where a module of `models` is found, and its file or all files of a package.

    A folder comes before the harness's own, as bench/training/runs.py imports them.
    """
    for base in dict.fromkeys((folder, MODELS)):
        file = base / f"{name}.py"
        files = [file] if file.is_file() else sorted((base / name).rglob("*.py"))
        if files:
            return base, files
    return folder, []


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
