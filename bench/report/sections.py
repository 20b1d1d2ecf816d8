"""One section of the page: a verdict and its findings turned into text, nothing computed."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from fractions import Fraction

from bench.analysis import Mark, Sentence, analyse, speaks_of
from bench.challenges import DATASETS, name_class, name_kind, title_dataset
from bench.consistency import Decision
from bench.evidence import Evidence
from bench.figures import format_accuracy, format_count, format_percent, format_seconds
from bench.findings import Difficulty, Findings, Summary, WorstSeed
from bench.iterations import Iteration
from bench.pictures import Pictures
from bench.records import Answer, Challenge, Cost, Status
from bench.report.badge import describe_badge, draw_badge
from bench.report.commands import write_commands
from bench.report.exhibits import (
    Exhibit,
    exhibit_accuracy,
    exhibit_confusion,
    exhibit_network,
    exhibit_sensitivity,
    exhibit_strip,
    list_exhibits,
)
from bench.report.findings import (
    SHOWN_IMAGES,
    caption_hard_images,
    describe_first,
    describe_sampling,
    tabulate_digits,
)
from bench.report.judged import Judged, describe_shown
from bench.report.tables import (
    Table,
    tabulate_claim,
    tabulate_decision,
    tabulate_machines,
    tabulate_recipe,
    tabulate_uncounted,
)
from bench.report.wording import (
    ABSENT,
    SYMBOLS,
    format_exact_percent,
    format_gap,
    format_interval,
    format_number,
    format_points,
    format_seeds,
    format_spread,
    name_iteration,
)
from bench.run_table import find_distinct, tabulate
from bench.verdict import Budget, Verdict
from models.recipe import Claim, Narrative, Recipe

MARKED = {
    Mark.CONFIRMED: Answer.HOLDS,
    Mark.CONTRADICTED: Answer.FAILS,
    Mark.UNDECIDED: Answer.UNDECIDED,
}
"""A sentence is marked with the symbols and colours of the verdicts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One line of a description list; `code` values are set in a fixed-width face."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Badge:
    """An answer as symbol and word, so that colour is never alone."""

    symbol: str
    word: str
    style: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A sentence of the analysis, with its mark and figure where the runs can answer it."""

    text: str
    badge: Badge | None
    figure: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One verdict at a glance; `title` is what the iteration adds."""

    anchor: str
    name: str
    title: str
    conditions: str
    badge: Badge
    why: str
    facts: tuple[Fact, ...]
    strip: Exhibit | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A validation image that most seeds get wrong; `source` is a data URL, where it is at hand."""

    title: str
    note: str
    source: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """What the runs of one iteration show, in the order of the page."""

    claim: Table | None
    accuracy: Exhibit | None
    exhibits: tuple[Exhibit, ...]
    decision: Table | None
    decision_facts: tuple[Fact, ...]
    sensitivity: Exhibit
    network: Exhibit | None
    cost_facts: tuple[Fact, ...]
    uncounted: Table | None
    noun: str
    pictures: tuple[Picture, ...]
    pictures_caption: str
    confusion: Exhibit | None
    digits: Table | None
    runs_title: str
    runs_caption: str
    machines: Table
    provenance: tuple[Fact, ...]
    reproduce: str
    badge: str
    badge_markdown: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """All there is on one verdict; `measurements` is `None` when there are no runs.

    `diagnosed` says that the analysis was made from the runs, since its author wrote none; `main`
    that no other conditions of this iteration have more runs.
    """

    card: Card
    main: bool
    target: tuple[str, ...]
    claimed: tuple[Fact, ...]
    claimed_on: str
    measured: tuple[Fact, ...]
    analysis: tuple[Line, ...]
    diagnosed: bool
    recipe: Table
    recipe_line: str
    measurements: Measurements | None


def compose_section(
    verdict: Verdict,
    iteration: Iteration,
    judged: Judged | None,
    *,
    anchor: str,
    main: bool,
    pictures: Pictures | None = None,
) -> Section:
    """Compose all there is to show on one verdict; `judged` is `None` when no run counts."""
    claim, findings = iteration.narrative.claim, judged.findings if judged else None
    challenge = verdict.challenge
    return Section(
        card=Card(
            anchor=anchor,
            name=name_iteration(iteration),
            title=iteration.narrative.title,
            conditions=str(judged.evidence.conditions) if judged else "",
            badge=_badge(verdict.answer),
            why=verdict.why,
            facts=_card_facts(verdict, findings.summary if findings else None),
            strip=exhibit_strip(judged, challenge) if judged else None,
        ),
        main=main,
        target=iteration.narrative.target,
        claimed=_claimed_facts(claim) if claim else (),
        claimed_on=_name_subject(iteration.narrative, challenge),
        measured=_measured_facts(judged.evidence, judged.findings, challenge) if judged else (),
        analysis=tuple(_line(s) for s in analyse(iteration.narrative, verdict, findings)),
        diagnosed=not iteration.narrative.analysis,
        recipe=tabulate_recipe(iteration.recipe),
        recipe_line=_describe_recipe(iteration.recipe),
        measurements=_compose_measurements(judged, pictures) if judged else None,
    )


def _describe_recipe(recipe: Recipe) -> str:
    kinds = f"{type(recipe.optimizer).__name__}, {type(recipe.schedule).__name__}"
    epochs = format_number(recipe.epochs, "epoch")
    return f"{kinds}, batches of {recipe.batch_size}, {epochs}, every setting"


def _badge(answer: Answer) -> Badge:
    return Badge(symbol=SYMBOLS[answer], word=str(answer), style=answer.lower())


def _line(sentence: Sentence) -> Line:
    if sentence.mark is None:
        return Line(text=sentence.text, badge=None, figure=None)
    answer = MARKED[sentence.mark]
    badge = Badge(symbol=SYMBOLS[answer], word=str(sentence.mark), style=answer.lower())
    return Line(text=sentence.text, badge=badge, figure=sentence.figure)


def _card_facts(verdict: Verdict, summary: Summary | None) -> tuple[Fact, ...]:
    facts = []
    if verdict.evidence and summary and verdict.budget:
        budget, cost = verdict.budget, verdict.evidence.runs[0].cost
        facts += [
            Fact(label="Seeds that hold", value=_of(summary.holding, summary.runs)),
            Fact(label="Worst seed", value=_describe_worst(summary.worst)),
            Fact(label="Parameters", value=_describe_parameters(budget)),
            Fact(label="MACs", value=format_count(cost.macs)),
        ]
        if budget.epochs > budget.epochs_allowed:
            facts.append(Fact(label="Epochs", value=f"{budget.epochs} > {budget.epochs_allowed}"))
    return (*facts, *_unused_runs(verdict))


def _describe_parameters(budget: Budget) -> str:
    relation = "<" if budget.parameters < budget.parameters_allowed else "≥"
    allowed = format_count(budget.parameters_allowed)
    return f"{format_count(budget.parameters)} {relation} {allowed}"


def _unused_runs(verdict: Verdict) -> list[Fact]:
    """Name every recorded run that does not count, so that none is left out in silence."""
    facts = []
    if verdict.stale:
        facts.append(
            Fact(label="Stale", value=f"{format_number(verdict.stale, 'run')} of other code")
        )
    if verdict.evidence and verdict.evidence.missing:
        facts.append(Fact(label="Missing seeds", value=format_seeds(verdict.evidence.missing)))
    if verdict.evidence and verdict.evidence.waiting:
        facts.append(Fact(label="Waiting seeds", value=format_seeds(verdict.evidence.waiting)))
    if verdict.tuning:
        facts.append(
            Fact(label="Tuning", value=f"{format_number(verdict.tuning, 'run')} never count")
        )
    return facts


def _of(part: int, whole: int) -> str:
    return f"{format_count(part)} of {format_count(whole)}"


def _describe_worst(worst: WorstSeed | None) -> str:
    if worst is None:
        return ABSENT
    if worst.correct is None or worst.total is None:
        reason = "diverged" if worst.status is Status.DIVERGED else "has no final window"
        return f"seed {worst.seed} {reason}"
    return f"{format_accuracy(worst.correct, worst.total)} (seed {worst.seed})"


def _claimed_facts(claim: Claim) -> tuple[Fact, ...]:
    facts = [
        Fact(label="Parameters", value=claim.parameters),
        Fact(label="Best training accuracy", value=_format_claimed(claim.training_accuracy)),
        Fact(label="Best validation accuracy", value=_format_claimed(claim.validation_accuracy)),
    ]
    if claim.epoch is not None:
        facts.append(Fact(label="Reached in epoch", value=str(claim.epoch)))
    return tuple(facts)


def _name_subject(narrative: Narrative, challenge: Challenge) -> str:
    """Return what an author's claim was made on."""
    if speaks_of(narrative, challenge):
        return title_dataset(challenge)
    known = DATASETS.get(narrative.about)
    return known.title if known else narrative.about


