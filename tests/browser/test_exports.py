"""What a reader takes away: CSV, JSON, the badge, Markdown."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

from evidence_digest import read_verdicts
from playwright.sync_api import Page

from bench.verdict_table import write_markdown
from browser.committed import read_runs
from browser.conftest import OpenPage
from browser.pages import read_data

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def download(page: Page, name: str, folder: Path) -> Path:
    """Press the button of a download and return the file."""
    with page.expect_download() as waiting:
        page.locator(f'button[data-download="{name}"]').first.click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_csv_has_the_ledgers_counts(open_page: OpenPage, committed: Path, tmp_path: Path) -> None:
    """One row a run and epoch, in order; every count that of the ledger, losses to 5 decimals."""
    page = open_page(committed)
    path = download(page, "csv", tmp_path)
    assert path.suffix == ".csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [
        (section, run, number, epoch)
        for section in read_data(page)["sections"]
        for run in read_runs(section)
        for number, epoch in enumerate(run.epochs, start=1)
    ]
    for row, (section, run, number, epoch) in zip(rows, expected, strict=True):
        for name in ("iteration", "conditions", "fingerprint"):
            assert row[name] == section[name]
        assert (int(row["seed"]), int(row["epoch"])) == (run.seed, number)
        for name in (
            "validation_correct", "validation_total", "training_correct", "training_total"
        ):  # fmt: skip
            assert row[name] == str(getattr(epoch, name))
        for name in ("validation_loss", "training_loss"):
            assert float(row[name]) == round(getattr(epoch, name), 5)


def test_json_is_the_pages_data(open_page: OpenPage, committed: Path, tmp_path: Path) -> None:
    """The file is the document that the charts are drawn from."""
    page = open_page(committed)
    path = download(page, "json", tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == read_data(page)


def test_the_badge_is_an_image(open_page: OpenPage, committed: Path, tmp_path: Path) -> None:
    """Well-formed XML by itself, and a browser shows it at its size."""
    page = open_page(committed)
    path = download(page, "badge", tmp_path)
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "consistently" in "".join(root.itertext())
    alone = open_page(committed)
    sizes = alone.evaluate(
        """async text => {
          const image = new Image();
          image.src = "data:image/svg+xml," + encodeURIComponent(text);
          await image.decode();
          return [image.naturalWidth, image.naturalHeight];
        }""",
        path.read_text(encoding="utf-8"),
    )
    assert sizes == [int(root.attrib["width"]), int(root.attrib["height"])]


def test_the_markdown_summary_is_copied(open_page: OpenPage, committed: Path) -> None:
    """The clipboard has the same table that `bench judge` would write."""
    page = open_page(committed, **CLIPBOARD)
    page.get_by_role("button", name="Copy Markdown summary").click()
    page.locator("#said", has_text="Copied").wait_for(state="attached")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip().splitlines() == write_markdown(read_verdicts()).splitlines()


def test_the_command_of_all_runs_is_copied(open_page: OpenPage, committed: Path) -> None:
    """The button beside it copies what is shown, and no more."""
    page = open_page(committed, **CLIPBOARD)
    page.locator('button[data-copy-from="iteration_4-command"]').click()
    page.locator("#said", has_text="Copied").wait_for(state="attached")
    shown = page.locator("#iteration_4-command").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert shown.startswith("bench run iteration_4")
