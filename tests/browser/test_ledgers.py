"""Unusual ledgers: the page opens, draws what there is, and says what there is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from browser.conftest import OpenPage
from browser.pages import SPECKS, draw_all, draw_chart, open_details, write_planted
from browser.planted import Planted, plant_diverged, plant_many, plant_none, plant_one


@pytest.mark.parametrize("plant", [list, plant_none, plant_one, plant_diverged])
def test_a_small_ledger_draws_without_a_complaint(
    open_page: OpenPage, tmp_path: Path, plant: Callable[[], Planted]
) -> None:
    """No iteration, no run, one run, only diverged ones; in light and dark, wide and narrow."""
    path = write_planted(tmp_path / "small.html", plant())
    for width, scheme in ((1440, "light"), (360, "dark")):
        page = open_page(path, width=width, color_scheme=scheme)
        open_details(page)
        draw_all(page)
        assert page.locator("figure[data-chart]:not([data-drawn])").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_mark_stands_at_no_place(open_page: OpenPage, tmp_path: Path) -> None:
    """One run alone, and diverged ones: no coordinate is NaN."""
    for name, plant in {"one": plant_one, "diverged": plant_diverged}.items():
        page = open_page(write_planted(tmp_path / f"{name}.html", plant()))
        open_details(page)
        draw_all(page)
        for chart in page.locator("figure[data-chart] svg").all():
            assert "NaN" not in chart.evaluate("each => each.outerHTML")


def test_a_diverged_seed_is_marked_and_named(open_page: OpenPage, tmp_path: Path) -> None:
    """It has its place in the strip, and its tooltip says that there is no final window."""
    page = open_page(write_planted(tmp_path / "diverged.html", plant_diverged()))
    chart = draw_chart(page, "strip", "iteration_4")
    assert chart.locator(SPECKS).count() == 4
    texts = chart.evaluate("each => each.figure.items.map(({ text }) => text)")
    assert all("(diverged)" in text and "no whole final window" in text for text in texts)


def test_a_thousand_seeds_twice(open_page: OpenPage, thousand: Path) -> None:
    """Everything is drawn, one path a seed."""
    page = open_page(thousand)
    draw_all(page)
    for anchor in ("iteration_3", "iteration_4"):
        assert draw_chart(page, "accuracy", anchor).locator(SPECKS).count() == 1_000
        assert draw_chart(page, "strip", anchor).locator(SPECKS).count() == 1_000


def test_of_more_seeds_some_are_drawn_and_the_evidence_of_all(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """A thousand of three thousand lines; the ratios end after the last seed, means are of all."""
    page = open_page(write_planted(tmp_path / "many.html", plant_many(3_000)))
    open_details(page)
    draw_all(page)
    assert page.locator("figure[data-chart]:not([data-drawn])").count() == 0
    assert draw_chart(page, "accuracy", "iteration_4").locator(SPECKS).count() == 1_000
    chart = draw_chart(page, "martingale", "iteration_4")
    texts = chart.evaluate("each => each.figure.items.map(({ text }) => text)")
    assert texts[0].startswith("After seed 0: ratio for HOLDS")
    assert texts[-1].startswith("After seed 2999: ratio for FAILS")
    cells = chart.locator("details.numbers tbody tr").last.locator("th, td").all_inner_texts()
    assert cells[:2] == ["3,000", "2999"]
    front = page.locator("figure[data-chart=parameters] details.numbers tbody tr td:last-child")
    assert set(front.all_inner_texts()) >= {"3,000 seeds"}
    assert "1,000 seeds" not in front.all_inner_texts()
    assert "NaN" not in chart.locator("svg").evaluate("each => each.outerHTML")
