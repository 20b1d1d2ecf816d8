"""The charts of a section as the template frames them: title, words, legend, numbers behind.

`assets/charts.js` has one drawing function for each kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bench.challenges import MNIST, name_kind
from bench.figures import format_count, format_percent
from bench.findings import Findings, Summary
from bench.records import Challenge
from bench.report.findings import tabulate_sensitivity, tabulate_thresholds
from bench.report.judged import Judged, describe_shown
from bench.report.tables import Table, tabulate_layers
from bench.report.wording import ABSENT, format_exact_percent, format_number, format_points

OUTCOMES = {
    "holds": "seed that holds",
    "misses": "seed that does not",
    "diverged": "seed that diverged, ending in a cross",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An entry of a legend; `name` is what its box shows and hides, `None` when it has none."""

    label: str
    style: str
    name: str | None = None
    shown: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Exhibit:
    """One chart: `description` says in words what it shows; `numbers` is a table behind it.

    `numbers` is `None` when the page makes the table from its data.
    """

    kind: str
    anchor: str
    title: str
    description: str
    keys: tuple[Key, ...] = ()
    numbers: Table | None = None

    @property
    def id(self) -> str:
        """Return what the chart's elements are named after."""
        return f"{self.anchor}-{self.kind}" if self.anchor else self.kind


def exhibit_strip(judged: Judged, challenge: Challenge) -> Exhibit:
    """Return the strip of all seeds' window minima against the target."""
    spread = judged.findings.summary
    worst = _worst(spread)
    lowest = "" if worst is None else f", the worst {format_percent(worst)}"
    return Exhibit(
        kind="strip",
        anchor=judged.anchor,
        title="Seeds against the target",
        description=f"{judged.name}: each seed's lowest accuracy in the last {challenge.window} "
        f"epochs; {_of(spread.holding, spread.runs)} at or above "
        f"{format_exact_percent(challenge.target)}{lowest}.{_note_shown(judged)}",
    )


def exhibit_accuracy(judged: Judged, challenge: Challenge) -> Exhibit | None:
    """Return accuracy by epoch, `None` when no run finished an epoch."""
    summary, window = judged.findings.summary, challenge.window
    outcomes = {score.outcome for score in judged.findings.runs if score.best is not None}
    if not outcomes:
        return None
    return Exhibit(
        kind="accuracy",
        anchor=judged.anchor,
        title="Accuracy by epoch",
        description=f"Validation accuracy of {format_number(summary.runs, 'seed')} by epoch. In "
        f"every one of the last {window} epochs, {_of(summary.holding, summary.runs)} are at "
        f"or above the target of {format_exact_percent(challenge.target)}. The accuracy axis is "
        f"logarithmic in the errors.{_note_shown(judged)}",
        keys=(
            *(Key(label=OUTCOMES[o], style=o, name=o) for o in OUTCOMES if o in outcomes),
            Key(label="median", style="median", name="median"),
            Key(label="central 90 % of seeds", style="band", name="band"),
            Key(label="training", style="training", name="training", shown=False),
            Key(label=f"last {challenge.window} epochs, which count", style="window"),
            Key(label="target", style="target"),
        ),
    )


def list_exhibits(judged: Judged, challenge: Challenge) -> tuple[Exhibit, ...]:
    """Return the charts that follow accuracy by epoch, in the order of the page."""
    made = (
        _exhibit_martingale(judged, challenge),
        _exhibit_thresholds(judged, challenge),
        _exhibit_best(judged, challenge),
        _exhibit_loss(judged),
        _exhibit_rate(judged),
    )
    return tuple(exhibit for exhibit in made if exhibit is not None)


def _exhibit_martingale(judged: Judged, challenge: Challenge) -> Exhibit | None:
    decision = judged.verdict.reliable
    if decision is None:
        return None
    confidence = format_exact_percent(challenge.confidence)
    threshold = round(1 / (1 - float(challenge.confidence)))
    return Exhibit(
        kind="martingale",
        anchor=judged.anchor,
        title="How the evidence decides",
        description="Evidence ratios for HOLDS and for FAILS after each seed. The first to reach "
        f"{threshold} decides, with {confidence} confidence however often anyone looks; now "
        f"{decision.answer}.",
        keys=(Key(label="for HOLDS", style="holds"), Key(label="for FAILS", style="misses")),
    )


def _exhibit_thresholds(judged: Judged, challenge: Challenge) -> Exhibit | None:
    if len(judged.findings.thresholds) < 2:
        return None
    return Exhibit(
        kind="thresholds",
        anchor=judged.anchor,
        title="Seeds at or above every threshold",
        description="Share of seeds that stay at or above a threshold in every one of the last "
        f"{challenge.window} epochs, with exact {format_exact_percent(challenge.confidence)} "
        "bounds for each threshold by itself.",
        keys=(
            Key(label="share of seeds", style="share"),
            Key(label="bounds", style="band"),
            Key(label=f"{format_exact_percent(challenge.reliability)} of seeds", style="needed"),
        ),
        numbers=tabulate_thresholds(judged.findings.thresholds, challenge),
    )


def _exhibit_best(judged: Judged, challenge: Challenge) -> Exhibit | None:
    summary = judged.findings.summary
    if not summary.scored:
        return None
    flattery = ABSENT if summary.optimism is None else format_points(summary.optimism)
    return Exhibit(
        kind="best",
        anchor=judged.anchor,
        title="Best epoch against final window",
        description="Each seed's best epoch over the lowest of its last "
        f"{challenge.window}. The best epoch flatters by {flattery} on average; in the shaded "
        f"corner it reached the target and the final window did not.{_note_shown(judged)}",
        keys=tuple(
            Key(label=OUTCOMES[o].removesuffix(", ending in a cross"), style=f"{o} dot")
            for o in ("holds", "misses")
        ),
    )


