"""Every chart draws one mark for each thing in the ledger: no more, no fewer, at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from bench.challenges import MNIST
from bench.evidence import run_holds
from browser.committed import count_confusions, read_runs
from browser.conftest import OpenPage
from browser.pages import (
    SPECKS,
    draw_all,
    find_chart,
    open_details,
    read_data,
)

Section = dict[str, Any]


@pytest.fixture(scope="module")
def page(open_for_module: OpenPage, committed: Path) -> Page:
    """Return the committed page, opened and drawn to its end."""
    opened = open_for_module(committed)
    open_details(opened, "details.more")
    draw_all(opened)
    return opened


@pytest.fixture(scope="module")
def data(page: Page) -> dict[str, Any]:
    """Return the document inside the page."""
    return read_data(page)


def count_by_seed(chart: Locator) -> dict[int, int]:
    """Return how many marks each seed has in a chart."""
    seeds: list[str] = chart.locator(SPECKS).evaluate_all(
        "marks => marks.map(mark => mark.dataset.seed)"
    )
    return {int(seed): seeds.count(seed) for seed in seeds}


def once_each(section: Section) -> dict[int, int]:
    """Return every seed of the ledger, once."""
    return dict.fromkeys((run.seed for run in read_runs(section)), 1)


def test_every_figure_is_drawn(page: Page) -> None:
    """Scrolling past is enough; none stays empty."""
    figures = page.locator("figure[data-chart]")
    drawn: list[str | None] = figures.evaluate_all("all => all.map(each => each.dataset.drawn)")
    assert len(drawn) > 50
    assert all(drawn)
    assert all(int(count or 0) > 1 for count in drawn)


def test_the_data_are_the_ledgers(data: dict[str, Any]) -> None:
    """Seeds, errors, fingerprints: each section's columns are those of the ledger's lines."""
    for section in data["sections"]:
        runs = read_runs(section)
        assert section["seeds"] == [run.seed for run in runs]
        for name in ("validation", "training"):
            assert section[f"{name}_errors"] == [
                [getattr(e, f"{name}_total") - getattr(e, f"{name}_correct") for e in run.epochs]
                for run in runs
            ]
        assert [outcome == "holds" for outcome in section["outcomes"]] == [
            run_holds(run, MNIST) for run in runs
        ]
        assert section["minima"] == [
            min(e.validation_correct for e in run.epochs[-MNIST.window :]) for run in runs
        ]


def test_every_ledger_line_is_on_the_page(data: dict[str, Any]) -> None:
    """No set of conditions of a current fingerprint is left out."""
    shown = {(s["iteration"], s["fingerprint"], s["conditions"]) for s in data["sections"]}
    assert len(shown) == len(data["sections"])
    assert sum(len(s["seeds"]) for s in data["sections"]) == sum(
        len(read_runs(section)) for section in data["sections"]
    )


@pytest.mark.parametrize("kind", ["strip", "accuracy", "best", "loss"])
def test_one_mark_for_each_seed(page: Page, data: dict[str, Any], kind: str) -> None:
    """Strip, accuracy, best epoch and loss have one mark a seed, by the ledger's count."""
    for section in data["sections"]:
        assert count_by_seed(find_chart(page, kind, section["anchor"])) == once_each(section)


def test_two_paths_decide_and_each_has_a_point_for_each_seed(
    page: Page, data: dict[str, Any]
) -> None:
    """The martingale chart: a path for HOLDS and one for FAILS, a point a seed on both."""
    for section in data["sections"]:
        chart = find_chart(page, "martingale", section["anchor"])
        assert chart.locator("svg .paths path, svg path.paths").count() == 2
        assert count_by_seed(chart) == dict.fromkeys(once_each(section), 2)


def _count_blocks(section: Section) -> int:
    return len(section["blocks"])


def _count_confusions(section: Section) -> int:
    return len(count_confusions(read_runs(section)))


