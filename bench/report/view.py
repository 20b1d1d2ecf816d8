"""What the page shows: verdicts and findings turned into text, nothing decided or computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from msgspec import structs

from bench.analysis import speaks_of
from bench.challenges import dataset_option, title_dataset
from bench.figures import format_count
from bench.findings import Point, compare_consecutive, describe, find_front
from bench.iterations import Iteration
from bench.pictures import Pictures
from bench.records import Answer, Challenge
from bench.report.data import compose_data
from bench.report.document import write_data
from bench.report.exhibits import (
    Exhibit,
    exhibit_steps,
    exhibit_variations,
    list_frontier_exhibits,
)
from bench.report.findings import tabulate_comparisons
from bench.report.judged import Judged
from bench.report.sections import Section, compose_section
from bench.report.tables import Table
from bench.report.wording import SYMBOLS, format_exact_percent
from bench.run_table import tabulate
from bench.verdict import Verdict
from bench.verdict_table import write_markdown

MOST_SHOWN = 1_000
"""Runs of a section that are shown one by one: more lines than that are a blot, and slow."""

MOST_SHOWN_IN_ALL = 8_000
"""Runs of a page that are: they take 4.5 MB of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """What a reader must know before any number on the page."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole page as text, tables and the data of its charts."""

    title: str
    question: str
    rule: str
    warnings: tuple[Caution, ...]
    tally: tuple[str, ...]
    next_step: str | None
    sections: tuple[Section, ...]
    across: tuple[Exhibit, ...]
    summary: str
    data: Markup


def compose_page(
    verdicts: Sequence[Verdict],
    iterations: Sequence[Iteration],
    challenge: Challenge,
    pictures: Mapping[str, Pictures],
) -> Page:
    """Compose the page in the order of the verdicts; `pictures` are by digest of their dataset."""
    by_name = {iteration.name: iteration for iteration in iterations}
    dataset = title_dataset(challenge)
    places = [_place(verdicts, place) for place in range(len(verdicts))]
    most = share_page([len(each.evidence.runs) for each in verdicts if each.evidence])
    found = [
        _describe(verdict, by_name[verdict.iteration], *place, most)
        for verdict, place in zip(verdicts, places, strict=True)
    ]
    judged = [each for each in found if each]
    comparisons = compare_consecutive([each.evidence for each in judged], challenge)
    return Page(
        title=f"Drilldown: is it consistent on {dataset}?",
        question=_ask(challenge, dataset),
        rule=_explain_rule(challenge),
        warnings=_warn(challenge),
        tally=_tally([v for v, (_, main) in zip(verdicts, places, strict=True) if main]),
        next_step=None if judged else _next_step(challenge),
        sections=tuple(
            compose_section(
                verdict,
                by_name[verdict.iteration],
                each,
                anchor=anchor,
                main=main,
                pictures=pictures.get(each.evidence.dataset) if each else None,
            )
            for verdict, (anchor, main), each in zip(verdicts, places, found, strict=True)
        ),
        across=_list_across(judged, tabulate_comparisons(comparisons, challenge), challenge),
        summary=write_markdown(verdicts),
        data=write_data(compose_data(judged, comparisons, _find_fronts(judged), challenge)),
    )


def _place(verdicts: Sequence[Verdict], place: int) -> tuple[str, bool]:
    """Return the anchor of a verdict, and whether it is the first of its iteration."""
    name = verdicts[place].iteration
    earlier = sum(verdict.iteration == name for verdict in verdicts[:place])
    return (f"{name}-{earlier + 1}", False) if earlier else (name, True)


def share_page(runs: Sequence[int]) -> int:
    """Return how many runs at most a section shows one by one, of as many as each has."""
    most = MOST_SHOWN
    while most > 1 and sum(min(each, most) for each in runs) > MOST_SHOWN_IN_ALL:
        most = most * 9 // 10
    return most


def _describe(
    verdict: Verdict, iteration: Iteration, anchor: str, main: bool, most: int
) -> Judged | None:
    narrative = iteration.narrative
    if verdict.evidence is None:
        return None
    evidence = structs.replace(verdict.evidence, runs=tabulate(verdict.evidence.runs))
    return Judged(
        anchor=anchor,
        main=main,
        verdict=verdict,
        iteration=iteration,
        evidence=evidence,
        findings=describe(
            evidence,
            verdict.challenge,
            narrative.claim if speaks_of(narrative, verdict.challenge) else None,
            most,
        ),
    )


def _find_fronts(judged: Sequence[Judged]) -> dict[str, tuple[str, ...]]:
    """Return the anchors of the iterations that no other beats at their parameters or MACs."""
    fronts = {}
    for cost in ("parameters", "macs"):
        points = [
            Point(
                name=each.anchor,
                cost=getattr(each.evidence.runs[0].cost, cost),
                accuracy=each.findings.summary.window_accuracy.mean,
            )
            for each in judged
            if each.main and each.findings.summary.window_accuracy
        ]
        fronts[cost] = tuple(point.name for point in find_front(points))
    return fronts


def _list_across(
    judged: Sequence[Judged], comparisons: Table | None, challenge: Challenge
) -> tuple[Exhibit, ...]:
    exhibits = (
        *list_frontier_exhibits(judged, challenge),
        exhibit_steps(comparisons, challenge),
        exhibit_variations(judged),
    )
    return tuple(exhibit for exhibit in exhibits if exhibit is not None)


def _ask(challenge: Challenge, dataset: str) -> str:
    return (
        f"{format_exact_percent(challenge.target)} on {dataset} in every one of the last "
        f"{challenge.window} epochs, for at least {format_exact_percent(challenge.reliability)} "
        f"of seeds, within {challenge.epochs} epochs, in fewer than "
        f"{format_count(challenge.parameters)} parameters."
    )


def _explain_rule(challenge: Challenge) -> str:
    return (
        f"Decided with {format_exact_percent(challenge.confidence)} confidence by a rule that may "
        "be read after every seed. No run is dropped, and the best epoch never counts."
    )


def _warn(challenge: Challenge) -> tuple[Caution, ...]:
    if not challenge.demonstration:
        return ()
    return (
        Caution(
            title="A demonstration, not MNIST",
            text="These are the digits that scikit-learn carries: 1,797 small images, with a "
            "target of their own. They say nothing about MNIST, and a recipe made for MNIST may "
            "fail on them: weights averaged over hundreds of steps have hardly begun to move when "
            "so short a training is over. For MNIST, put its four files into "
            "`data/MNIST/raw`, or name their folder with `--data DIR`, and run "
            "`bench run --dataset mnist`.",
        ),
    )


def _tally(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    count = Counter(verdict.answer for verdict in verdicts)
    return tuple(f"{count[answer]} {SYMBOLS[answer]} {answer}" for answer in Answer)


def _next_step(challenge: Challenge) -> str:
    return f"There are no runs to judge yet. Run `bench run{dataset_option(challenge)}`."
