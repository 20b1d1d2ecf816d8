"""Pointing, pinning, stepping by keyboard, and hiding: one seed is lit wherever it is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench.challenges import MNIST
from browser.committed import read_runs
from browser.conftest import OpenPage
from browser.pages import (
    SPECKS,
    bring_into_view,
    choose_lonely,
    cut_percent,
    draw_chart,
    find_chart,
    list_items,
    list_lit,
    point_at,
    read_data,
)

ANCHOR = "iteration_4"
BY_SEED = ("strip", "accuracy", "martingale", "best", "loss")


@pytest.fixture
def page(open_page: OpenPage, committed: Path) -> Page:
    """Return the committed page with all of one iteration drawn, and its runs tabulated."""
    opened = open_page(committed)
    for kind in BY_SEED:
        draw_chart(opened, kind, ANCHOR)
    draw_chart(opened, "strip", "iteration_3")
    runs = opened.locator(f'[data-runs="{ANCHOR}"]')
    bring_into_view(runs)
    runs.locator("tbody tr").first.wait_for()
    return opened


def everywhere(seed: int) -> dict[str, list[int]]:
    """Return where a seed of the iteration is lit when it is lit wherever it is drawn."""
    return {name: [seed] for name in (*(f"{k} {ANCHOR}" for k in BY_SEED), f"runs {ANCHOR}")}


@pytest.mark.parametrize("kind", BY_SEED)
def test_pointing_lights_one_seed_in_every_chart_and_its_row(page: Page, kind: str) -> None:
    """The tooltip says which; another iteration's charts stay as they are; leaving restores."""
    chart = draw_chart(page, kind, ANCHOR)
    item = choose_lonely(list_items(chart))
    point_at(page, item)
    expect(page.locator("#tip")).to_be_visible()
    expect(page.locator("#tip")).to_have_text(item["text"])
    assert f"seed {item['seed']}" in item["text"].lower()
    assert list_lit(page) == everywhere(item["seed"])

    page.mouse.move(2, 2)
    expect(page.locator("#tip")).to_be_hidden()
    assert list_lit(page) == {}
    assert page.locator("svg.one").count() == 0


def test_every_seed_can_be_pointed_at(page: Page) -> None:
    """In the strip each mark's own place lights its own seed."""
    chart = draw_chart(page, "strip", ANCHOR)
    for item in list_items(chart):
        point_at(page, item)
        assert list_lit(page) == everywhere(item["seed"])


def test_the_tooltip_says_what_the_ledger_says(page: Page) -> None:
    """Seed, epoch and accuracy of a point are those of its line in the ledger."""
    section = next(s for s in read_data(page)["sections"] if s["anchor"] == ANCHOR)
    run = read_runs(section)[3]
    items = list_items(draw_chart(page, "accuracy", ANCHOR))
    item = choose_lonely(items, run.seed)
    epoch = [i for i in items if i["seed"] == run.seed].index(item) + 1
    score = run.epochs[epoch - 1]
    point_at(page, item)
    expect(page.locator("#tip")).to_have_text(
        f"Seed {run.seed} (holds): epoch {epoch}, "
        f"{cut_percent(score.validation_correct, score.validation_total)}, training "
        f"{cut_percent(score.training_correct, score.training_total)}"
    )


