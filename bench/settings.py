"""The project's own settings: `[tool.bench]` of the nearest pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.errors import SettingsError


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
    """`ledger` and `page` are paths relative to the pyproject's folder."""

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
        try:
            tool = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
            if not isinstance(tool, dict):
                raise SettingsError(f"{file}: tool = {tool!r} is not a table; write [tool.bench]")
            if "bench" in tool:
                return folder, msgspec.convert(tool["bench"], Settings)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"{file}: not valid TOML ({error})") from error
        except msgspec.ValidationError as error:
            raise SettingsError(f"{file}: [tool.bench]: {error}") from error
    return start, Settings()
