"""Laws of the page: no figure is rounded across the target, and one ledger gives one page."""

from __future__ import annotations

import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import planted_runs
import pytest
from builders import make_iteration, make_run, make_verdict
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from page_reader import Element, find_charts, read_data, read_page

import bench
from bench.challenges import MNIST
from bench.figures import format_accuracy, format_percent
from bench.findings import Interval, Spread
from bench.ledger import ledger_path
from bench.records import Challenge, Conditions, Run
from bench.report.page import render_page
from bench.report.wording import format_interval, format_percentile, format_spread

ROOT = Path(bench.__file__).parent.parent
CONFIDENCE = Fraction("0.95")

totals = st.sampled_from([10_000, 360, 359, 1_797, 999_999, 1_000_000]) | st.integers(1, 100_000)
targets = st.integers(5_000, 9_999).map(lambda n: Fraction(n, 10_000))
"""Targets of at most two decimals in per cent, as every figure on the page has."""


def read_figures(text: str) -> list[Fraction]:
    """Return every percentage in a text, as the proportion that a reader takes it for."""
    return [Fraction(Decimal(number)) / 100 for number in re.findall(r"(\d+(?:\.\d+)?)\s%", text)]


def read_first(text: str) -> Fraction:
    return read_figures(text)[0]


@st.composite
def near_targets(draw: st.DrawFn) -> tuple[Fraction, Fraction]:
    """Return a target and an accuracy near it: a count, or a mean or median of several counts."""
    target, total = draw(targets), draw(totals)
    required = math.ceil(target * total)
    steps = st.integers(-3, 3).map(lambda step: min(max(required + step, 0), total))
    counts = draw(st.lists(steps, min_size=1, max_size=6))
    return target, Fraction(sum(counts), total * len(counts))


