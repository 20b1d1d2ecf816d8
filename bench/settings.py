"""The project's own settings: `[tool.bench]` of the nearest pyproject.toml."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import msgspec
from msgspec import Struct

from bench.errors import SettingsError
from bench.files import check_inside
from bench.toml_files import read_toml


class GateConditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions that the gate insists on; what is `None` may be anything."""

    device: str | None = None
    precision: str | None = None
    engine: str | None = None
    torch: str | None = None
    block: int | None = None


class GateSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`require` names the iterations the gate judges, by default the latest."""

    require: tuple[str, ...] = ()
    conditions: GateConditions = GateConditions()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ledger`, `page` and `models` are paths relative to the pyproject's folder, and inside it.

    `challenge` is the one that commands take unless another is named, `challenges` the tables of
    the project's own by name, unchecked; their numbers are exact. Without `models` the iterations
    are those of the folder `models` beside the pyproject, or the harness's own where there is none.
    """

    ledger: str = "reports/ledger"
    page: str = "reports/index.html"
    models: str | None = None
    challenge: str | None = None
    challenges: dict[str, Any] = {}
    gate: GateSettings = GateSettings()


def load_settings(start: Path) -> tuple[Path, Settings]:
    """Return the folder and settings of the nearest pyproject.toml with `[tool.bench]`.

    Without one, the folder is `start` and every setting is its default.

    Raises:
        SettingsError: the file is not TOML, or a setting has a wrong name or value.
    """
    return find_settings(start) or (start, Settings())


def find_settings(start: Path) -> tuple[Path, Settings] | None:
    """Return the folder and settings of the project around a folder, `None` without one.

    Raises:
        SettingsError: as `load_settings`.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        settings = _read(file)
        if settings is not None:
            return folder, settings
    return None


def locate(
    root: Path, path: str, *, otherwise: str = ", or name it with --ledger or --page"
) -> Path:
    """Return where a path of the settings lies: inside the project, wherever links there lead.

    `otherwise` is what an error offers besides a path inside.

    Raises:
        SettingsError: a link leads out of the project.
    """
    try:
        check_inside(root / path, root)
    except OSError as error:
        raise SettingsError(f"{root / path}: {error.strerror}{otherwise}") from error
    return root / path


def _read(file: Path) -> Settings | None:
    """Return the settings of a pyproject.toml, `None` when it has none of ours."""
    tool = read_toml(file).get("tool", {})
    if not isinstance(tool, dict):
        raise SettingsError(f"{file}: tool = {tool!r} is not a table; write [tool.bench]")
    if "bench" not in tool:
        return None
    try:
        settings = msgspec.convert(tool["bench"], Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: [tool.bench]: {error}") from error
    for name in ("ledger", "page", "models"):
        if (path := getattr(settings, name)) is not None:
            _check_below(file, name, path)
    return settings


def _check_below(file: Path, name: str, path: str) -> None:
    """Refuse a path that could lead out of the project, on any operating system."""
    kinds = PurePosixPath(path), PureWindowsPath(path)
    if any(kind.anchor or ".." in kind.parts for kind in kinds) or "\0" in path:
        raise SettingsError(
            f"{file}: [tool.bench] {name} = {path!r} leads out of the project; write a path "
            f"inside {file.parent}{'' if name == 'models' else f', or name it with --{name}'}"
        )
