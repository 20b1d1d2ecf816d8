"""What a script or a notebook names a network by, turned into an iteration that workers can load.

Workers are processes of their own, and a fingerprint is of source code: so a class must have a
source. A class in a file is that file; what was defined in a notebook is cut out of the cells that
were executed, with all that it refers to, and kept as a file in the cache folder.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.commands.options import find_models, find_project
from bench.errors import IterationError, RecipeError
from bench.foreign import Source, find_iterations, find_source
from bench.foreign.extraction import Extraction, extract_class, list_rebound
from bench.foreign.notebooks import strip_magics
from bench.foreign.sources import list_local_modules
from bench.iterations import Iteration
from bench.recipe_text import write_recipe
from models.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    Model: TypeAlias = str | Path | type[nn.Module] | Callable[..., nn.Module]
    """An iteration's name, `FILE:CLASS`, a class, or a function that returns a new network."""

_CELLS = "ipykernel_"
"""Folders in which a notebook's debugger keeps cells for a while."""

Given: TypeAlias = Mapping[str, Any]

_WRAPPER = """\
import torch.nn


class {wrapper}(torch.nn.Module):
    def __init__(self, **arguments):
        super().__init__()
        self.network = {factory}(**arguments)

    def forward(self, images):
        return self.network(images)
"""
"""How a function that returns a network becomes a class, which is what is trained."""


def find_iteration(
    model: Model, recipe: Recipe | str | Path | None, arguments: Given | None
) -> Iteration:
    """Return the iteration of a model; `arguments` are plain values for its constructor.

    Raises:
        IterationError: its source cannot be found, or it is no network.
        RecipeError: there is no such recipe, or a value of it is wrong.
    """
    model, given = unwrap(model, dict(arguments or {}))
    root = find_project()[0]
    if isinstance(model, str | Path):
        name = str(model)
    else:
        name, root = _find_source(model, root)
    return find_iterations(
        (name,),
        recipe=_name_recipe(recipe),
        arguments=[f"{key}={_write_literal(key, value)}" for key, value in given.items()],
        root=root,
        folder=find_models(),
    )[0]


