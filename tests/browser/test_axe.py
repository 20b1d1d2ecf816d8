"""axe-core on the whole page, opened and drawn: nothing serious, nothing critical."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from browser.conftest import OpenPage
from browser.pages import draw_all, open_details

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
EACH_KIND = ", ".join(
    (
        "header",
        "footer",
        "#iteration_4",
        *(f"[aria-labelledby={i}]" for i in ("verdicts", "across")),
    )
)
"""One section of each kind: the others have the same parts, and axe takes seconds for each."""
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module", params=[360, 1440])
def page(
    request: pytest.FixtureRequest, open_for_module: OpenPage, committed: Path
) -> Iterator[Page]:
    """Return the committed page, opened, at a phone's width or a desktop's.

    The numbers behind the charts are open in one iteration: axe takes a minute more for all.
    """
    opened = open_for_module(committed, width=request.param)
    open_details(opened, "details:not(.numbers), #iteration_4 details")
    draw_all(opened)
    yield opened
    opened.close()


def run_axe(page: Page, context: str | None = None, **options: Any) -> dict[str, list[str]]:
    """Return each violation with the elements that have it."""
    options["resultTypes"] = ["violations"]
    response = Axe().run(page, context=context, options=options).response
    found: dict[str, list[str]] = {}
    for violation in response["violations"]:
        nodes = [f"{node['html'][:200]}: {node['failureSummary']}" for node in violation["nodes"]]
        found[f"{violation['impact']}: {violation['id']} ({violation['help']})"] = nodes
    return found


def name_grave(found: dict[str, list[str]]) -> str:
    """Return what is serious or critical, to be read, with three elements each."""
    return json.dumps(
        {name: nodes[:3] for name, nodes in found.items() if name.startswith(GRAVE)}, indent=1
    )


def test_nothing_grave_is_found(page: Page, record_property: Any) -> None:
    """Names, roles, structure, contrast; what is less than serious is recorded beside."""
    wide = page.evaluate("innerWidth") > 360
    found = run_axe(page, None if wide else EACH_KIND, runOnly=list(TAGS))
    record_property("axe", {name: len(nodes) for name, nodes in found.items()})
    assert name_grave(found) == "{}"


def test_contrast_suffices_in_the_dark(page: Page) -> None:
    """Another scheme changes colours and nothing else: only contrast is looked at again."""
    page.emulate_media(color_scheme="dark")
    found = run_axe(page, EACH_KIND, runOnly={"type": "rule", "values": ["color-contrast"]})
    page.emulate_media(color_scheme="light")
    assert name_grave(found) == "{}"
