"""What an engine has to say in a worker process, where what a model file prints is not shown."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_kept: list[TextIO] = []


def silence_models() -> None:
    """Send what this process prints nowhere, and keep standard error for `tell` alone."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _kept[:] = [os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def tell(text: str) -> None:
    """Write a line for the user to standard error."""
    stream = _kept[0] if _kept else sys.stderr
    stream.write(f"{text}\n")
    stream.flush()
