"""The scripts inside the page: libraries as their authors publish them, and our own in one piece.

A content security policy names each by its SHA-256; nothing else on the page can run.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"
VENDOR = ASSETS / "vendor"
LIBRARIES = ("d3.js", "plot.js", "datatables.js")
OWN = ("data.js", "format.js", "charts.js", "interaction.js", "tables.js", "exports.js", "start.js")


def allow_scripts(scripts: Sequence[Markup]) -> str:
    """Return the sources that a policy allows: the digest of each script, and no other."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in digests)


def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(f"{path}: cannot be put into a page, it would end its own element")
    return text


def _join_own() -> str:
    body = "\n".join(_read(ASSETS / name) for name in OWN)
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


def read_scripts() -> tuple[Markup, ...]:
    """Return the text of each script element, libraries first."""
    libraries = (_read(VENDOR / name) for name in LIBRARIES)
    return tuple(Markup(text) for text in (*libraries, _join_own()))  # noqa: S704


def read_licences() -> str:
    """Return what the authors of the libraries ask to be said with every copy."""
    return (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")
