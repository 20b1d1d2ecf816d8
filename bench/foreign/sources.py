"""A model file as text and syntax tree, with the modules beside it that it imports."""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import IterationError
from bench.files import read_regular
from bench.foreign.notebooks import NotebookError, read_code, strip_magics
from bench.limits import MOST_NOTEBOOK_BYTES, MOST_SOURCE_BYTES, MOST_SOURCES
from bench.syntax import TOO_DEEP, canonicalise, drop_prose, name_assigned, parse_file

PROTECTED = frozenset(sys.stdlib_module_names) | {
    "bench", "torch", "torchvision", "numpy", "scipy", "sklearn", "PIL", "fvcore", "msgspec",
}  # fmt: skip
"""Modules that a file beside the model never stands in for: the harness itself needs them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The Python of a model file. Modules beside it are imported from `folders`, in their order.

    `package` is the package that the file belongs to, "" when it is none; `notes` say what of the
    file is no Python and was left out.
    """

    path: Path
    text: str
    tree: ast.Module
    folders: tuple[Path, ...]
    package: str
    notes: tuple[str, ...]


def find_source(path: Path) -> Source:
    """Read a model file.

    Raises:
        IterationError: it cannot be read, is no Python or notebook, or is beyond a bound.
    """
    try:
        text, notes = _read_text(path)
        tree = ast.parse(text)
        package = _find_package(path, tree)
    except OSError as error:
        raise IterationError(f"{path}: cannot be read ({error.strerror})") from error
    except (SyntaxError, ValueError, NotebookError) as error:
        kind = "" if isinstance(error, NotebookError) else "not valid Python "
        shown = f"{kind}({error}); correct it" if kind else str(error)
        raise IterationError(f"{path}: {shown}") from error
    except (RecursionError, MemoryError) as error:
        raise IterationError(f"{path}: {TOO_DEEP}") from error
    folder = path.resolve().parent
    base = folder
    for _ in package.split(".") if package else ():
        base = base.parent
    return Source(
        path=path,
        text=text,
        tree=tree,
        folders=tuple(dict.fromkeys((folder, base))),
        package=package,
        notes=notes,
    )


def _read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    if path.suffix == ".ipynb":
        content = read_regular(path, inside=path.parent, most_bytes=MOST_NOTEBOOK_BYTES)
        text, notes = read_code(content)
        if len(text) > MOST_SOURCE_BYTES:
            raise IterationError(
                f"{path}: {len(text):,} characters of code, more than the "
                f"{MOST_SOURCE_BYTES:,} that are read; make it smaller"
            )
        return text, notes
    content = read_regular(path, inside=path.parent, most_bytes=MOST_SOURCE_BYTES)
    encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    text = content.decode(encoding).replace("\r\n", "\n")
    python = strip_magics(text)  # as a notebook's, copied into a file
    if python is None or python == text:
        return text, ()
    return python, ("lines that only IPython understands were left out",)


def _find_package(path: Path, tree: ast.Module) -> str:
    """Return the dotted package of a file: folders with an __init__.py, or as imports need them."""
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    needed, folder, parts = max(levels, default=0), path.resolve().parent, list[str]()
    while folder.name and ((folder / "__init__.py").is_file() or len(parts) < needed):
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def digest_sources(source: Source, drop: frozenset[str]) -> dict[str, object]:
    """Return what a model's numbers depend on: its own tree, and those beside it that it imports.

    Comments, prose and assignments to the names in `drop` that nothing reads are left out.
    """
    sources: dict[str, object] = {}
    read = _list_read(source.tree, drop)
    for place, file in list_local_modules(source).items():
        content = read_regular(file, inside=source.folders[-1], most_bytes=MOST_SOURCE_BYTES)
        try:
            beside = ast.parse(content)
            read |= _list_read(beside, drop)
            sources[place] = canonicalise(drop_prose(beside))
        except (SyntaxError, ValueError):  # it may never be imported; if it is, it is an error
            sources[place] = hashlib.sha256(content).hexdigest()
    tree = ast.parse(source.text)
    tree.body = [node for node in tree.body if not _only_assigns(node, drop - read)]
    return {"": canonicalise(drop_prose(tree)), **sources}


