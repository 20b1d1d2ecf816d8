"""One section of the page: a verdict and its findings turned into text, nothing computed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bench.analysis import Mark, Sentence, analyse
from bench.consistency import Decision
from bench.evidence import Evidence, run_holds
from bench.figures import format_accuracy, format_count, format_percent, format_seconds
from bench.findings import Findings, Summary, WorstSeed, describe
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Cost, Run, Status
from bench.report.charts import AccuracyByEpoch, Curve
from bench.report.findings import (
    describe_first,
    describe_sampling,
    tabulate_digits,
    tabulate_hard_images,
    tabulate_sensitivity,
    tabulate_thresholds,
)
from bench.report.tables import (
    Table,
    name_outcome,
    tabulate_accuracies,
    tabulate_claim,
    tabulate_decision,
    tabulate_layers,
    tabulate_machines,
    tabulate_recipe,
    tabulate_runs,
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
    write_seeds,
)
from bench.verdict import Budget, Verdict
from models.recipe import Claim, Recipe

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
    badge: Badge
    why: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """What the runs of one iteration show, in the order of the page."""

    claim: Table | None
    accuracy: AccuracyByEpoch | None
    outcomes: tuple[str, ...]
    accuracies: Table | None
    decision: Table | None
    decision_facts: tuple[Fact, ...]
    runs: Table
    thresholds: Table
    sensitivity: Table
    hard_images: Table | None
    digits: Table | None
    cost_facts: tuple[Fact, ...]
    layers: Table
    uncounted: Table | None
    machines: Table
    provenance: tuple[Fact, ...]
    reproduce_all: str
    reproduce_one: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """All there is on one verdict; `measurements` is `None` when there are no runs.

    `diagnosed` says that the analysis was made from the runs, since its author wrote none.
    """

    card: Card
    target: tuple[str, ...]
    claimed: tuple[Fact, ...]
    measured: tuple[Fact, ...]
    analysis: tuple[Line, ...]
    diagnosed: bool
    recipe: Table
    recipe_line: str
    measurements: Measurements | None


def name_iteration(iteration: Iteration) -> str:
    """Return `iteration_4` as a heading."""
    return iteration.name.replace("_", " ").capitalize()


def compose_section(
    verdict: Verdict, iteration: Iteration, *, anchor: str, conditions_in_title: bool
) -> Section:
    """Compose all there is to show on one verdict."""
    challenge, evidence, claim = verdict.challenge, verdict.evidence, iteration.narrative.claim
    findings = describe(evidence, challenge, claim) if evidence else None
    summary = findings.summary if findings else None
    title = iteration.narrative.title
    if conditions_in_title and evidence:
        title = f"{title} ({evidence.conditions})"
    return Section(
        card=Card(
            anchor=anchor,
            name=name_iteration(iteration),
            title=title,
            badge=_badge(verdict.answer),
            why=verdict.why,
            facts=_card_facts(verdict, summary),
        ),
        target=iteration.narrative.target,
        claimed=_claimed_facts(claim) if claim else (),
        measured=_measured_facts(evidence, findings, challenge) if evidence and findings else (),
        analysis=tuple(_line(s) for s in analyse(iteration.narrative, verdict, findings)),
        diagnosed=not iteration.narrative.analysis,
        recipe=tabulate_recipe(iteration.recipe),
        recipe_line=_describe_recipe(iteration.recipe),
        measurements=(
            _compose_measurements(verdict, evidence, findings, iteration)
            if evidence and findings
            else None
        ),
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
            Fact(label="Epochs", value=f"{budget.epochs} of at most {budget.epochs_allowed}"),
            Fact(label="MACs", value=format_count(cost.macs)),
            Fact(label="Conditions", value=str(verdict.evidence.conditions)),
        ]
    return (*facts, *_unused_runs(verdict))


def _describe_parameters(budget: Budget) -> str:
    within = budget.parameters < budget.parameters_allowed
    relation = "fewer" if within else "not fewer"
    allowed = format_count(budget.parameters_allowed)
    return f"{format_count(budget.parameters)}, {relation} than {allowed}"


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


def _compose_measurements(
    verdict: Verdict, evidence: Evidence, findings: Findings, iteration: Iteration
) -> Measurements:
    summary = findings.summary
    challenge, runs, cost = verdict.challenge, evidence.runs, evidence.runs[0].cost
    epochs = max(iteration.recipe.epochs, *(len(run.epochs) for run in runs))
    has_epochs = any(run.epochs for run in runs)
    return Measurements(
        claim=_tabulate_claims(findings, challenge),
        accuracy=_plot_accuracy(verdict, summary, iteration, runs) if has_epochs else None,
        outcomes=tuple(sorted({_outcome(run, challenge) for run in runs if run.epochs})),
        accuracies=tabulate_accuracies(runs, epochs) if has_epochs else None,
        decision=tabulate_decision(verdict.reliable) if verdict.reliable else None,
        decision_facts=_decision_facts(verdict.reliable, challenge) if verdict.reliable else (),
        runs=tabulate_runs(evidence, challenge),
        thresholds=tabulate_thresholds(findings.thresholds, challenge),
        sensitivity=tabulate_sensitivity(findings.sensitivity, challenge),
        hard_images=tabulate_hard_images(findings.difficulty),
        digits=tabulate_digits(findings.difficulty, challenge),
        cost_facts=_cost_facts(cost),
        layers=tabulate_layers(cost),
        uncounted=tabulate_uncounted(cost),
        machines=tabulate_machines(runs),
        provenance=(
            Fact(label="Conditions", value=str(evidence.conditions)),
            Fact(label="Fingerprint", value=evidence.fingerprint, code=True),
            Fact(label="Dataset digest", value=evidence.dataset, code=True),
            Fact(label="Training time of all runs", value=format_seconds(summary.wall_seconds)),
        ),
        reproduce_all=_command(iteration, [run.seed for run in runs], challenge),
        reproduce_one=_command(iteration, [runs[-1].seed], challenge),
    )


def _tabulate_claims(findings: Findings, challenge: Challenge) -> Table | None:
    """Return no comparison on the embedded digits: every claim was made on MNIST."""
    if not findings.claims or challenge.demonstration:
        return None
    return tabulate_claim(findings.claims)


def _plot_accuracy(
    verdict: Verdict, summary: Summary, iteration: Iteration, runs: tuple[Run, ...]
) -> AccuracyByEpoch:
    challenge = verdict.challenge
    target = format_exact_percent(challenge.target)
    return AccuracyByEpoch(
        title=f"Validation accuracy by epoch of {name_iteration(iteration).lower()}, "
        f"{format_number(len(runs), 'seed')}",
        description=f"One line a seed. In every one of the last {challenge.window} epochs, "
        f"{_of(summary.holding, summary.runs)} are at or above the target of {target}. "
        "The accuracy axis is logarithmic in the error rate.",
        curves=tuple(
            Curve(
                label=f"Seed {run.seed}: {name_outcome(run, challenge)}",
                outcome=_outcome(run, challenge),
                accuracies=tuple(
                    Fraction(epoch.validation_correct, epoch.validation_total)
                    for epoch in run.epochs
                ),
            )
            for run in runs
        ),
        target=challenge.target,
        epochs=iteration.recipe.epochs,
        window=challenge.window,
        images=max(epoch.validation_total for run in runs for epoch in run.epochs),
    )


def _outcome(run: Run, challenge: Challenge) -> str:
    if run.status is Status.DIVERGED:
        return "diverged"
    return "holds" if run_holds(run, challenge) else "misses"


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


def _command(iteration: Iteration, seeds: list[int], challenge: Challenge) -> str:
    option = dataset_option(challenge)
    return f"bench run {iteration.name} --seeds {write_seeds(seeds)}{option}"


def dataset_option(challenge: Challenge) -> str:
    """Return what a command needs so that it takes the challenge's dataset."""
    return " --dataset digits" if challenge.demonstration else ""