def _exhibit_loss(judged: Judged) -> Exhibit | None:
    if not judged.findings.epochs:
        return None
    return Exhibit(
        kind="loss",
        anchor=judged.anchor,
        title="Loss by epoch",
        description="Mean cross-entropy by epoch: validation of every seed, and the medians of "
        f"validation and of training. The axis is logarithmic.{_note_shown(judged)}",
        keys=(
            Key(label="every seed, validation", style="holds", name="seeds"),
            Key(label="median, validation", style="median", name="median"),
            Key(label="median, training", style="training", name="training"),
        ),
    )


def _exhibit_rate(judged: Judged) -> Exhibit:
    schedule = type(judged.iteration.recipe.schedule).__name__
    return Exhibit(
        kind="rate",
        anchor=judged.anchor,
        title="Learning rate",
        description=f"The recipe's schedule, {schedule}, over "
        f"{format_number(judged.iteration.recipe.epochs, 'epoch')}.",
    )


def exhibit_sensitivity(judged: Judged, challenge: Challenge) -> Exhibit:
    """Return the answers when one number of the question is another."""
    return Exhibit(
        kind="sensitivity",
        anchor=judged.anchor,
        title="Judged with another window, reliability or target",
        description="The same seeds, judged with one number changed; what was asked is framed. The "
        "stated error rate is that of the question as it was asked, not of the best cell.",
        numbers=tabulate_sensitivity(judged.findings.sensitivity, challenge),
    )


def exhibit_network(judged: Judged) -> Exhibit | None:
    """Return the drawing of the network, `None` when its layers are not known."""
    cost = judged.evidence.runs[0].cost
    if not cost.layers:
        return None
    return Exhibit(
        kind="network",
        anchor=judged.anchor,
        title="The network",
        description=f"{format_number(len(cost.layers), 'layer')} from left to right. Height is "
        "the side of the feature map, width the number of channels, colour marks parameters; "
        "normalisation, activation and dropout are drawn with the layer before them.",
        numbers=tabulate_layers(cost),
    )


def exhibit_confusion(findings: Findings, anchor: str, challenge: Challenge) -> Exhibit | None:
    """Return which class is taken for which, `None` when no seed got one wrong."""
    if not findings.difficulty.confusions:
        return None
    return Exhibit(
        kind="confusion",
        anchor=anchor,
        title=f"Which {name_kind(challenge)} is taken for which",
        description="Wrong answers in the last epoch, over "
        f"{format_number(findings.difficulty.seeds, 'seed')}.",
    )


def list_frontier_exhibits(judged: Sequence[Judged], challenge: Challenge) -> tuple[Exhibit, ...]:
    """Return accuracy against parameters and against MACs, none without a measured mean."""
    if not any(each.main and each.findings.summary.window_accuracy for each in judged):
        return ()
    keys = (
        Key(label="mean of the window, with interval", style="mean dot"),
        Key(label="worst seed", style="misses dot"),
        Key(label="front of the measured", style="share", name="front"),
    )
    budget = f"The dashed line is the budget of {format_count(challenge.parameters)} parameters. "
    claimed = challenge.dataset == MNIST.dataset or any(each.findings.claims for each in judged)
    claims = Key(label="one run, as claimed in public", style="claim", name="claims")
    return (
        Exhibit(
            kind="parameters",
            anchor="",
            title="Accuracy against parameters",
            description="Mean accuracy of the final window over all seeds, and its worst seed, "
            f"against the parameters. {budget}"
            + ("Diamonds are single runs at their best epoch." if claimed else ""),
            keys=(*keys, claims) if claimed else keys,
        ),
        Exhibit(
            kind="macs",
            anchor="",
            title="Accuracy against multiply-accumulates",
            description="The same against the MACs of one image.",
            keys=keys,
        ),
    )


def exhibit_steps(comparisons: Table | None, challenge: Challenge) -> Exhibit | None:
    """Return the differences from each iteration to the next, `None` without any."""
    if comparisons is None:
        return None
    return Exhibit(
        kind="steps",
        anchor="",
        title="From each iteration to the next",
        description="Difference of the mean accuracy in the final window, with Welch's "
        f"{format_exact_percent(challenge.confidence)} interval.",
        numbers=comparisons,
    )


def exhibit_variations(judged: Iterable[Judged]) -> Exhibit | None:
    """Return all iterations' answers to other questions, `None` without any."""
    if not any(each.main for each in judged):
        return None
    return Exhibit(
        kind="variations",
        anchor="",
        title="Had the question been another",
        description="Each iteration's answer with another window, share of seeds or target; what "
        "was asked is framed. The stated error rate is that of the question as it was asked.",
    )


def _note_shown(judged: Judged) -> str:
    """Return which seeds are drawn one by one, nothing where all are."""
    return "" if judged.all_shown else f" Drawn one by one are {describe_shown(judged)}."


def _worst(summary: Summary) -> Fraction | None:
    worst = summary.worst
    if worst is None or worst.correct is None or worst.total is None:
        return None
    return Fraction(worst.correct, worst.total)


def _of(part: int, whole: int) -> str:
    return f"{format_count(part)} of {format_count(whole)}"
