"""The project's own settings: `[tool.bench]` of the nearest pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import msgspec
from msgspec import Struct

from bench.errors import SettingsError
from bench.files import check_inside, read_regular
from bench.limits import MOST_SOURCE_BYTES


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
    """`ledger` and `page` are paths relative to the pyproject's folder, and inside it."""

    ledger: str = "reports/ledger"
    page: str = "reports/index.html"
    gate: GateSettings = GateSettings()


def load_settings(start: Path) -> tuple[Path, Settings]:
    """Return the folder and settings of the nearest pyproject.toml with `[tool.bench]`.

    Without one, the folder is `start` and every setting is its default.

    Raises:
        SettingsError: the file is not TOML, or a setting has a wrong name or value.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        settings = _read(file)
        if settings is not None:
            return folder, settings
    return start, Settings()


def locate(root: Path, path: str) -> Path:
    """Return where a path of the settings lies: inside the project, wherever links there lead.

    Raises:
        SettingsError: a link leads out of the project.
    """
    try:
        check_inside(root / path, root)
    except OSError as error:
        raise SettingsError(
            f"{root / path}: {error.strerror}, or name it with --ledger or --page"
        ) from error
    return root / path


def _read(file: Path) -> Settings | None:
    """Return the settings of a pyproject.toml, `None` when it has none of ours."""
    try:
        content = read_regular(file, inside=file.parent, most_bytes=MOST_SOURCE_BYTES)
        tool: Any = tomllib.loads(content.decode()).get("tool", {})
        if not isinstance(tool, dict):
            raise SettingsError(f"{file}: tool = {tool!r} is not a table; write [tool.bench]")
        if "bench" not in tool:
            return None
        settings = msgspec.convert(tool["bench"], Settings)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML ({error})") from error
    except RecursionError as error:
        raise SettingsError(f"{file}: nested too deeply to be read; write it flatter") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: [tool.bench]: {error}") from error
    for name in ("ledger", "page"):
        _check_below(file, name, getattr(settings, name))
    return settings


def _check_below(file: Path, name: str, path: str) -> None:
    """Refuse a path that could lead out of the project, on any operating system."""
    kinds = PurePosixPath(path), PureWindowsPath(path)
    if any(kind.anchor or ".." in kind.parts for kind in kinds) or "\0" in path:
        raise SettingsError(
            f"{file}: [tool.bench] {name} = {path!r} leads out of the project; write a path "
            f"inside {file.parent}, or name it with --{name}"
        )