def read_local_modules(source: Source) -> Iterator[tuple[str, ast.Module]]:
    """Yield the modules beside a model that it imports, with their syntax trees, if they have one.

    Raises:
        OSError: one of them cannot be read.
        IterationError: there are too many.
    """
    for place, file in list_local_modules(source).items():
        with suppress(IterationError):
            yield place, parse_file(file, source.folders[-1])


def list_local_modules(source: Source) -> dict[str, Path]:
    """Return the files beside a model that it imports, directly or not, by their place.

    Raises:
        OSError: one of them cannot be read.
        IterationError: there are too many.
    """
    base = source.folders[-1]
    found: dict[str, Path] = {}
    waiting = list(_resolve(source.tree, source.package, source.folders))
    while waiting:
        file = waiting.pop()
        place = file.relative_to(base).as_posix()
        if place in found or file == source.path.resolve():
            continue
        if len(found) >= MOST_SOURCES:
            raise IterationError(f"{source.path}: more than {MOST_SOURCES} files are imported")
        found[place] = file
        waiting += _list_imports_of(file, base, source.folders)
    return dict(sorted(found.items()))


def _list_imports_of(file: Path, base: Path, folders: tuple[Path, ...]) -> list[Path]:
    try:
        tree = parse_file(file, base)
    except IterationError:
        return []  # its digest takes its bytes, and executing it is an error
    package = ".".join(file.relative_to(base).parent.parts)
    return list(_resolve(tree, package, folders))


def list_local_names(source: Source) -> frozenset[str]:
    """Return the first parts of the names under which modules beside a model are imported."""
    names = {source.package.split(".")[0]} if source.package else set()
    for node in ast.walk(source.tree):
        for name in _list_names(node, source.package):
            top = name.split(".")[0]
            if any(True for folder in source.folders for _ in _files_of(folder, [top])):
                names.add(top)
    for file in list_local_modules(source).values():
        for folder in source.folders:
            if file.is_relative_to(folder):
                names.add(file.relative_to(folder).with_suffix("").parts[0])
    return frozenset(names) - PROTECTED


def _resolve(tree: ast.AST, package: str, folders: tuple[Path, ...]) -> Iterator[Path]:
    for node in ast.walk(tree):
        for name in _list_names(node, package):
            parts = name.split(".")
            if parts[0] not in PROTECTED:
                for folder in folders:
                    yield from _files_of(folder, parts)


def _list_names(node: ast.AST, package: str) -> list[str]:
    """Return the absolute names of the modules that an import statement may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package.split(".") if package else []
    parents = above[: len(above) + 1 - node.level] if node.level else []
    module = ".".join([*parents, *([node.module] if node.module else [])])
    members = [f"{module}.{alias.name}" for alias in node.names if alias.name != "*"]
    return [name for name in [module, *members] if name.strip(".")]


def _files_of(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the files that importing a dotted name executes: packages on the way, then itself."""
    for place, part in enumerate(parts):
        inner = folder / part
        if (inner / "__init__.py").is_file():
            yield inner / "__init__.py"
        elif not inner.is_dir() or place == len(parts) - 1:
            if (folder / f"{part}.py").is_file():
                yield folder / f"{part}.py"
            return
        folder = inner


def _list_read(tree: ast.AST, names: frozenset[str]) -> frozenset[str]:
    """Return which of some names of a module are read, also as attribute, by import or as text."""
    found: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(name for name in names if name in found)


def _only_assigns(node: ast.stmt, names: frozenset[str]) -> bool:
    """Say whether a statement assigns one of the names alone, and calls nothing but types."""
    return name_assigned(node) in names and all(
        isinstance(each.func, ast.Name) and (each.func.id[:1].isupper() or each.func.id == "dict")
        for each in ast.walk(node)
        if isinstance(each, ast.Call)
    )
