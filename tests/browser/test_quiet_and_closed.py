"""The page complains of nothing, asks for nothing, and runs nothing that is not its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import make_evidence, make_iteration, make_run
from msgspec.structs import replace
from playwright.sync_api import Browser, Page

from bench.records import Conditions, LayerCost
from browser.conftest import OpenPage
from browser.pages import draw_all, open_details, write_planted

LISTEN = """() => {
  window.refused = [];
  document.addEventListener("securitypolicyviolation", event =>
    window.refused.push(event.effectiveDirective));
}"""
SCRIPT = "<script>window.planted = 1; document.title = 'planted'</script>"
PICTURE = "<img src=x onerror='window.planted = 1' class='planted'>"
LONG = "W" * 600


def test_nothing_is_heard_of_the_whole_page(open_page: OpenPage, committed: Path) -> None:
    """Drawn to its end with all details open: no complaint, no request but for the file itself."""
    page = open_page(committed)
    open_details(page)
    draw_all(page)
    assert page.locator("figure[data-chart]:not([data-drawn])").count() == 0


@pytest.mark.parametrize(
    ("attempt", "directive"),
    [
        ("document.body.append(Object.assign(new Image(), {src: 'https://example.org/a.png'}))",
         "img-src"),
        ("fetch('https://example.org/').catch(() => 0)", "connect-src"),
        ("document.head.append(Object.assign(document.createElement('script'), "
         "{src: 'https://example.org/a.js'}))", "script-src-elem"),
        ("document.head.append(Object.assign(document.createElement('script'), "
         "{textContent: 'window.planted = 1'}))", "script-src-elem"),
        ("document.body.append(Object.assign(document.createElement('iframe'), "
         "{src: 'https://example.org/'}))", "frame-src"),
    ],
)  # fmt: skip
def test_the_policy_refuses_what_is_planted(
    browser: Browser, committed: Path, attempt: str, directive: str
) -> None:
    """A picture, a request, a script or a frame put into the open page is blocked and reported."""
    page = browser.new_page()
    asked: list[str] = []
    page.goto(committed.as_uri())
    page.on("response", lambda response: asked.append(response.url))
    page.evaluate(LISTEN)
    page.evaluate(f"() => {{ {attempt} }}")
    page.wait_for_timeout(100)
    assert page.evaluate("window.refused") == [directive]
    assert page.evaluate("window.planted") is None
    assert not [url for url in asked if url.startswith("http")]
    page.close()


def test_a_script_written_into_the_file_does_not_run(
    browser: Browser, committed: Path, tmp_path: Path
) -> None:
    """The policy names the page's own scripts; another one in the HTML is refused."""
    changed = tmp_path / "changed.html"
    html = committed.read_text(encoding="utf-8")
    changed.write_text(
        html.replace("<main>", f"<main>{SCRIPT}<b onclick='window.planted = 1'>b</b>", 1),
        encoding="utf-8",
    )
    page = browser.new_page()
    page.goto(changed.as_uri())
    page.locator("html[data-ready]").wait_for(state="attached")
    page.locator("b").click()
    assert page.evaluate("window.planted") is None
    assert page.title() != "planted"
    page.close()


@pytest.fixture
def hostile(open_page: OpenPage, tmp_path: Path) -> Page:
    """Return the page of a ledger and a narrative whose every text is hostile or enormous."""
    text = f"{SCRIPT}{PICTURE}</script><!--{{{{7*7}}}}"
    iteration: Any = make_iteration(title=f"{text} {LONG}", analysis=(text, LONG, f"`{text}`"))
    conditions = Conditions(device="cpu", precision="fp32", engine=text + LONG, torch=text)
    plain = make_run()
    machine = replace(
        plain.machine, device=text, processor=LONG, system=text, commit=text, python=text
    )
    layer = LayerCost(
        name=text, kind=text + LONG, output_shape=(8, 26, 26), parameters=72, macs=48_672,
        receptive_field=3,
    )  # fmt: skip
    cost = replace(plain.cost, layers=(layer, *plain.cost.layers))
    runs = [
        replace(make_run(seed=seed), conditions=conditions, machine=machine, cost=cost)
        for seed in range(4)
    ]
    assert len(make_evidence(runs, iteration).runs) == len(runs)
    path = write_planted(tmp_path / "hostile.html", [(iteration, runs)])
    page = open_page(path, width=360, height=800)
    open_details(page)
    draw_all(page)
    return page


def test_hostile_text_stays_text(hostile: Page) -> None:
    """No element and no script comes of it, in the page, its tables or its tooltips."""
    assert hostile.evaluate("window.planted") is None
    assert hostile.title() != "planted"
    assert hostile.locator(".planted").count() == 0
    assert "<script>window.planted" in hostile.locator("body").inner_text()


def test_enormous_names_do_not_widen_the_page(hostile: Page) -> None:
    """At 360 px nothing scrolls sideways but what is made to."""
    assert hostile.evaluate("document.documentElement.scrollWidth") <= 360