def unwrap(model: Model, given: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """Take the arguments out of a `functools.partial`."""
    while isinstance(model, functools.partial):
        if model.args:
            raise IterationError(
                f"{model}: has arguments without names; name them, as in partial(Net, width=8)"
            )
        given = {**model.keywords, **given}
        model = model.func
    return model, given


def _write_literal(name: str, value: Any) -> str:
    text = repr(value)
    try:
        if ast.literal_eval(text) == value:
            return text
    except (ValueError, SyntaxError):
        pass
    raise IterationError(
        f"{name}={text[:60]}: not a plain value, and workers must build the network anew; pass "
        "numbers, texts, lists or tuples"
    )


def _name_recipe(recipe: Recipe | str | Path | None) -> str | None:
    """Return what `find_recipe` knows a recipe by; a `Recipe` becomes a TOML file of the cache."""
    if not isinstance(recipe, Recipe):
        return None if recipe is None else str(recipe)
    try:
        text = write_recipe(recipe)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{recipe!r}: holds what is no plain value ({error})") from error
    return str(_keep(text, "recipe.toml"))


def _find_source(model: Any, root: Path) -> tuple[str, Path]:
    """Return `FILE:CLASS` of a class or a function, and the folder that its name is made from."""
    name = getattr(model, "__qualname__", None)
    if name is None or not callable(model):
        raise IterationError(
            f"{type(model).__name__} object: every seed needs a new network; pass the class, or a "
            "function that returns one"
        )
    if not name.isidentifier():
        raise IterationError(
            f"{name}: workers cannot find it again; define it at the top level, under a name"
        )
    file = _find_file(model)
    if inspect.isclass(model) and file is not None:
        # of a script the class alone: its fingerprint must not change with the number of seeds
        cut = _cut_class(name, file) if model.__module__ == "__main__" else None
        if cut is None:
            return f"{file}:{name}", root
    else:
        cut = _cut_checked(model, name, file)
    network = name if inspect.isclass(model) else _choose_wrapper(cut)
    kept = _keep_cut(name, network, file, cut)
    return f"{kept}:{network}", kept.parent.parent


def _find_file(model: Any) -> Path | None:
    """Return the file that defines a class or a function, `None` when it is none on disk."""
    # of a class whose module has no file, as after IPython's %run, its methods know
    methods = vars(model).values() if inspect.isclass(model) else ()
    for each in (model, *filter(inspect.isfunction, methods)):
        try:
            found = Path(inspect.getsourcefile(each) or "")
        except (TypeError, OSError):
            continue
        if found.is_file() and not found.parent.name.startswith(_CELLS):
            return found
    return None


def _list_cells() -> list[str] | None:
    """Return the code that was executed in this notebook so far, `None` outside of one."""
    cells = getattr(sys.modules["__main__"], "In", None)
    return list(cells) if isinstance(cells, list) else None


def _cut_class(name: str, file: Path) -> Extraction | None:
    """Cut a class out of a script, `None` where it needs more than the script has."""
    source = find_source(file)
    cut = extract_class(source.tree, name)
    _check_bound_once(name, source.tree, cut)
    return None if cut.missing or _list_beside(cut, source.folders, source.package) else cut


def _cut_checked(model: Any, name: str, file: Path | None) -> Extraction:
    """Cut a function out of its file, or either out of a notebook.

    Raises:
        IterationError: it needs what is not there, or what its fingerprint would not cover.
    """
    source = find_source(file) if file is not None else None
    tree, since = (source.tree, 0) if source else _parse_cells(model, name)
    cut = extract_class(tree, name)
    if getattr(model, "__module__", "") == "__main__":  # of a module all is executed
        _check_bound_once(name, tree, cut, since=since)
    if cut.missing:
        raise IterationError(
            f"{name}: refers to {', '.join(cut.missing)}, which nothing that was executed "
            "defines; define it beside the network"
        )
    folders, package = (source.folders, source.package) if source else ((Path.cwd(),), "")
    beside = _list_beside(cut, folders, package)
    if beside:
        raise IterationError(
            f"{name}: needs modules of its own ({', '.join(beside)}), which only a class in a file "
            "can have; write it there, and pass the class or 'FILE:CLASS'"
        )
    return cut


def _check_bound_once(name: str, tree: ast.Module, cut: Extraction, *, since: int = 0) -> None:
    """Refuse a network that depends on how far the script, or a notebook's last cell, has come."""
    rebound = list_rebound(tree, cut.later, since=since)
    if rebound:
        raise IterationError(
            f"{name}: what is trained is cut out of the source, and {', '.join(rebound)} has no "
            "one value there: it is bound more than once, or by a loop, `with`, `global` or `+=`; "
            "pass such values as arguments={...}, or bind it once"
        )


def _list_beside(cut: Extraction, folders: tuple[Path, ...], package: str) -> list[str]:
    """Return the files of the user's own that what was cut out imports."""
    place = Source(
        path=folders[0] / "cut.py",
        text="",
        tree=cut.tree,
        folders=folders,
        package=package,
        notes=(),
    )
    return list(list_local_modules(place))


def _choose_wrapper(cut: Extraction) -> str:
    """Return a name for a class around a function that nothing of what was cut out has."""
    taken = {getattr(node, "id", getattr(node, "name", "")) for node in ast.walk(cut.tree)}
    wrapper = "Network"
    while wrapper in taken:
        wrapper += "_"
    return wrapper


def _parse_cells(model: Any, name: str) -> tuple[ast.Module, int]:
    """Return what was executed, and at which of its statements the last cell begins."""
    cells = _list_cells()
    if cells is None:
        raise IterationError(
            f"{name}: its source cannot be found; define it in a file, or in a notebook"
        )
    if getattr(sys.modules["__main__"], name, None) is not model:
        raise IterationError(f"{name}: was defined anew since; pass the one of today")
    code = [python for python in map(strip_magics, cells) if python]
    tree = ast.parse("\n\n".join(code))
    return tree, len(tree.body) - len(ast.parse(code[-1]).body)


def _keep_cut(name: str, network: str, file: Path | None, cut: Extraction) -> Path:
    """Keep what was cut out; the last two parts of its path are its name in the ledger."""
    text = ast.unparse(cut.tree) + "\n"
    folder, kind = (file.stem, "script.py") if file is not None else ("notebook", "cells.py")
    if network == name:
        return _keep(text, folder, kind)
    wrapper = _WRAPPER.format(wrapper=network, factory=name)
    return _keep(f"{text}\n\n{wrapper}", folder, f"{name}.py")


def _keep(text: str, *place: str) -> Path:
    """Write a text into the cache folder under its digest, whole or not at all."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = _find_cache().joinpath("sources", digest, *place)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        raise IterationError(
            f"{path}: cannot be written ({error.strerror}), and workers read the network there; "
            "set XDG_CACHE_HOME to a folder that you may write to"
        ) from error
    return path


def _find_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "drilldown"