@pytest.mark.parametrize(
    ("kind", "marks", "expected"),
    [
        ("confusion", "svg .cells rect", _count_confusions),
        ("network", "svg .layers rect", _count_blocks),
        ("sensitivity", "svg .cells rect", lambda section: len(section["sensitivity"])),
        ("thresholds", "svg .shares circle", lambda section: len(section["thresholds"])),
        ("rate", "svg .rates path, svg path.rates", lambda _: 1),
        ("accuracy", "svg .median path, svg path.median", lambda _: 1),
        ("accuracy", "svg .band path, svg path.band", lambda _: 1),
        ("loss", "svg .median path, svg path.median", lambda _: 2),
    ],
)
def test_marks_that_belong_to_no_seed(
    page: Page, data: dict[str, Any], kind: str, marks: str, expected: Callable[[Section], int]
) -> None:
    """A cell for each confusion, a rectangle for each block, a point for each threshold."""
    for section in data["sections"]:
        chart = find_chart(page, kind, section["anchor"])
        assert chart.locator(marks).count() == expected(section), section["anchor"]


def test_the_numbers_in_the_confusion_cells_are_the_ledgers(
    page: Page, data: dict[str, Any]
) -> None:
    """The document's confusions are the mistakes of every seed's last epoch, counted."""
    for section in data["sections"]:
        told = {(c["label"], c["predicted"]): c["count"] for c in section["confusions"]}
        assert told == dict(count_confusions(read_runs(section)))


def test_layers_of_the_network_carry_all_parameters(data: dict[str, Any]) -> None:
    """What the blocks say adds up to the parameters that the run recorded."""
    for section in data["sections"]:
        cost = read_runs(section)[0].cost
        assert sum(block["parameters"] for block in section["blocks"]) == cost.parameters


def test_charts_across_iterations(page: Page, data: dict[str, Any]) -> None:
    """A mean for each iteration with runs, a claim a diamond, a step an interval, a cell a case."""
    main = [section for section in data["sections"] if section["main"]]
    for kind in ("parameters", "macs"):
        assert find_chart(page, kind).locator("svg .means circle").count() == len(main)
        assert find_chart(page, kind).locator("svg .worst path").count() == len(main)
    assert find_chart(page, "parameters").locator("svg .claims path").count() == len(data["claims"])
    assert find_chart(page, "steps").locator("svg .intervals circle").count() == len(data["steps"])
    cells = sum(len(section["sensitivity"]) for section in main)
    assert find_chart(page, "variations").locator("svg .cells rect").count() == cells


def test_a_seed_lies_on_its_side_of_the_target(page: Page, data: dict[str, Any]) -> None:
    """In the strip what is right of the line is at or above the target, and nothing else."""
    for section in data["sections"]:
        chart = find_chart(page, "strip", section["anchor"])
        line, places = chart.evaluate(
            """each => {
              const centre = mark => { const box = mark.getBoundingClientRect();
                                       return box.left + box.width / 2; };
              const marks = [...each.querySelectorAll("svg [data-seed]")];
              return [centre(each.querySelector("svg .target line, svg line.target")),
                      Object.fromEntries(marks.map(mark => [mark.dataset.seed, centre(mark)]))];
            }"""
        )
        for run in read_runs(section):
            lowest = min(e.validation_correct for e in run.epochs[-MNIST.window :])
            reaches = lowest >= MNIST.required(10_000)
            assert (places[str(run.seed)] >= line - 0.5) == reaches, (section["anchor"], run.seed)


def test_a_higher_accuracy_is_drawn_higher(page: Page, data: dict[str, Any]) -> None:
    """In accuracy by epoch the heights of all points are in the order of their errors."""
    for section in data["sections"]:
        chart = find_chart(page, "accuracy", section["anchor"])
        heights = chart.evaluate("each => each.figure.items.map(({seed, py}) => [seed, py])")
        runs = {run.seed: iter(run.epochs) for run in read_runs(section)}
        pairs = [(next(runs[seed]).validation_correct, height) for seed, height in heights]
        pairs.sort()
        drawn = [height for _, height in pairs]
        assert drawn == sorted(drawn, reverse=True)
