"""A browser for the session, the committed page, and a way to open any page under supervision."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from evidence_digest import LEDGER
from playwright.sync_api import Browser, Page

from bench.challenges import MNIST
from bench.commands.report import write_report
from bench.errors import BenchError
from browser.chromium import find_chromium, start_chromium
from browser.pages import Noise, write_planted
from browser.planted import plant_many

MNIST_AT_HAND = LEDGER.parents[2] / "shared" / "mnist"

OpenPage = Callable[..., Page]


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to start without a Chromium: a test that is skipped shows nothing."""
    try:
        find_chromium()
    except BenchError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield the system's Chromium."""
    with start_chromium() as started:
        yield started


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the committed ledger, with digits where MNIST is at hand."""
    named = os.environ.get("BENCH_DATA")
    data = Path(named) if named else MNIST_AT_HAND
    path = tmp_path_factory.mktemp("committed") / "index.html"
    return write_report(LEDGER, MNIST, path, data if data.exists() else None)


def _open(browser: Browser, path: Path, options: dict[str, Any]) -> tuple[Page, Noise]:
    width = options.pop("width", 1440)
    height = options.pop("height", 900)
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", **options
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    noise = Noise(address=path.as_uri())
    noise.listen(page)
    page.goto(path.as_uri())
    page.locator("html[data-ready]").wait_for(state="attached")
    return page, noise


def _supervise(browser: Browser) -> Iterator[OpenPage]:
    opened: list[tuple[Page, Noise]] = []

    def open_page(path: Path, **options: Any) -> Page:
        page, noise = _open(browser, path, options)
        opened.append((page, noise))
        return page

    yield open_page
    for page, _ in opened:
        page.context.close()
    assert [heard for _, noise in opened for heard in noise.heard] == []


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return what opens a page for one test; afterwards no page may have made any noise."""
    yield from _supervise(browser)


@pytest.fixture(scope="module")
def open_for_module(browser: Browser) -> Iterator[OpenPage]:
    """Return what opens a page for all tests of a module, which only read it."""
    yield from _supervise(browser)


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of two iterations with 1,000 seeds each."""
    return write_planted(tmp_path_factory.mktemp("thousand") / "index.html", plant_many())