def _format_claimed(percent: float) -> str:
    return format_percent(Fraction(repr(percent)) / 100)


def _measured_facts(
    evidence: Evidence, findings: Findings, challenge: Challenge
) -> tuple[Fact, ...]:
    summary, level = findings.summary, challenge.confidence
    window = f"Mean of the last {challenge.window} epochs"
    optimism = ABSENT if summary.optimism is None else format_points(summary.optimism)
    return (
        Fact(label="Seeds that hold", value=_of(summary.holding, summary.runs)),
        Fact(label="Parameters", value=format_count(evidence.runs[0].cost.parameters)),
        Fact(
            label=window + _name_scored(summary),
            value=format_interval(summary.window_accuracy, confidence=level),
        ),
        Fact(label="Worst seed at its lowest", value=_describe_worst(summary.worst)),
        Fact(label="Best training accuracy", value=format_spread(summary.best_training)),
        Fact(label="Best validation accuracy", value=format_spread(summary.best_validation)),
        Fact(label="The best epoch flatters by", value=optimism),
        Fact(label="First at the target", value=describe_first(summary.first_epochs)),
        Fact(
            label=f"Trend per epoch in the last {challenge.window}",
            value=format_gap(summary.window_trend, confidence=level),
        ),
        Fact(
            label="Training minus validation, last epoch",
            value=format_gap(summary.training_gap, confidence=level),
        ),
        Fact(
            label="Other test sets of this size, at the mean accuracy",
            value=describe_sampling(findings.sampling, challenge),
        ),
    )


