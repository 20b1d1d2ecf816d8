"""Wide and narrow, light and dark, and on paper: the page holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import OpenPage
from browser.pages import SCHEMES, Scheme, draw_all, list_cut_off, open_details

WIDTHS = (360, 768, 1440, 3840)


@pytest.fixture(scope="module", params=WIDTHS)
def page(
    request: pytest.FixtureRequest, open_for_module: OpenPage, committed: Path
) -> Iterator[Page]:
    """Return the committed page at a width, everything opened and drawn."""
    opened = open_for_module(committed, width=request.param)
    open_details(opened)
    draw_all(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_is_no_wider_than_the_window(page: Page, scheme: Scheme) -> None:
    """With everything open and drawn, in either scheme."""
    page.emulate_media(color_scheme=scheme)
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room


def test_no_text_is_cut_off(page: Page) -> None:
    """Every text lies in the window, or in something that scrolls to it."""
    assert list_cut_off(page) == []


def test_printing_draws_every_chart(browser: Browser, committed: Path, tmp_path: Path) -> None:
    """Charts that were never in view are on paper, too; the number of sheets is sane."""
    page = browser.new_page()
    page.goto(committed.as_uri())
    page.locator("html[data-ready]").wait_for(state="attached")
    assert page.locator("figure[data-chart]:not([data-drawn])").count() > 0
    sheets = page.pdf()
    left = page.locator("figure[data-chart]:not([data-drawn])").evaluate_all(
        "all => all.filter(each => each.checkVisibility()).map(each => each.dataset.chart)"
    )
    assert left == []
    assert sheets.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", sheets))
    sections = page.locator("section.iteration").count()
    assert sections < pages <= 8 * sections
    page.close()
