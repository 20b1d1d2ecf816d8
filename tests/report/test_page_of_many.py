"""The page of more runs than it shows one by one: some of them drawn, and figures of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from random import Random
from statistics import median
from typing import Any

import numpy as np
import pytest
from builders import MACHINE, make_diverged, make_iteration, make_run
from msgspec.structs import replace
from page_reader import Element, find_charts, read_data

from bench.challenges import MNIST
from bench.evidence import run_holds, select_evidence
from bench.records import Mistake, Run
from bench.report.page import render_page
from bench.report.tables import tabulate_machines
from bench.report.view import share_page
from bench.report.wording import format_seeds
from bench.run_table import RunTable, tabulate
from bench.verdict import judge_all

RUNS = 3_000
SHOWN = 1_000


def draw_runs() -> list[Run]:
    """Return runs of four epochs around the target, of which every 500th diverged."""
    random = Random(9)
    runs = []
    for seed in range(RUNS):
        counts = [random.randint(9_900, 9_960) for _ in range(4)]
        wrong = [Mistake(n, n % 10, (n + 1) % 10) for n in random.sample(range(10_000), 5)]
        wrong.sort(key=lambda mistake: mistake.index)
        run = make_run(seed=seed, validation_correct=counts, mistakes=wrong)
        runs.append(make_diverged(seed=seed, epochs=2) if seed % 500 == 7 else run)
    return runs


PLANTED = draw_runs()


@pytest.fixture(scope="module")
def html() -> str:
    """Return the page."""
    iteration = make_iteration(epochs=4)
    verdicts = judge_all(select_evidence(PLANTED, iteration), iteration, MNIST)
    return render_page(verdicts, [iteration], MNIST)


@pytest.fixture(scope="module")
def section(html: str) -> dict[str, Any]:
    """Return the only section of its document."""
    (found,) = read_data(html)["sections"]
    return found


def lowest(run: Run) -> int:
    """Return the lowest count of a run's window; one without a window is below all."""
    finished = run.status == "finished"
    return min(e.validation_correct for e in run.epochs[-3:]) if finished else -1


def test_the_page_is_no_larger_than_one_of_a_thousand_seeds(html: str) -> None:
    """A page of eight thousand takes 4.5 MB: this one has an eighth of its runs."""
    assert len(html.encode()) < 2 << 20


def test_the_worst_and_even_ranks_of_the_others_are_shown(section: dict[str, Any]) -> None:
    """By hand: 250 worst of all, and of the other 2,750 by rank 750 from the first to the last."""
    ranked = sorted(PLANTED, key=lambda run: (lowest(run), run.seed))

    shown = section["seeds"]

    assert len(shown) == len(set(shown)) == SHOWN
    assert shown == sorted(shown)
    assert {run.seed for run in ranked[:250]} <= set(shown)
    assert ranked[-1].seed in shown
    ranks = sorted(place for place, run in enumerate(ranked) if run.seed in set(shown))
    gaps = {after - before for before, after in pairwise(ranks[250:])}
    assert gaps == {3, 4}


def test_a_shown_run_is_shown_as_it_is(section: dict[str, Any]) -> None:
    """Errors and outcome of a place are those of the seed of that place."""
    for seed, errors, outcome in zip(
        section["seeds"], section["validation_errors"], section["outcomes"], strict=True
    ):
        run = PLANTED[seed]
        assert errors == [10_000 - epoch.validation_correct for epoch in run.epochs]
        expected = "holds" if run_holds(run, MNIST) else "misses"
        assert outcome == ("diverged" if run.status == "diverged" else expected)


def test_bands_thresholds_and_confusions_are_of_all_runs(section: dict[str, Any]) -> None:
    """Counted anew, run by run."""
    assert section["runs"] == RUNS
    for place, band in enumerate(section["bands"]):
        epoch = [r.epochs[place].validation_correct for r in PLANTED if len(r.epochs) > place]
        assert (band["runs"], band["median"]) == (len(epoch), median(epoch))
        assert band["lower"] == sorted(epoch)[len(epoch) // 20]
        assert band["upper"] == sorted(epoch)[-1 - len(epoch) // 20]
    for step in section["thresholds"]:
        threshold = Fraction(step["threshold"]).limit_denominator(10_000) * 10_000
        above = sum(lowest(run) >= threshold for run in PLANTED)
        assert step["of"] == f"{above} of 3,000 seeds"
    finished = [run for run in PLANTED if run.status == "finished"]
    pairs = Counter((m.label, m.predicted) for run in finished for m in run.mistakes[-1])
    assert {(c["label"], c["predicted"]): c["count"] for c in section["confusions"]} == pairs


def test_the_ratios_are_those_after_the_runs_that_they_name(section: dict[str, Any]) -> None:
    """The first and the last are there, and where the rule decided; each is that of its prefix."""
    iteration = make_iteration(epochs=4)
    (verdict,) = judge_all(select_evidence(PLANTED, iteration), iteration, MNIST)
    decision, paths = verdict.reliable, section["paths"]

    assert decision is not None
    assert paths["after"][0] == 1
    assert paths["after"][-1] == RUNS
    assert decision.decided_after in paths["after"]
    assert len(paths["after"]) <= SHOWN + 2
    assert paths["holds"] == [decision.log_holds[runs - 1] for runs in paths["after"]]
    assert paths["fails"] == [decision.log_fails[runs - 1] for runs in paths["after"]]


def test_it_says_which_runs_are_shown_and_where_all_are(
    html: str, read: Callable[[str], Element]
) -> None:
    """In the words of every chart that draws seeds, and above the table of runs."""
    told = "1,000 of 3,000 seeds, the 250 worst and others at even ranks"
    document = read(html)

    for kind in ("strip", "accuracy", "best", "loss"):
        (chart,) = find_charts(document, kind)
        assert told in chart.attributes["data-description"]
    assert f"downloaded are {told}" in html
    assert "<code>bench export</code> writes each" in html
    assert "<h3>Every run</h3>" not in html


def test_machines_are_told_apart_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their first seeds, which are read once and not anew for each machine."""
    names = [f"machine {(seed * seed) % 7}" for seed in range(60)]
    runs = tabulate(
        make_run(seed=seed, machine=replace(MACHINE, device=name))
        for seed, name in enumerate(names)
    )
    looks: list[int] = []
    monkeypatch.setattr(RunTable, "seeds", property(lambda _: looks.append(1) or np.arange(60)))

    rows = tabulate_machines(runs).rows

    assert len(looks) == 1
    assert [(row[0], row[-1]) for row in rows] == [
        (name, format_seeds([seed for seed in range(60) if names[seed] == name]))
        for name in dict.fromkeys(names)
    ]


@pytest.mark.parametrize(
    ("runs", "most"),
    [
        ([], 1_000),
        ([1_000] * 8, 1_000),
        ([1_000] + [10] * 100, 1_000),
        ([1_000_000], 1_000),
        ([1_000] * 9, 810),
        ([5] * 9_000, 1),
    ],
)
def test_sections_share_the_page(runs: list[int], most: int) -> None:
    """No section is cut while all fit; then the large ones are, and each shows one run at least."""
    assert share_page(runs) == most
    assert sum(min(each, most) for each in runs) <= max(8_000, len(runs))
