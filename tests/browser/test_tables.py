"""Tables made in the page: every run, sorted and searched; the numbers behind every chart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from bench.challenges import MNIST
from bench.records import Run
from browser.committed import count_confusions, read_runs
from browser.conftest import OpenPage
from browser.pages import (
    bring_into_view,
    cut_percent,
    draw_all,
    open_details,
    read_data,
    read_table,
)

ANCHOR = "iteration_4"
ABSENT = "—"


@pytest.fixture
def page(open_page: OpenPage, committed: Path) -> Page:
    """Return the committed page with the table of runs of one iteration in view."""
    opened = open_page(committed)
    space = opened.locator(f'[data-runs="{ANCHOR}"]')
    bring_into_view(space)
    space.locator("tbody tr").first.wait_for()
    return opened


@pytest.fixture
def space(page: Page) -> Locator:
    """Return the place of that table."""
    return page.locator(f'[data-runs="{ANCHOR}"]')


@pytest.fixture
def runs(page: Page) -> list[Run]:
    """Return the same runs from the ledger, by seed."""
    return read_runs(find_section(page))


def find_section(page: Page) -> dict[str, Any]:
    section: dict[str, Any] = next(
        each for each in read_data(page)["sections"] if each["anchor"] == ANCHOR
    )
    return section


def list_seeds(space: Locator) -> list[int]:
    """Return the seeds as the rows stand."""
    return [int(text) for text in space.locator("tbody tr td:first-child").all_inner_texts()]


def lowest(run: Run) -> int:
    return min(epoch.validation_correct for epoch in run.epochs[-MNIST.window :])


def best(run: Run) -> int:
    return max(epoch.validation_correct for epoch in run.epochs)


def test_the_table_of_runs_is_the_ledgers(space: Locator, runs: list[Run]) -> None:
    """A row a seed; lowest, window, best and training accuracy are its counts, cut off."""
    _, *rows = read_table(space)
    assert [row[0] for row in rows] == [str(run.seed) for run in runs]
    for row, run in zip(rows, runs, strict=True):
        window = [f"{epoch.validation_correct:,}" for epoch in run.epochs[-MNIST.window :]]
        last = run.epochs[-1]
        assert row[2] == f"{cut_percent(lowest(run), 10_000)} ({lowest(run):,})"
        assert row[3].split() == window
        assert row[4] == f"{cut_percent(best(run), 10_000)} ({best(run):,})"
        assert row[7] == cut_percent(last.training_correct, last.training_total)


NEXT = {None: "ascending", "ascending": "descending", "descending": None}
"""How a heading goes on when it is activated."""


def activate(column: Locator, way: str) -> None:
    """Click a heading, or press a key on its button, and wait until it says that it is sorted."""
    before = column.get_attribute("aria-sort")
    if way == "click":
        column.click()
    else:
        column.locator('[role="button"]').press(way)
    following = NEXT[before]
    if following is None:
        expect(column).not_to_have_attribute("aria-sort", "descending")
    else:
        expect(column).to_have_attribute("aria-sort", following)


def sort(column: Locator, way: str, direction: str) -> None:
    """Activate a heading until its column is in a direction: up, down, as it was."""
    for _ in range(3):
        if column.get_attribute("aria-sort") == direction:
            return
        activate(column, way)


@pytest.mark.parametrize("way", ["click", "Enter", "Space"])
def test_a_heading_sorts_by_its_numbers(space: Locator, runs: list[Run], way: str) -> None:
    """By click and by keyboard, up and down; `aria-sort` says which."""
    columns: dict[int, Callable[[Run], float]] = {
        2: lowest,
        4: best,
        7: lambda run: run.epochs[-1].training_correct,
        8: lambda run: round(run.wall_seconds, 1),
        0: lambda run: run.seed,
    }
    for place, value in columns.items():
        column = space.locator("thead th").nth(place)
        by_seed = {run.seed: value(run) for run in runs}
        for direction in ("descending", "ascending"):
            sort(column, way, direction)
            expect(column).to_have_attribute("aria-sort", direction)
            values = [by_seed[seed] for seed in list_seeds(space)]
            assert values == sorted(values, reverse=direction == "descending")
            assert len(values) == len(runs)


def test_searching_narrows_the_rows(space: Locator) -> None:
    """What is typed is looked for in every cell, and clearing it brings all back."""
    everything = list_seeds(space)
    space.get_by_label("Search").fill("does not")
    failing = list_seeds(space)
    assert 0 < len(failing) < len(everything)
    assert set(space.locator("tbody td:nth-child(2)").all_inner_texts()) == {"does not hold"}
    expect(space.locator(".dt-info")).to_contain_text(f"of {len(failing)} runs")
    space.get_by_label("Search").fill("")
    assert list_seeds(space) == everything


def test_the_filter_shows_one_outcome(page: Page, space: Locator) -> None:
    """`holds` is not a part of `does not hold` here."""
    section = find_section(page)
    words = {"holds": "holds", "misses": "does not hold"}
    for outcome, word in words.items():
        space.get_by_label("Show").select_option(word)
        assert list_seeds(space) == [
            seed
            for seed, was in zip(section["seeds"], section["outcomes"], strict=True)
            if was == outcome
        ]
    space.get_by_label("Show").select_option("all")
    assert list_seeds(space) == section["seeds"]


def test_the_command_is_copied(open_page: OpenPage, committed: Path) -> None:
    """The clipboard has the seed's own command, with its commit, and the page says so."""
    page = open_page(committed, permissions=["clipboard-read", "clipboard-write"])
    space = page.locator(f'[data-runs="{ANCHOR}"]')
    bring_into_view(space)
    run = read_runs(find_section(page))[2]
    button = space.locator("tbody tr").nth(2).locator("button")
    button.click()
    expect(page.locator("#said")).to_have_text("Copied to the clipboard")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"--seeds {run.seed}-{run.seed}" in copied
    assert "bench run iteration_4" in copied
    assert (run.machine.commit or "")[:12] in copied
    expect(button).to_have_text("Copy command", timeout=5_000)


