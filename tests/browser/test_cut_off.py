"""No run below the target is ever shown at it: percentages are cut off, wherever they are."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from builders import make_iteration, make_run
from playwright.sync_api import Page

from bench.challenges import MNIST
from browser.conftest import OpenPage
from browser.pages import cut_percent, draw_all, open_details, write_planted
from browser.planted import EPOCHS, plant_close

TOTALS = (10_000, 360, 1_797, 9_999)
TARGET = "99.40"
CLAIMED = re.compile(r"99\.40 % in the (best epoch|worst of)[^\n]*")
"""What others claimed in public of networks of their own."""

READ = """() => {
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const tips = figures.flatMap(({ figure }) => figure.items.map(({ text }) => text));
  const labels = [...document.querySelectorAll("[aria-label], [data-description]")]
    .flatMap(each => [each.getAttribute("aria-label"), each.dataset.description]);
  return [document.body.innerText, ...tips, ...labels.filter(Boolean)];
}"""


def read_everything(page: Page) -> list[str]:
    """Return all texts of a page: shown, in tooltips, in labels; with everything open."""
    open_details(page)
    draw_all(page)
    page.wait_for_timeout(200)
    texts: list[str] = page.evaluate(READ)
    return texts


@pytest.mark.parametrize("total", TOTALS)
def test_runs_just_below_the_target_are_never_shown_at_it(
    open_page: OpenPage, tmp_path: Path, total: int
) -> None:
    """Two dozen seeds of 15 epochs, each count below the target by an image or a few."""
    path = write_planted(tmp_path / "close.html", plant_close(total, MNIST.required(total)))
    texts = [CLAIMED.sub("", text) for text in read_everything(open_page(path))]
    assert [text[max(0, text.find(TARGET) - 99) :][:200] for text in texts if TARGET in text] == []


@pytest.mark.parametrize("total", TOTALS)
def test_every_count_around_the_target_is_cut_off(
    open_page: OpenPage, tmp_path: Path, total: int
) -> None:
    """Tooltips of accuracy by epoch are what integer arithmetic gives, on both sides."""
    random = Random(-total)
    required = MNIST.required(total)
    counts = [min(total, required + random.randint(-40, 40)) for _ in range(20 * EPOCHS)]
    counts[:3] = required - 1, required, total
    runs = [
        make_run(
            seed=seed,
            validation_correct=counts[seed * EPOCHS : (seed + 1) * EPOCHS],
            total=total,
            mistakes=(),
        )
        for seed in range(20)
    ]
    page = open_page(write_planted(tmp_path / "around.html", [(make_iteration(), runs)]))
    draw_all(page)
    tips: list[str] = page.locator('figure[data-chart="accuracy"]').evaluate(
        "each => each.figure.items.map(({ text }) => text)"
    )
    pattern = re.compile(r"Seed (\d+) \([^)]*\): epoch (\d+), (.*?), training")
    told = {}
    for tip in tips:
        match = pattern.match(tip)
        assert match, tip
        told[int(match[1]) * EPOCHS + int(match[2]) - 1] = match[3]
    assert told == {at: cut_percent(count, total) for at, count in enumerate(counts)}
