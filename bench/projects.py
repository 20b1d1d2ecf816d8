"""A repository of one's own to start with, and its next iteration; nothing is ever overwritten."""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from bench.challenge_tables import AUTO, build_challenge, is_challenge_name
from bench.challenges import CHALLENGES, FOLDER, TRAINING, title_dataset
from bench.errors import SettingsError
from bench.files import read_regular
from bench.iterations import list_iterations
from bench.limits import MOST_SOURCE_BYTES
from bench.records import Challenge
from bench.settings import Settings, locate

DISTRIBUTION = "drilldown"
FILES = {
    "pyproject.toml": "pyproject.toml.j2",
    "README.md": "README.md.j2",
    "requirements.txt": "requirements.txt.j2",
    ".gitignore": "gitignore.j2",
    ".github/workflows/bench.yml": "bench.yml.j2",
    "models/iteration_1.py": "iteration.py.j2",
}
"""Files of a new repository by their templates."""

TARGETS = {"mnist": "0.994", "fashion-mnist": "0.90", "kmnist": "0.95", "digits": "0.97"}
DEFAULT_TARGET = "0.90"
"""Accuracies to begin with, for its author to change: networks of 10,000 parameters come near."""

PICTURE_SIDE, PICTURE_CHANNELS = 32, 3
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")
_SCHEDULE_CHANGE = 2 / 3
"""The learning rate of a first iteration falls after this part of its epochs."""


class NewProject(Struct, frozen=True, kw_only=True):
    """A repository that is to be written: its files by their paths below it."""

    folder: Path
    challenge: Challenge
    files: Mapping[str, str]


def plan_project(
    folder: Path, *, dataset: str, pictures: Path | None, requirement: str | None
) -> NewProject:
    """Return the files of a new repository; its challenge is called as its folder.

    `pictures` is a folder of training/CLASS/ and validation/CLASS/, whose images then are the
    challenge's; `requirement` is what pip installs Drilldown by, by default as it is here.

    Raises:
        SettingsError: the folder of pictures has no classes, or names that cannot be written.
    """
    name = _name_challenge(folder)
    table: dict[str, Any] = {"dataset": dataset, "target": TARGETS.get(dataset, DEFAULT_TARGET)}
    if pictures is not None:
        table = {
            "dataset": FOLDER,
            "folder": _write_path(pictures, folder),
            "side": PICTURE_SIDE,
            "channels": PICTURE_CHANNELS,
            "classes": _list_classes(pictures),
            "target": DEFAULT_TARGET,
        }
    challenge = build_challenge(name, table, where=folder / "pyproject.toml")
    values = {
        **table,
        "name": name,
        "title": folder.resolve().name,
        "subject": title_dataset(challenge),
        "folder": table.get("folder"),
        "classes": list(challenge.classes),
        "side": challenge.side,
        "channels": challenge.channels,
        "epochs": challenge.epochs,
        "parameters": challenge.parameters,
        "window": challenge.window,
        "reliability": "0.90",
        "confidence": "0.95",
        "milestone": round(challenge.epochs * _SCHEDULE_CHANGE),
        "requirement": requirement or name_installed(),
    }
    files = {path: _render(template, values) for path, template in FILES.items()}
    _check_written(files["pyproject.toml"], challenge, where=folder / "pyproject.toml")
    return NewProject(folder=folder, challenge=challenge, files=files)


def write_project(project: NewProject) -> None:
    """Write all files of a new repository, or none where one is there already.

    Raises:
        SettingsError: a file is there, or cannot be written.
    """
    paths = {project.folder / path: text for path, text in project.files.items()}
    for path in paths:
        if path.exists() or path.is_symlink():
            raise SettingsError(
                f"{path}: is there already, and nothing is overwritten; name another folder, or "
                "write [tool.bench] into a pyproject.toml of yours (docs/challenges.md)"
            )
    for path, text in paths.items():
        _write_new(path, text)


