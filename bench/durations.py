"""Durations as a user writes them."""

from __future__ import annotations

import re

from bench.errors import SettingsError

_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")


def parse_duration(text: str, *, option: str = "--time-budget") -> float:
    """Return the seconds of `90s`, `20m`, `1h30m`; `option` is what an error names.

    Raises:
        SettingsError: the text is not a duration, or is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total == 0:
        raise SettingsError(f"{option} {text}: not a duration; write 90s, 20m or 1h30m")
    return float(total)
