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


@pytest.mark.parametrize("width", WIDTHS)
def test_drawing_moves_nothing(open_page: OpenPage, committed: Path, width: int) -> None:
    """What is drawn on coming near has its place before: a button stays under the pointer."""
    opened = open_page(committed, width=width)
    places = opened.locator("figure[data-chart] .plot, [data-runs]")
    heights = "all => all.map(each => each.checkVisibility() ? each.offsetHeight : 0)"
    before = places.evaluate_all(heights)
    draw_all(opened)
    after = places.evaluate_all(heights)
    assert max(after) > 400
    moved = [pair for pair in zip(before, after, strict=True) if abs(pair[1] - pair[0]) > 2]
    assert moved == []


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