def _name_scored(summary: Summary) -> str:
    if summary.scored == summary.runs:
        return ""
    return f" (over {_of(summary.scored, summary.runs)} seeds)"


def _compose_measurements(judged: Judged, pictures: Pictures | None) -> Measurements:
    verdict, evidence, findings = judged.verdict, judged.evidence, judged.findings
    challenge, cost = verdict.challenge, evidence.runs[0].cost
    decision = verdict.reliable
    name = name_iteration(judged.iteration)
    return Measurements(
        claim=tabulate_claim(findings.claims) if findings.claims else None,
        accuracy=exhibit_accuracy(judged, challenge),
        exhibits=list_exhibits(judged, challenge),
        decision=tabulate_decision(decision) if decision else None,
        decision_facts=_decision_facts(decision, challenge) if decision else (),
        sensitivity=exhibit_sensitivity(judged, challenge),
        network=exhibit_network(judged),
        cost_facts=_cost_facts(cost),
        uncounted=tabulate_uncounted(cost),
        noun=name_kind(challenge),
        pictures=_list_pictures(findings.difficulty, pictures, challenge),
        pictures_caption=caption_hard_images(findings.difficulty),
        confusion=exhibit_confusion(findings, judged.anchor, challenge),
        digits=tabulate_digits(findings.difficulty, challenge),
        runs_title="Every run" if judged.all_shown else "Runs",
        runs_caption=_caption_runs(judged, challenge),
        machines=tabulate_machines(tabulate(evidence.runs)),
        provenance=(
            Fact(label="Conditions", value=str(evidence.conditions)),
            Fact(label="Fingerprint", value=evidence.fingerprint, code=True),
            Fact(label="Dataset digest", value=evidence.dataset, code=True),
            Fact(
                label="Training time of all runs",
                value=format_seconds(findings.summary.wall_seconds),
            ),
        ),
        reproduce=write_commands(judged.iteration, evidence, challenge, ()).all_runs,
        badge=draw_badge(verdict, name),
        badge_markdown=f"![{describe_badge(verdict, name)}](drilldown.svg)",
    )


