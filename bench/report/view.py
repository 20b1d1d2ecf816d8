"""What the page shows: verdicts and findings turned into text, nothing decided or computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import format_count
from bench.findings import compare_consecutive
from bench.iterations import Iteration
from bench.records import Answer, Challenge
from bench.report.findings import tabulate_comparisons
from bench.report.sections import Section, compose_section, dataset_option
from bench.report.tables import Table
from bench.report.wording import (
    SYMBOLS,
    format_exact_percent,
)
from bench.verdict import Verdict

DATASETS = {"mnist": "MNIST", "digits": "the embedded digits"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """What a reader must know before any number on the page."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole page as text and tables."""

    title: str
    question: str
    rule: str
    warnings: tuple[Caution, ...]
    tally: tuple[str, ...]
    next_step: str | None
    comparisons: Table | None
    sections: tuple[Section, ...]


def compose_page(
    verdicts: Sequence[Verdict],
    iterations: Sequence[Iteration],
    challenge: Challenge,
) -> Page:
    """Compose the page in the order of the verdicts."""
    by_name = {iteration.name: iteration for iteration in iterations}
    several = {name for name, n in Counter(v.iteration for v in verdicts).items() if n > 1}
    dataset = DATASETS.get(challenge.dataset, challenge.dataset)
    return Page(
        title=f"Drilldown: is it consistent on {dataset}?",
        question=_ask(challenge, dataset),
        rule=_explain_rule(challenge),
        warnings=_warn(challenge),
        tally=_tally(verdicts),
        next_step=_next_step(verdicts, challenge),
        comparisons=_compare(verdicts, challenge),
        sections=tuple(
            compose_section(
                verdict,
                by_name[verdict.iteration],
                anchor=_anchor(verdicts, place),
                conditions_in_title=verdict.iteration in several,
            )
            for place, verdict in enumerate(verdicts)
        ),
    )


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
            "target of their own. They say nothing about MNIST. For MNIST, put its four files into "
            "`data/MNIST/raw`, or name their folder with `--data DIR`, and run "
            "`bench run --dataset mnist`.",
        ),
    )


def _tally(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    count = Counter(verdict.answer for verdict in verdicts)
    return tuple(f"{count[answer]} {SYMBOLS[answer]} {answer}" for answer in Answer)


def _next_step(verdicts: Sequence[Verdict], challenge: Challenge) -> str | None:
    if any(verdict.evidence for verdict in verdicts):
        return None
    return f"There are no runs to judge yet. Run `bench run{dataset_option(challenge)}`."


def _compare(verdicts: Sequence[Verdict], challenge: Challenge) -> Table | None:
    evidence = [verdict.evidence for verdict in verdicts if verdict.evidence]
    return tabulate_comparisons(compare_consecutive(evidence, challenge), challenge)


def _anchor(verdicts: Sequence[Verdict], place: int) -> str:
    name = verdicts[place].iteration
    earlier = sum(verdict.iteration == name for verdict in verdicts[:place])
    return f"{name}-{earlier + 1}" if earlier else name