def test_the_tooltip_stays_inside_the_window(page: Page) -> None:
    """At the ends of the axis, too."""
    items = list_items(draw_chart(page, "accuracy", ANCHOR))
    for item in (min(items, key=lambda i: i["x"]), max(items, key=lambda i: i["x"])):
        point_at(page, item)
        box = page.locator("#tip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1440


def test_a_click_pins_and_escape_lets_go(page: Page) -> None:
    """A pinned seed stays lit when the pointer leaves, and is let go by Escape."""
    item = choose_lonely(list_items(draw_chart(page, "accuracy", ANCHOR)))
    page.mouse.click(item["x"], item["y"])
    page.mouse.move(2, 2)
    assert list_lit(page) == everywhere(item["seed"])
    page.keyboard.press("Escape")
    assert list_lit(page) == {}


def test_a_second_click_lets_go(page: Page) -> None:
    """Clicking the pinned seed again unpins it."""
    item = choose_lonely(list_items(draw_chart(page, "accuracy", ANCHOR)))
    for _ in range(2):
        page.mouse.click(item["x"], item["y"])
    page.mouse.move(2, 2)
    assert list_lit(page) == {}


def test_a_chart_drawn_later_shows_the_pinned_seed(open_page: OpenPage, committed: Path) -> None:
    """What comes into view after pinning is lit as it is drawn."""
    page = open_page(committed)
    item = choose_lonely(list_items(draw_chart(page, "strip", ANCHOR)))
    page.mouse.click(item["x"], item["y"])
    assert find_chart(page, "loss", ANCHOR).locator("svg").count() == 0
    draw_chart(page, "loss", ANCHOR)
    assert list_lit(page)[f"loss {ANCHOR}"] == [item["seed"]]


def test_a_row_pins_its_seed(page: Page) -> None:
    """Choosing a row of the table lights the seed in the charts."""
    row = page.locator(f'[data-runs="{ANCHOR}"] tbody tr').nth(4)
    seed = int(row.locator("td").first.inner_text())
    row.locator("td").nth(1).click()
    assert list_lit(page) == everywhere(seed)


def test_arrow_keys_step_from_seed_to_seed(page: Page) -> None:
    """Each step says its seed in the live region; Home and End reach the ends."""
    chart = draw_chart(page, "accuracy", ANCHOR)
    chart.locator(".plot").focus()
    readout = chart.locator(".readout")
    assert readout.get_attribute("aria-live") == "polite"
    said = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        said.append(readout.inner_text().split(":")[0].split(" (")[0])
        assert list_lit(page) == everywhere(int(said[-1].removeprefix("Seed ")))
    assert said == ["Seed 0", "Seed 1", "Seed 2", "Seed 1", "Seed 0"]
    page.keyboard.press("End")
    cells = page.locator(f'[data-runs="{ANCHOR}"] tbody tr td:first-child').all_text_contents()
    assert readout.inner_text().startswith(f"Seed {max(map(int, cells))} ")
    page.keyboard.press("Home")
    assert readout.inner_text().startswith("Seed 0 ")


def test_enter_pins_and_escape_lets_go(page: Page) -> None:
    """The keyboard can do what a click does, and leaving the chart keeps the pin."""
    chart = draw_chart(page, "strip", ANCHOR)
    chart.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    seed = list_lit(page)[f"strip {ANCHOR}"][0]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert list_lit(page) == everywhere(seed)
    chart.locator(".plot").focus()
    page.keyboard.press("Escape")
    assert list_lit(page) == {}


@pytest.mark.parametrize("kind", ["network", "sensitivity", "confusion", "rate", "thresholds"])
def test_charts_without_seeds_step_through_their_items(page: Page, kind: str) -> None:
    """Every item is reached, and says its text."""
    chart = draw_chart(page, kind, ANCHOR)
    texts = [item["text"] for item in list_items(chart)]
    chart.locator(".plot").focus()
    said = []
    for _ in texts[:12]:
        page.keyboard.press("ArrowRight")
        said.append(chart.locator(".readout").text_content())
    assert said == texts[:12]


def test_legend_boxes_hide_and_show(page: Page) -> None:
    """Hiding what does not hold leaves the rest; showing it brings the marks back."""
    section = next(s for s in read_data(page)["sections"] if s["anchor"] == ANCHOR)
    chart = draw_chart(page, "accuracy", ANCHOR)
    failing = [seed for seed, o in zip(section["seeds"], section["outcomes"], strict=True)
               if o == "misses"]  # fmt: skip
    assert failing
    every = chart.locator(SPECKS).count()
    for name in ("misses", "holds", "median", "band"):
        box = chart.locator(f'input[data-key="{name}"]')
        before = chart.locator("svg path").count()
        box.uncheck()
        assert chart.locator("svg path").count() < before
        box.check()
        assert chart.locator("svg path").count() == before
    chart.locator('input[data-key="misses"]').uncheck()
    assert chart.locator(SPECKS).count() == every - len(failing)
    assert chart.locator(f'svg [data-seed="{failing[0]}"]').count() == 0


def test_training_accuracy_on_demand(page: Page) -> None:
    """Off at first; its box adds one path a seed and their median."""
    chart = draw_chart(page, "accuracy", ANCHOR)
    box = chart.locator('input[data-key="training"]')
    assert not box.is_checked()
    seeds, medians = chart.locator(SPECKS).count(), chart.locator(".median").count()
    box.check()
    assert chart.locator(SPECKS).count() == 2 * seeds
    assert chart.locator(".median").count() == medians + 1


def test_a_wider_window_draws_anew(page: Page) -> None:
    """After a change of width the chart fills its place, and the pin is kept."""
    item = choose_lonely(list_items(draw_chart(page, "accuracy", ANCHOR)))
    page.mouse.click(item["x"], item["y"])
    chart = find_chart(page, "accuracy", ANCHOR)
    before = chart.evaluate("each => each.figure.width")
    page.set_viewport_size({"width": 800, "height": 900})
    page.wait_for_timeout(400)
    assert chart.evaluate("each => each.figure.width") < before
    assert list_lit(page)[f"accuracy {ANCHOR}"] == [item["seed"]]


def test_target_is_mnists() -> None:
    """The tests above count on the challenge's numbers."""
    assert MNIST.required(10_000) == 9_940
