"""From curves to the geometry of a chart; a template writes it down as SVG.

The accuracy axis is logarithmic in the error rate: halving the errors is the same step everywhere,
so that 99.3 and 99.5 % are apart although the first epoch lies at 95 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log

from bench.report.wording import format_exact_percent

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 84, 84, 16, 52
TICK_DISTANCE = 22
"""Least pixels between two labels of the accuracy axis."""

_ERRORS = tuple(Fraction(digit, 10**power) for power in range(1, 5) for digit in (5, 3, 2, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Validation accuracy of one seed by epoch, as proportions; `outcome` names its style."""

    label: str
    outcome: str
    accuracies: tuple[Fraction, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyByEpoch:
    """What the chart shows; `images` is the number of validation images, `window` in epochs."""

    title: str
    description: str
    curves: tuple[Curve, ...]
    target: Fraction
    epochs: int
    window: int
    images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A label on an axis, `position` in pixels along it."""

    position: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A polyline; `end` is where a run broke off, marked with a cross."""

    points: str
    outcome: str
    label: str
    end: tuple[str, str] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """All coordinates of a chart, in pixels of its own view box."""

    title: str
    description: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    window_left: str
    window_width: str
    target: Tick
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    """Where an epoch and an accuracy lie; errors below `floor` are drawn at it."""

    epochs: int
    highest_error: float
    lowest_error: float
    floor: float

    def x(self, epoch: float) -> float:
        step = (WIDTH - LEFT - RIGHT) / self.epochs
        return LEFT + step * (epoch - 0.5)

    def y(self, accuracy: Fraction) -> float:
        error = max(float(1 - accuracy), self.floor)
        depth = log(self.lowest_error / error) / log(self.lowest_error / self.highest_error)
        return TOP + (HEIGHT - TOP - BOTTOM) * depth


def draw_accuracy(data: AccuracyByEpoch) -> Chart:
    """Lay out the accuracies of every seed, the target and the final window."""
    scale = _fit_scale(data)
    drawn = [_draw_line(curve, scale) for curve in data.curves if curve.accuracies]
    drawn.sort(key=lambda line: line.outcome != "holds")  # what fails is the evidence: on top
    window_left = scale.x(max(data.epochs - data.window, 0) + 0.5)
    window_right = scale.x(data.epochs + 0.5)
    return Chart(
        title=data.title,
        description=data.description,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        window_left=_pixels(window_left),
        window_width=_pixels(window_right - window_left),
        target=Tick(
            position=_pixels(scale.y(data.target)), label=format_exact_percent(data.target)
        ),
        x_ticks=_label_epochs(data.epochs, scale),
        y_ticks=tuple(_label_accuracies(scale)),
        lines=tuple(drawn),
    )


def _fit_scale(data: AccuracyByEpoch) -> _Scale:
    floor = 0.5 / data.images  # no error at all has no logarithm
    shown = [data.target, *(value for curve in data.curves for value in curve.accuracies)]
    errors = [max(float(1 - value), floor) for value in shown]
    longest = max((len(curve.accuracies) for curve in data.curves), default=0)
    return _Scale(
        epochs=max(data.epochs, longest),
        highest_error=max(errors) * 1.15,
        lowest_error=min(errors) / 1.3,
        floor=floor,
    )


def _draw_line(curve: Curve, scale: _Scale) -> Line:
    points = [
        f"{_pixels(scale.x(epoch))},{_pixels(scale.y(accuracy))}"
        for epoch, accuracy in enumerate(curve.accuracies, start=1)
    ]
    end = (
        (_pixels(scale.x(len(points))), _pixels(scale.y(curve.accuracies[-1])))
        if curve.outcome == "diverged"
        else None
    )
    if len(points) == 1:  # a line of one point is invisible, one of two equal points is a dot
        points *= 2
    return Line(points=" ".join(points), outcome=curve.outcome, label=curve.label, end=end)


def _label_epochs(epochs: int, scale: _Scale) -> tuple[Tick, ...]:
    every = max(1, -(-epochs // 20))
    return tuple(
        Tick(position=_pixels(scale.x(epoch)), label=str(epoch))
        for epoch in _every_and_last(epochs, every)
    )


def _every_and_last(epochs: int, every: int) -> Sequence[int]:
    return [epoch for epoch in range(1, epochs + 1) if (epochs - epoch) % every == 0]


def _label_accuracies(scale: _Scale) -> Iterable[Tick]:
    above = float("inf")
    for error in sorted(_ERRORS):
        y = scale.y(1 - error)
        inside = TOP <= y <= HEIGHT - BOTTOM
        if inside and (above == float("inf") or y - above >= TICK_DISTANCE):
            above = y
            yield Tick(position=_pixels(y), label=format_exact_percent(1 - error))


def _pixels(value: float) -> str:
    return f"{value:.1f}"