def _list_pictures(
    difficulty: Difficulty, pictures: Pictures | None, challenge: Challenge
) -> tuple[Picture, ...]:
    return tuple(
        Picture(
            title=f"{name_class(challenge, image.label)}, taken for "
            f"{name_class(challenge, image.predicted)}",
            note=f"image {format_count(image.index)}, wrong in "
            f"{_of(image.wrong, difficulty.seeds)}",
            source=_draw(image.index, pictures),
        )
        for image in difficulty.hard[:SHOWN_IMAGES]
    )


def _draw(index: int, pictures: Pictures | None) -> str | None:
    if pictures is None or index >= len(pictures):
        return None
    return f"data:image/png;base64,{b64encode(pictures.encode_png(index)).decode()}"


def _caption_runs(judged: Judged, challenge: Challenge) -> str:
    evidence = judged.evidence
    totals = find_distinct(tabulate(evidence.runs).epochs("validation_total"))
    needed = " or ".join(
        f"{format_count(challenge.required(total))} of {format_count(total)}"
        for total in sorted(totals)
    )
    runs = format_number(len(evidence.runs), "run")
    if not needed:
        return f"{runs}; none finished an epoch."
    return (
        f"{runs}. The target, {format_exact_percent(challenge.target)}, is {needed} correct. "
        "Choose a row to light its seed in every chart."
        + ("" if judged.all_shown else _note_left_out(judged))
    )


def _note_left_out(judged: Judged) -> str:
    """Return which runs a page of very many lists, and where all of them are."""
    return (
        f" Listed here, drawn one by one and downloaded are {describe_shown(judged)}; all else on "
        "the page is of all of them, and `bench export` writes each."
    )


def _decision_facts(decision: Decision, challenge: Challenge) -> tuple[Fact, ...]:
    level = format_exact_percent(challenge.confidence)
    bounds = (
        f"{format_percent(decision.lower, decimals=1)} to "
        f"{format_percent(decision.upper, decimals=1)}"
    )
    return (
        Fact(label="Seeds that hold", value=_of(decision.holding, decision.runs)),
        Fact(label="Decision", value=_describe_decision(decision)),
        Fact(label=f"Clopper–Pearson bounds, {level} (shown, not used)", value=bounds),
    )


def _describe_decision(decision: Decision) -> str:
    if decision.decided_after is not None:
        return f"{decision.answer} after {format_number(decision.decided_after, 'seed')}"
    if decision.further_seeds is None:
        return "not foreseeable at this rate"
    return f"open; {format_number(decision.further_seeds, 'more seed')} if they go as these"


def _cost_facts(cost: Cost) -> tuple[Fact, ...]:
    return (
        Fact(label="Parameters", value=format_count(cost.parameters)),
        Fact(label="Reached by a gradient", value=format_count(cost.reached_parameters)),
        Fact(label="MACs", value=format_count(cost.macs)),
        Fact(label="FLOPs (2 × MACs)", value=format_count(2 * cost.macs)),
    )
