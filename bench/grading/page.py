"""The leaderboard as one HTML file in the look of the report; it loads nothing from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.anatomy import Structure, explain, list_remarks, name_field, name_rates
from bench.figures import format_count, format_percent
from bench.grading.marks import Grade, Mark, Measured
from bench.grading.ranking import RULE
from bench.records import Challenge
from bench.report.page import TEMPLATES as REPORT_TEMPLATES
from bench.report.scripts import allow_scripts
from bench.report.wording import ABSENT, format_exact_percent

HERE = Path(__file__).parent
SYMBOLS = {Mark.HOLDS: "✓", Mark.UNDECIDED: "?", Mark.FAILS: "✗", Mark.BROKEN: "!"}
ORDER = {mark: place for place, mark in enumerate(Mark)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What a cell shows, smaller lines below it, and what it is sorted by: `None` comes last."""

    text: str
    below: tuple[str, ...] = ()
    value: float | str | None = None
    style: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One submission: the cells behind its name, and what is told of it further down."""

    place: int
    anchor: str
    name: str
    below: str
    mark: Mark
    symbol: str
    order: int
    why: str
    cells: tuple[Cell, ...]
    facts: tuple[str, ...]
    notes: tuple[str, ...]


HEADINGS = (
    "Parameters", "Accuracy", "Seeds that hold", "Batch norm", "Dropout", "Head",
    "Receptive field", "Tier",
)  # fmt: skip


def render_page(
    ranked: Sequence[tuple[int, Grade]],
    challenge: Challenge,
    *,
    dataset: str,
    remarks: Sequence[str] = (),
) -> str:
    """Return the page on graded submissions in their order.

    `dataset` is what its images are called; `remarks` are on the grading as a whole.
    """
    script = Markup((HERE / "assets" / "sort.js").read_text(encoding="utf-8"))  # noqa: S704
    count = Counter(grade.mark for _, grade in ranked)
    return (
        _make_environment()
        .get_template("leaderboard.html.j2")
        .render(
            title=f"Leaderboard: {challenge.name}",
            question=_ask(challenge, dataset),
            confidence=format_exact_percent(challenge.confidence),
            rule=RULE,
            tally=[f"{count[mark]} {SYMBOLS[mark]} {mark}" for mark in Mark if count[mark]],
            remarks=remarks,
            headings=HEADINGS,
            rows=[_compose_row(number, *each) for number, each in enumerate(ranked, start=1)],
            script=script,
            allowed=allow_scripts([script]),
        )
    )


def _make_environment() -> Environment:
    return Environment(
        loader=FileSystemLoader([HERE / "templates", REPORT_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _ask(challenge: Challenge, dataset: str) -> str:
    return (
        f"{format_exact_percent(challenge.target)} on {dataset} in every one of the last "
        f"{challenge.window} epochs, for at least {format_exact_percent(challenge.reliability)} "
        f"of seeds, within {challenge.epochs} epochs, in fewer than "
        f"{format_count(challenge.parameters)} parameters."
    )


def _compose_row(number: int, place: int, grade: Grade) -> Row:
    claim = grade.submission.claim
    structure = grade.screened.structure if grade.screened else None
    names = (claim.student if claim else None), grade.network
    return Row(
        place=place,
        anchor=f"submission-{number}",
        name=grade.submission.file,
        below=" · ".join(name for name in names if name),
        mark=grade.mark,
        symbol=SYMBOLS[grade.mark],
        order=ORDER[grade.mark],
        why=grade.why,
        cells=(
            _show_parameters(grade),
            _show_accuracy(grade),
            _show_seeds(grade.measured),
            *_show_structure(structure),
        ),
        facts=explain(structure) if structure else (),
        notes=grade.screened.notes if grade.screened else (),
    )


def _show_parameters(grade: Grade) -> Cell:
    claim = grade.submission.claim
    claimed = f"claimed {claim.parameters.text}" if claim and claim.parameters else "no claim"
    if grade.screened is None:
        return Cell(text=ABSENT, below=(claimed,))
    cost = grade.screened.cost
    wrong = grade.claims_parameters is False
    below = [f"{claimed} ✗" if wrong else claimed]
    if cost.reached_parameters != cost.parameters:
        below.insert(0, f"{format_count(cost.reached_parameters)} reached")
    return Cell(
        text=format_count(cost.parameters),
        below=tuple(below),
        value=cost.parameters,
        style="fails" if wrong else "",
    )


def _show_accuracy(grade: Grade) -> Cell:
    claim = grade.submission.claim
    below = ["no claim"]
    if claim is not None and claim.accuracy is not None:
        epoch = f" (epoch {claim.epoch})" if claim.epoch else ""
        below = [f"claimed {format_percent(claim.accuracy)}{epoch}"]
    measured = grade.measured
    if measured is None or measured.last is None:
        return Cell(text=ABSENT, below=tuple(below))
    if measured.at_claim is not None:
        below.append(f"in an epoch of {measured.at_claim} of {measured.seeds} seeds")
    return Cell(
        text=f"{format_percent(measured.last.mean)}{_show_interval(measured)}",
        below=tuple(below),
        value=float(measured.last.mean),
    )


def _show_interval(measured: Measured) -> str:
    last = measured.last
    if last is None or last.lower is None or last.upper is None:
        return ""
    return f" ({format_percent(last.lower)} to {format_percent(last.upper)})"


def _show_seeds(measured: Measured | None) -> Cell:
    if measured is None:
        return Cell(text=ABSENT)
    optimism = measured.optimism
    return Cell(
        text=f"{measured.holding} of {measured.seeds}",
        below=("best epoch", f"{_points(optimism)} higher") if optimism is not None else (),
        value=measured.lower,
    )


def _points(value: Fraction) -> str:
    return f"{100 * float(value):.2f} points"


def _show_structure(structure: Structure | None) -> tuple[Cell, ...]:
    if structure is None:
        return (Cell(text=ABSENT),) * 5
    rates = name_rates(structure)
    field = structure.receptive_field
    local = structure.local_field
    return (
        Cell(
            text=f"{structure.normalised} of {structure.convolutions}"
            if structure.batch_norms
            else "none",
            below=("convolutions",) if structure.batch_norms else (),
            value=structure.normalised,
        ),
        Cell(
            text=f"{len(structure.dropouts)} × {rates}" if rates else "none",
            value=max((each.rate for each in structure.dropouts), default=0.0),
        ),
        Cell(text=structure.head, below=(_show_dense(structure),), value=structure.head),
        Cell(
            text=name_field(field) if field else "unclear",
            below=(f"{name_field(local)} before the head",) if local else (),
            value=field[0] if field else None,
        ),
        Cell(
            text=f"below {format_count(structure.tier)}" if structure.tier else "none",
            below=_count_remarks(structure),
            value=structure.tier,
        ),
    )


def _show_dense(structure: Structure) -> str:
    if not structure.dense_layers:
        return "nothing dense"
    return f"{format_count(structure.dense_parameters)} in dense layers"


def _count_remarks(structure: Structure) -> tuple[str, ...]:
    number = len(list_remarks(structure))
    return (f"{number} remark{'s' if number > 1 else ''}",) if number else ()
