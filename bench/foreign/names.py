"""Names of model files: as the command line gives them, and as the ledger keeps them."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from bench.errors import IterationError
from bench.iterations import Iteration
from bench.literals import shorten

SUFFIXES = (".py", ".ipynb")
_LONGEST_NAME = 90
"""Characters of a name in the ledger, which takes 100; longer ones end in a digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelName:
    """A model file and its class, `None` where only one can be meant; `text` is what was typed."""

    text: str
    path: Path
    network: str | None


def is_model_name(text: str) -> bool:
    """Say whether a name is that of a model file rather than of an iteration of `models`."""
    return ":" in text or _is_file_name(text) or "/" in text or os.sep in text


def _is_file_name(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def parse_model_name(text: str) -> ModelName:
    """Find the file of `FILE[:CLASS]` or `MODULE:CLASS`.

    Raises:
        IterationError: it is no such name, or there is no such file or module.
    """
    place, colon, network = text.rpartition(":")
    if not colon or _is_file_name(text):
        place, network = text, ""
    if colon and network and not network.isidentifier():
        raise IterationError(
            f"{text}: {shorten(network)} is no name of a class; write FILE:CLASS, as in "
            "model.py:Net"
        )
    return ModelName(text=text, path=_find_file(place, text), network=network or None)


def _find_file(place: str, text: str) -> Path:
    if _is_file_name(place):
        path = Path(place)
        if not path.exists():
            raise IterationError(f"{text}: there is no file {place}; name one that exists")
        return path
    parts = place.split(".")
    path_found = _find_module(parts) if all(part.isidentifier() for part in parts) else None
    if path_found is None:
        raise IterationError(
            f"{text}: {place} is no file ({', '.join(SUFFIXES)}) and no module that can be "
            "imported from here; name the file, as in path/to/model.py:Net"
        )
    return path_found


def _find_module(parts: list[str]) -> Path | None:
    """Return the source of a module, or of a package its __init__.py, and import nothing.

    Each part is looked for by itself: of a dotted name Python wants the parent to be imported.
    """
    folders: list[str] | None = [str(Path.cwd()), *sys.path]
    for place, part in enumerate(parts):
        spec = PathFinder.find_spec(part, folders)
        if spec is None:
            return None
        folders = spec.submodule_search_locations
        if place == len(parts) - 1:
            found = Path(spec.origin) if spec.origin else None
            return found if found is not None and found.suffix == ".py" else None
        if folders is None:
            return None
        folders = list(folders)
    return None


def make_ledger_name(path: Path, network: str, root: Path) -> str:
    """Return the name of a model in the ledger: its place in the project, and its class.

    It is the same wherever the project lies. Of a file outside, the folder's name stands for the
    place.
    """
    resolved, project = path.resolve(), root.resolve()
    inside = resolved.is_relative_to(project)
    place = resolved.relative_to(project) if inside else Path(*resolved.parts[-2:])
    words = "-".join((*place.with_suffix("").parts, network))
    name = re.sub(r"[^\w.-]", "_", words)
    name = name if re.match(r"\w", name) else f"_{name}"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST_NAME - 9]}-{digest}"
    return name


def write_words(iteration: Iteration) -> str:
    """Return what a command names an iteration by: of a model file with recipe and arguments."""
    if iteration.origin is None:
        return shlex.quote(iteration.name)
    words = [iteration.origin.model]
    if iteration.origin.recipe is not None:
        words += ["--recipe", iteration.origin.recipe]
    for name, literal in iteration.arguments:
        words += ["--argument", f"{name}={literal}"]
    return shlex.join(words)
