"""What a reader sees, kept in reports/screenshots for eyes to judge; nothing is compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from evidence_digest import ROOT

from browser.conftest import OpenPage
from browser.pages import SCHEMES, draw_all

SCREENSHOTS = ROOT / "reports" / "screenshots"


@pytest.mark.parametrize("width", [360, 1440, 3840])
def test_the_page_as_a_picture(open_page: OpenPage, committed: Path, width: int) -> None:
    """The whole page as it opens, drawn to its end, in light and dark."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = open_page(committed, width=width)
    draw_all(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        path = SCREENSHOTS / f"page-{width}-{scheme}.png"
        page.screenshot(path=path, full_page=True, timeout=60_000)
        assert path.stat().st_size > 0