WRITERS: dict[str, Callable[[Fraction], str]] = {
    "accuracy": lambda value: format_accuracy(value.numerator, value.denominator),
    "percent": format_percent,
    "three decimals": lambda value: format_percent(value, decimals=3),
    "mean": lambda value: format_interval(
        Interval(mean=value, lower=0.5, upper=1.0), confidence=CONFIDENCE
    ),
    "mean of one seed": lambda value: format_interval(
        Interval(mean=value, lower=None, upper=None), confidence=CONFIDENCE
    ),
    "lowest": lambda value: format_spread(
        Spread(seeds=2, lowest=value, highest=Fraction(1), deviation=None)
    ),
    "highest": lambda value: format_spread(
        Spread(seeds=2, lowest=value, highest=value, deviation=None)
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=60)
@given(pair=near_targets())
def test_no_writer_of_accuracies_lifts_one_to_the_target(
    writer: str, pair: tuple[Fraction, Fraction]
) -> None:
    """What is below the target reads as below it, and what is at or above it does not."""
    target, accuracy = pair

    shown = read_first(WRITERS[writer](accuracy))

    assert (shown < target) == (accuracy < target)


@given(share=st.fractions(0, 1), threshold=st.integers(0, 1_000))
def test_a_share_with_one_decimal_never_reads_as_a_rounder_one(
    share: Fraction, threshold: int
) -> None:
    """Of tenths of a per cent: a chance below 90.0 % is not shown at it."""
    limit = Fraction(threshold, 1_000)

    assert (read_first(format_percentile(share)) < limit) == (share < limit)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A challenge and the counts of some seeds, all of them below its target, or none."""

    challenge: Challenge
    total: int
    counts: list[list[int]]
    below: bool

    @property
    def runs(self) -> list[Run]:
        return [
            make_run(
                seed=seed,
                validation_correct=counts,
                total=self.total,
                challenge=self.challenge,
                mistakes=(),
            )
            for seed, counts in enumerate(self.counts)
        ]

    def render(self) -> str:
        iteration = make_iteration(claim=None, analysis=("Nothing.",))
        verdict = make_verdict(self.runs, iteration, self.challenge)
        return render_page([verdict], [iteration], self.challenge)


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    target, total = draw(targets), draw(totals.filter(lambda total: total > 100))
    required, below = math.ceil(target * total), draw(st.booleans())
    nearest = st.integers(0, 3).map(
        lambda step: required - 1 - step if below else min(required + step, total)
    )
    counts = draw(st.lists(st.lists(nearest, min_size=3, max_size=3), min_size=1, max_size=4))
    return Scored(challenge=replace(MNIST, target=target), total=total, counts=counts, below=below)


def find_fact(document: Element, label: str) -> str:
    """Return the last value with a label: measured ones come after claimed ones."""
    lines = [d for d in document.find_all("div") if [t.text for t in d.find_all("dt")] == [label]]
    return lines[-1].find_all("dd")[0].text


@settings(max_examples=20)  # each renders a page
@given(case=scored())
def test_no_figure_of_a_page_is_rounded_across_its_target(case: Scored) -> None:
    """All seeds are below the target in every epoch, or none is: so says every accuracy shown."""
    document = read_page(case.render())
    target = case.challenge.target
    (strip,), (card,) = find_charts(document, "strip"), document.find_all("article", "card")
    (thresholds,) = [t for t in document.find_all("table") if "Threshold" in t.text] or [None]
    shown = [
        read_first(find_fact(card, "Worst seed")),
        read_first(find_fact(document, "Worst seed at its lowest")),
        read_first(find_fact(document, "Mean of the last 3 epochs")),
        *read_figures(find_fact(document, "Best validation accuracy")),
        read_figures(strip.attributes["data-description"])[-1],
    ]
    if thresholds:
        rows = thresholds.find_all("tr")[1:]
        shown += [read_first(row.text) for row in rows if not row.text.endswith("target")]

    assert [figure < target for figure in shown] == [case.below] * len(shown)


def cut(correct: float, images: int, decimals: int) -> Fraction:
    """Return what the page's script makes of a count, by the same floating-point operations."""
    scale = 10**decimals
    return Fraction(Decimal(f"{math.floor((correct * 100 * scale) / images) / scale:.{decimals}f}"))


@settings(max_examples=20)  # each renders a page
@given(case=scored())
def test_no_count_in_the_data_lies_across_the_target(case: Scored) -> None:
    """Minima, bests, medians and bands are counts, which a script can cut off and never lifts."""
    (section,) = read_data(case.render())["sections"]
    target, images = case.challenge.target, section["images"]
    counts = [
        *section["minima"],
        *section["bests"],
        *(images - wrong for errors in section["validation_errors"] for wrong in errors),
        *(band[name] for band in section["bands"] for name in ("lower", "median", "upper")),
        section["worst"],
    ]

    assert [Fraction(n) / images < target for n in counts] == [case.below] * len(counts)
    for decimals in (2, 3):
        figures = [cut(n, images, decimals) / 100 for n in counts]
        assert [figure < target for figure in figures] == [case.below] * len(figures)


GPU = Conditions(device="cuda sm_90", precision="fp32", engine="stacked", torch="2.13", block=2)


def list_runs() -> list[Run]:
    """Return runs of three iterations, of unlike conditions, with stale and tuning ones."""
    runs = planted_runs.make_runs(range(4))
    runs += planted_runs.make_runs(range(4), conditions=GPU)
    runs += planted_runs.make_runs((0, 1_000_000), fingerprint="0" * 64)
    for number in (1, 2):
        iteration = planted_runs.read_iteration(planted_runs.MODELS / f"iteration_{number}.py")
        runs += planted_runs.make_runs(range(3), iteration=iteration, final=planted_runs.LUCKY)
    return runs


def render_in_a_fresh_process(folder: Path, runs: Iterable[Run], hash_seed: int) -> bytes:
    """Return the page that `bench report` writes of a ledger with these runs, line by line."""
    folder.mkdir()
    planted_runs.plant_ledger(folder / "ledger", runs)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "report", "--ledger", "ledger", "--page", "page.html"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ledger_path(folder / "ledger", "mnist", "iteration_4").is_file()
    return (folder / "page.html").read_bytes()


def test_one_ledger_gives_one_page_whatever_the_order_of_its_lines(tmp_path: Path) -> None:
    """Byte for byte, in fresh processes that order sets and dictionaries of hashes differently."""
    runs = list_runs()
    orders = [runs, runs[::-1], random.Random(7).sample(runs, len(runs))]

    pages = [
        render_in_a_fresh_process(tmp_path / str(seed), order, seed)
        for seed, order in enumerate(orders)
    ]

    assert len(read_data(pages[0].decode())["sections"]) == 4
    assert pages[1] == pages[0]
    assert pages[2] == pages[0]


@settings(max_examples=10)  # each renders two pages
@given(order=st.permutations(range(6)))
def test_the_order_of_runs_moves_nothing(order: list[int]) -> None:
    """In one process as well: two renderings of the same runs in any order are the same bytes."""
    runs = [make_run(seed=s, validation_correct=(9_930 + s, 9_950 - s, 9_940)) for s in range(6)]
    iteration = make_iteration()

    pages = [
        render_page([make_verdict(each, iteration)], [iteration], MNIST)
        for each in (runs, [runs[place] for place in order])
    ]

    assert pages[0] == pages[1]
