"""A verdict as a piece of HTML for a notebook: answer, reason, and every seed's accuracies.

The charts are plain SVG, so that they are seen wherever the notebook is: no script, no style sheet,
the text's own colour. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from markupsafe import Markup

from bench.figures import format_count, format_percent
from bench.findings import RunScore, score_run
from bench.records import Challenge, Run
from bench.report.wording import SYMBOLS, format_exact_percent
from bench.verdict import Verdict

MOST_DRAWN = 200
"""Seeds that are drawn; a notebook is no place for thousands, and the page has them all."""

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 24, 30
_INNER_WIDTH, _INNER_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

_FRAME = Markup(
    '<div style="max-width:760px"><p><strong>{symbol} {answer}</strong> {name}: {why}</p>'
    '<div style="display:flex;flex-wrap:wrap;gap:12px">{charts}</div>'
    '<p style="opacity:.75;font-size:90%">{facts}</p></div>'
)
_CHART = Markup(
    '<svg role="img" aria-label="{label}" width="{width}" height="{height}" '
    'viewBox="0 0 {width} {height}" font-size="11" fill="currentColor" '
    'font-family="system-ui,sans-serif"><title>{label}</title>'
    '<text x="{left}" y="14" font-weight="600">{title}</text>{axes}'
    '<svg x="{left}" y="{top}" width="{inner_width}" height="{inner_height}" '
    'overflow="hidden">{marks}</svg>'
    '<line x1="{left}" x2="{right}" y1="{target}" y2="{target}" stroke="currentColor" '
    'stroke-width="1.5" stroke-dasharray="5 3"/>'
    '<text x="{middle}" y="{below}" text-anchor="middle">{axis}</text></svg>'
)
_TICK = Markup('<text x="{x}" y="{y}" text-anchor="end" dominant-baseline="middle">{text}</text>')
_LINE = Markup(
    '<polyline data-seed="{seed}" points="{points}" fill="none" stroke="{colour}" '
    'stroke-width="1.2" stroke-opacity=".7"><title>seed {seed}</title></polyline>'
)
_HOLDING = Markup(
    '<circle data-seed="{seed}" cx="{x}" cy="{y}" r="3.5" fill="{colour}"><title>{text}</title>'
    "</circle>"
)
_MISSING = Markup(
    '<path data-seed="{seed}" d="M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}" '
    'stroke="{colour}" stroke-width="2"><title>{text}</title></path>'
)
_COLOURS = {True: "#2a78d6", False: "#c8501e"}
"""Of seeds that hold and of those that do not; their marks differ too."""


def render_result(verdict: Verdict) -> str:
    """Return a verdict as HTML without scripts."""
    runs = verdict.evidence.runs if verdict.evidence else ()
    html = _FRAME.format(
        symbol=SYMBOLS[verdict.answer],
        answer=verdict.answer,
        name=verdict.iteration,
        why=verdict.why,
        charts=Markup("").join(_draw(runs[:MOST_DRAWN], verdict.challenge)) if runs else "",
        facts=" · ".join(_list_facts(verdict, runs)),
    )
    return str(html)


def _list_facts(verdict: Verdict, runs: Sequence[Run]) -> Iterator[str]:
    challenge = verdict.challenge
    yield (
        f"{challenge.name}: {format_exact_percent(challenge.target)} in each of the last "
        f"{challenge.window} epochs"
    )
    if verdict.budget:
        yield f"{format_count(verdict.budget.parameters)} parameters"
    if verdict.evidence:
        yield str(verdict.evidence.conditions)
    if len(runs) > MOST_DRAWN:
        yield f"the first {MOST_DRAWN} of {format_count(len(runs))} seeds are drawn"


def _draw(runs: Sequence[Run], challenge: Challenge) -> Iterator[Markup]:
    scores = [score_run(run, challenge) for run in runs]
    drawn = [run for run in runs if run.epochs]
    longest = max((len(run.epochs) for run in drawn), default=1)
    scale = _Scale(_find_lowest(drawn, challenge, longest), challenge.target)
    lines = (
        _draw_line(run, score, scale, longest)
        for run, score in zip(runs, scores, strict=True)
        if run.epochs
    )
    yield _frame(
        "Validation accuracy by epoch", f"epoch, 1 to {longest}", Markup("").join(lines), scale
    )
    step = _INNER_WIDTH / (len(runs) + 1)
    marks = (
        _draw_mark(score, scale, step * place)
        for place, score in enumerate(scores, start=1)
        if score.window_minimum is not None
    )
    title = f"Lowest of the last {challenge.window} epochs"
    yield _frame(title, "seed: ● holds, ✕ does not", Markup("").join(marks), scale)


class _Scale:
    """Accuracies as pixels from the top, between the lowest that is shown and a little above."""

    def __init__(self, lowest: Fraction, target: Fraction) -> None:
        self.target = target
        self.bottom = min(lowest, target - (1 - target))
        self.top = Fraction(1)

    def place(self, accuracy: Fraction) -> float:
        return round(float((self.top - accuracy) / (self.top - self.bottom)) * _INNER_HEIGHT, 1)


def _find_lowest(runs: Sequence[Run], challenge: Challenge, longest: int) -> Fraction:
    """Return the lowest accuracy after a third of the epochs: earlier ones would hide the rest."""
    shown = [
        Fraction(epoch.validation_correct, epoch.validation_total)
        for run in runs
        for epoch in run.epochs[longest // 3 :]
    ]
    return min(shown, default=challenge.target)


def _frame(title: str, axis: str, marks: Markup, scale: _Scale) -> Markup:
    target = format_exact_percent(scale.target)
    ticks = (
        (scale.top, format_exact_percent(scale.top)),
        (scale.bottom, format_percent(scale.bottom)),
        (scale.target, target),
    )
    return _CHART.format(
        label=f"{title}; target {target}",
        title=title,
        axis=axis,
        marks=marks,
        axes=Markup("").join(
            _TICK.format(x=_LEFT - 6, y=_TOP + scale.place(value), text=text)
            for value, text in ticks
        ),
        target=_TOP + scale.place(scale.target),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        inner_width=_INNER_WIDTH,
        inner_height=_INNER_HEIGHT,
        middle=_LEFT + _INNER_WIDTH / 2,
        below=_HEIGHT - 8,
    )


def _draw_line(run: Run, score: RunScore, scale: _Scale, longest: int) -> Markup:
    width = _INNER_WIDTH / max(1, longest - 1)
    points = " ".join(
        f"{round(place * width, 1)},"
        f"{scale.place(Fraction(epoch.validation_correct, epoch.validation_total))}"
        for place, epoch in enumerate(run.epochs)
    )
    return _LINE.format(seed=run.seed, points=points, colour=_COLOURS[score.outcome == "holds"])


def _draw_mark(score: RunScore, scale: _Scale, x: float) -> Markup:
    lowest = score.window_minimum or Fraction(0)
    holds = score.outcome == "holds"
    x, y = round(x, 1), scale.place(lowest)
    text = f"seed {score.seed}: {format_percent(lowest)}, {score.outcome}"
    if holds:
        return _HOLDING.format(seed=score.seed, x=x, y=y, colour=_COLOURS[True], text=text)
    return _MISSING.format(
        seed=score.seed,
        left=x - 3.5,
        right=x + 3.5,
        top=round(y - 3.5, 1),
        bottom=round(y + 3.5, 1),
        colour=_COLOURS[False],
        text=text,
    )