def test_the_command_is_copied_without_a_clipboard(page: Page, space: Locator) -> None:
    """Where the clipboard is refused, a selection is copied, and nothing of it is left over."""
    page.evaluate(
        """() => {
          window.copied = [];
          navigator.clipboard.writeText = () => Promise.reject(new Error("refused"));
          document.addEventListener("copy", () => window.copied.push(getSelection().toString()
            || document.activeElement.value));
        }"""
    )
    button = space.locator("tbody tr").first.locator("button")
    button.click()
    expect(button).to_have_text("Copied")
    (copied,) = page.evaluate("window.copied")
    assert "bench run iteration_4" in copied
    assert page.locator("textarea").count() == 0
    assert button.evaluate("each => each === document.activeElement")


def test_a_long_table_has_pages(open_page: OpenPage, thousand: Path) -> None:
    """25 of 1,000 runs a page, numbered; the next goes on; the search sees all of them."""
    page = open_page(thousand)
    space = page.locator("[data-runs]").first
    bring_into_view(space)
    space.locator("tbody tr").first.wait_for()
    assert list_seeds(space) == list(range(25))
    pages = space.locator(".dt-paging-button")
    assert "2" in pages.all_inner_texts()
    assert len(set(pages.evaluate_all("all => all.map(each => each.offsetHeight)"))) == 1
    space.get_by_role("link", name="Next").click()
    assert list_seeds(space) == list(range(25, 50))
    space.get_by_label("Search").fill("977")
    assert 977 in list_seeds(space)


@pytest.fixture(scope="module")
def opened(open_for_module: OpenPage, committed: Path) -> Page:
    """Return the committed page, drawn to its end, every table of numbers open."""
    page = open_for_module(committed)
    open_details(page, "details.more")
    draw_all(page)
    open_details(page, "details.numbers")
    page.locator("details.numbers table").last.wait_for(state="attached")
    page.wait_for_timeout(200)
    return page


def test_every_chart_has_its_numbers(opened: Page) -> None:
    """Opening `The numbers` gives a table with headings and rows, each as long as the headings."""
    tables = opened.locator("details.numbers").evaluate_all(
        "all => all.map(each => [...each.querySelectorAll('tr')].map(row => row.cells.length))"
    )
    assert len(tables) > 50
    for widths in tables:
        assert len(widths) > 1
        assert len(set(widths)) == 1


def read_numbers(page: Page, kind: str, anchor: str) -> list[list[str]]:
    return read_table(
        page.locator(f'figure[data-chart="{kind}"][data-section="{anchor}"] details.numbers')
    )


def test_numbers_of_accuracy_are_the_ledgers_cut_off(opened: Page) -> None:
    """Every seed, every epoch, in every section."""
    for section in read_data(opened)["sections"]:
        head, *rows = read_numbers(opened, "accuracy", section["anchor"])
        runs = read_runs(section)
        assert head == ["Seed", *(str(epoch + 1) for epoch in range(section["epochs"]))]
        assert rows == [
            [
                str(run.seed),
                *(cut_percent(e.validation_correct, e.validation_total) for e in run.epochs),
            ]
            for run in runs
        ]


def test_numbers_of_best_epochs_are_the_ledgers(opened: Page) -> None:
    """Lowest of the window and best epoch of every seed, and the first epoch that has it."""
    for section in read_data(opened)["sections"]:
        _, *rows = read_numbers(opened, "best", section["anchor"])
        for row, run in zip(rows, read_runs(section), strict=True):
            counts = [epoch.validation_correct for epoch in run.epochs]
            assert [row[0], row[2], row[3], row[4]] == [
                str(run.seed),
                cut_percent(lowest(run), 10_000),
                cut_percent(best(run), 10_000),
                str(counts.index(best(run)) + 1),
            ]


def test_numbers_of_confusions_are_the_ledgers(opened: Page) -> None:
    """Each pair of digits with its count over all seeds."""
    for section in read_data(opened)["sections"]:
        _, *rows = read_numbers(opened, "confusion", section["anchor"])
        told = {(int(a), int(b)): int(count.replace(",", "")) for a, b, count in rows}
        assert told == dict(count_confusions(read_runs(section)))


def test_numbers_of_the_decision_have_a_row_a_seed(opened: Page) -> None:
    """Both log ratios after each seed."""
    for section in read_data(opened)["sections"]:
        _, *rows = read_numbers(opened, "martingale", section["anchor"])
        assert [row[1] for row in rows] == [str(seed) for seed in section["seeds"]]
        assert ABSENT not in {cell for row in rows for cell in row}