def write_iteration(root: Path, settings: Settings, challenge: Challenge) -> Path:
    """Write the next iteration of a repository, a copy of its latest, and return its file.

    Raises:
        BenchError: the latest cannot be read, or the file cannot be written.
    """
    folder = locate(root, settings.models or "models", otherwise="")
    iterations = list_iterations(folder)
    if not iterations:
        path = folder / "iteration_1.py"
        _write_new(path, _render(FILES["models/iteration_1.py"], _describe(challenge)))
        return path
    latest = iterations[-1]
    previous = int(latest.name.rpartition("_")[2])
    path = folder / f"iteration_{previous + 1}.py"
    content = read_regular(latest.path, inside=folder, most_bytes=MOST_SOURCE_BYTES).decode()
    about = challenge.name if challenge.name not in CHALLENGES else challenge.dataset
    values = {"number": previous + 1, "previous": previous, "about": about}
    _write_new(path, _begin_anew(content, values))
    return path


def name_installed() -> str:
    """Return what pip installs this Drilldown by; without an address, its bare name (PEP 610)."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        origin = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return DISTRIBUTION
    address = str(origin.get("url", ""))
    if "vcs_info" in origin:
        commit = origin["vcs_info"].get("commit_id", "")
        return f"{DISTRIBUTION} @ {origin['vcs_info'].get('vcs', 'git')}+{address}@{commit}"
    return f"{DISTRIBUTION} @ {address}" if address.startswith("https:") else DISTRIBUTION


def _name_challenge(folder: Path) -> str:
    name = _NOT_IN_NAMES.sub("-", folder.resolve().name.lower()).strip("-_")[:50]
    taken = name in (AUTO, *CHALLENGES)
    return f"{name}-challenge" if taken else name if is_challenge_name(name) else "challenge"


def _write_path(pictures: Path, folder: Path) -> str:
    """Return a folder of pictures as the pyproject sees it, where both are on one drive."""
    try:
        return Path(os.path.relpath(pictures.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return pictures.resolve().as_posix()


def _list_classes(pictures: Path) -> list[str]:
    for part in (pictures / name for name in TRAINING):
        if part.is_dir():
            return sorted(entry.name for entry in part.iterdir() if entry.is_dir())
    raise SettingsError(
        f"{pictures / TRAINING[0]}: no such folder; --pictures takes one with training/CLASS/ and "
        "validation/CLASS/ below"
    )


def _describe(challenge: Challenge) -> dict[str, Any]:
    return {
        "name": challenge.name if challenge.name not in CHALLENGES else challenge.dataset,
        "classes": list(challenge.classes),
        "side": challenge.side,
        "channels": challenge.channels,
        "epochs": challenge.epochs,
        "parameters": challenge.parameters,
        "milestone": round(challenge.epochs * _SCHEDULE_CHANGE),
    }


def _begin_anew(source: str, values: Mapping[str, Any]) -> str:
    """Return an iteration with another title: its author has claimed nothing of it yet."""
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    spans = []
    first = tree.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        title = f'"""Iteration {values["number"]}: what it changes."""\n'
        spans.append((first.lineno, first.end_lineno or first.lineno, title))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NARRATIVE":
            narrative = _render("narrative.py.j2", values)
            spans.append((node.lineno, node.end_lineno or node.lineno, narrative))
    for start, end, text in reversed(spans):
        lines[start - 1 : end] = [text]
    return "".join(lines)


def _render(template: str, values: Mapping[str, Any]) -> str:
    environment = Environment(  # noqa: S701  (TOML, Python and Markdown, not HTML)
        loader=PackageLoader("bench", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["toml"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.get_template(template).render(values)


def _check_written(text: str, challenge: Challenge, *, where: Path) -> None:
    """Make sure that what is written is read as it was meant."""
    tables = tomllib.loads(text, parse_float=Decimal)["tool"]["bench"]["challenges"]
    if build_challenge(challenge.name, tables[challenge.name], where=where) != challenge:
        raise SettingsError(f"{where}: its challenge cannot be written; name another folder")


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written ({error.strerror})") from error
