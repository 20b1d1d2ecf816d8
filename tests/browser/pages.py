"""Pages to open, and what a test does on one: draw, point, read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, Request

from bench.challenges import MNIST
from bench.evidence import select_evidence
from bench.iterations import Iteration
from bench.records import Challenge, Run
from bench.report.page import render_page, write_page
from bench.verdict import judge_all

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SPECKS = "svg [data-seed]"
"""What a chart draws of single seeds."""


@dataclass(kw_only=True)
class Noise:
    """What a page should not do: complain, fail, ask, or send for anything but itself."""

    address: str
    heard: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Hear a page from its first byte on."""
        page.on("console", self._hear)
        page.on("pageerror", self._fail)
        page.on("request", self._see)
        page.on("dialog", self._dismiss)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(f"console {message.type}: {message.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.heard.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _fail(self, error: Error) -> None:
        self.heard.append(f"page error: {error}")

    def _see(self, request: Request) -> None:
        if request.url.split("#")[0] != self.address and not request.url.startswith(
            ("data:", "blob:")
        ):
            self.heard.append(f"request: {request.url[:200]}")


def write_planted(
    path: Path, planted: Iterable[tuple[Iteration, Sequence[Run]]], challenge: Challenge = MNIST
) -> Path:
    """Judge planted runs of iterations, write their page and return its path."""
    pairs = list(planted)
    verdicts = [
        verdict
        for iteration, runs in pairs
        for verdict in judge_all(select_evidence(runs, iteration), iteration, challenge)
    ]
    write_page(path, render_page(verdicts, [iteration for iteration, _ in pairs], challenge))
    return path


def read_data(page: Page) -> dict[str, Any]:
    """Return the document that the page's charts are drawn from."""
    data: dict[str, Any] = page.evaluate("JSON.parse(document.getElementById('data').textContent)")
    return data


def open_details(page: Page, selector: str = "details") -> None:
    """Open what is folded."""
    page.evaluate(
        "selector => document.querySelectorAll(selector).forEach(each => { each.open = true })",
        selector,
    )


def draw_all(page: Page) -> None:
    """Scroll every chart and every table of runs into view, as a reader would, and back up."""
    page.evaluate(
        """async () => {
          const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
          const late = "figure[data-chart]:not([data-drawn]), [data-runs]:empty";
          for (const each of document.querySelectorAll(late)) {
            if (!each.checkVisibility()) continue;
            each.scrollIntoView({behavior: "instant"});
            await frame();
          }
          for (let tries = 0; tries < 50; tries++) {
            const left = [...document.querySelectorAll(late)];
            const next = left.find(each => each.checkVisibility());
            if (!next) break;
            next.scrollIntoView({behavior: "instant"});
            await frame();
          }
          scrollTo({top: 0, behavior: "instant"});
        }"""
    )


def find_chart(page: Page, kind: str, anchor: str = "") -> Locator:
    """Return the figure of a chart; those across iterations have no anchor."""
    return page.locator(f'figure[data-chart="{kind}"][data-section="{anchor}"]')


def bring_into_view(element: Locator, block: Literal["start", "center"] = "start") -> None:
    """Scroll to an element, and wait until the page was told of it: scrolling hides the tooltip."""
    element.evaluate(
        """async (each, block) => {
          each.scrollIntoView({block, behavior: "instant"});
          for (let n = 0; n < 2; n++) await new Promise(requestAnimationFrame);
        }""",
        block,
    )


def draw_chart(page: Page, kind: str, anchor: str = "") -> Locator:
    """Bring one chart into view, and return it drawn."""
    chart = find_chart(page, kind, anchor)
    bring_into_view(chart, "center")
    chart.locator(".plot > svg").wait_for()
    return chart


def list_items(chart: Locator) -> list[dict[str, Any]]:
    """Return what can be pointed at: text, seed, and position in pixels of the window."""
    items: list[dict[str, Any]] = chart.evaluate(
        """each => {
          const { svg, items } = each.figure;
          const box = svg.getBoundingClientRect();
          const factor = box.width / svg.viewBox.baseVal.width;
          return items.map(({ text, seed, px, py }) =>
            ({ text, seed: seed ?? null, x: box.left + px * factor, y: box.top + py * factor }));
        }"""
    )
    return items


def choose_lonely(items: Sequence[dict[str, Any]], seed: int | None = None) -> dict[str, Any]:
    """Return the item farthest from all others, of a seed if one is named."""
    wanted = [item for item in items if seed is None or item["seed"] == seed]

    def distance(item: dict[str, Any]) -> float:
        others = (other for other in items if other is not item)
        return min(
            ((o["x"] - item["x"]) ** 2 + (o["y"] - item["y"]) ** 2 for o in others), default=0
        )

    return max(wanted, key=distance)


def point_at(page: Page, item: dict[str, Any]) -> None:
    """Move the pointer onto an item."""
    page.mouse.move(item["x"], item["y"])


def list_lit(page: Page) -> dict[str, list[int]]:
    """Return the seeds that are lit in each chart and table of runs, without those that have none.

    A chart is named `kind section`, a table `runs section`.
    """
    lit: dict[str, list[int]] = page.evaluate(
        """() => {
          const list = (space, marks, read) =>
            [...new Set([...space.querySelectorAll(marks)].map(mark => Number(read(mark))))];
          const charts = [...document.querySelectorAll("figure[data-chart]")].map(each =>
            [`${each.dataset.chart} ${each.dataset.section}`,
             list(each, "svg .on", mark => mark.dataset.seed)]);
          const tables = [...document.querySelectorAll("[data-runs]")].map(each =>
            [`runs ${each.dataset.runs}`,
             list(each, "tbody tr.on", row => row.cells[0].textContent)]);
          return Object.fromEntries([...charts, ...tables].filter(([, lit]) => lit.length));
        }"""
    )
    return lit


def read_table(space: Locator) -> list[list[str]]:
    """Return the cells of the table inside an element, its headings first."""
    rows: list[list[str]] = space.locator("table").evaluate(
        "table => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return rows


def cut_percent(correct: int, total: int) -> str:
    """Return an accuracy with two decimals, cut off, by integers alone."""
    hundredths = correct * 10_000 // total
    return f"{hundredths // 100}.{hundredths % 100:02d}\u00a0%"


def list_cut_off(page: Page) -> list[str]:
    """Return the visible texts that no scrolling brings into view: outside of what holds them.

    What holds a text is the nearest element that scrolls sideways, else the window.
    """
    cut: list[str] = page.evaluate(
        """() => {
          const scrolls = each => /auto|scroll/.test(getComputedStyle(each).overflowX);
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          const range = document.createRange();
          const cut = [];
          for (let node; (node = walker.nextNode());) {
            const parent = node.parentElement;
            if (!node.data.trim() || !parent.checkVisibility({visibilityProperty: true})) continue;
            if (parent.closest("script, style, .unseen, .skip, [hidden]")) continue;
            let holder = parent;
            while (holder && !scrolls(holder)) holder = holder.parentElement;
            const frame = holder?.getBoundingClientRect();
            const left = holder ? frame.left - holder.scrollLeft : 0;
            const right = holder ? left + holder.scrollWidth : innerWidth;
            range.selectNodeContents(node);
            for (const box of range.getClientRects())
              if (box.width && (box.left < left - 1 || box.right > right + 1)) {
                const at = `${Math.round(box.left - left)} to ${Math.round(box.right - left)}`;
                const room = Math.round(right - left);
                const where = parent.closest("figure")?.dataset.chart ?? parent.tagName;
                cut.push(`${where}: "${node.data.trim().slice(0, 60)}" ${at} of ${room}`);
                break;
              }
          }
          return cut;
        }"""
    )
    return cut
