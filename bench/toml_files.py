"""TOML files that a stranger may have written: bounded, with every decimal number as it stands."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.errors import SettingsError
from bench.files import read_regular
from bench.limits import MOST_SOURCE_BYTES


def read_toml(file: Path) -> dict[str, Any]:
    """Return a file's document; what has a point or an exponent is a `Decimal`.

    Raises:
        SettingsError: the file cannot be read, leads out of its folder, or is not TOML.
    """
    try:
        content = read_regular(file, inside=file.parent, most_bytes=MOST_SOURCE_BYTES)
        return tomllib.loads(content.decode(), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise SettingsError(f"{file}: not valid TOML ({error})") from error
    except RecursionError as error:
        raise SettingsError(f"{file}: nested too deeply to be read; write it flatter") from error
