"""The system's Chromium, started through Playwright; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.errors import BenchError

NAMES = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "BENCH_CHROMIUM"
ARGUMENTS = ("--no-sandbox", "--disable-gpu")
"""A container has neither the privileges of the sandbox nor a screen."""


def find_chromium() -> str:
    """Return the program of BENCH_CHROMIUM, else the first of the usual names.

    Raises:
        BenchError: there is none.
    """
    named = os.environ.get(VARIABLE)
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"{VARIABLE}={named} is no program" if named else "none is installed"
        raise BenchError(
            f"no Chromium: {missing}; install one (Debian: apt-get install chromium) or name it in "
            f"{VARIABLE}"
        )
    return str(Path(found))


@contextmanager
def start_chromium() -> Iterator[Browser]:
    """Yield the browser, headless; it ends with the block."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()
