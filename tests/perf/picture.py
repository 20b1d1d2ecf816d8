"""Wall time against the number of seeds as a picture: geometry here, SVG in a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from perf.stored import Timings

TEMPLATES = Path(__file__).parent / "templates"
WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 96, 16, 52
LABEL_DISTANCE = 16
"""Least pixels between the names of two lines."""
COLOURS = ("#b3541e", "#1f5f99", "#2e7d4f", "#6b4c9a")
"""By engine, in the order of the results; every line carries its name as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A label on an axis, `position` in pixels along it."""

    position: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """An engine's polyline with its points, and where its name stands."""

    name: str
    colour: str
    points: tuple[tuple[str, str], ...]
    label_y: str


def draw_seeds(measured: Timings) -> str:
    """Return an SVG with one line an engine, both axes from zero."""
    most = max(timing.runs for timing in measured.timings)
    longest = max(timing.seconds for timing in measured.timings)

    def x(runs: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * runs / most

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * seconds / longest

    curves = [sorted((t.runs, t.seconds) for t in measured.of(e)) for e in measured.engines]
    label_ys = spread_labels([y(curve[-1][1]) for curve in curves])
    lines = [
        Line(
            name=engine,
            colour=COLOURS[index % len(COLOURS)],
            points=tuple((_pixels(x(runs)), _pixels(y(seconds))) for runs, seconds in curve),
            label_y=_pixels(label_y),
        )
        for index, (engine, curve, label_y) in enumerate(
            zip(measured.engines, curves, label_ys, strict=True)
        )
    ]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("seeds.svg.j2").render(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        x_ticks=[
            Tick(position=_pixels(x(runs)), label=f"{runs:,}")
            for runs in sorted({timing.runs for timing in measured.timings})
        ],
        y_ticks=[
            Tick(position=_pixels(y(seconds)), label=f"{seconds:,g} s")
            for seconds in choose_ticks(longest)
        ],
        lines=lines,
        epochs=measured.epochs,
        iteration=measured.iteration,
    )


def choose_ticks(longest: float) -> list[float]:
    """Return round numbers from 0 to at most `longest`, at most six."""
    power = 10.0 ** floor(log10(longest))
    step = next(
        digit * power for digit in (0.1, 0.2, 0.5, 1, 2, 5) if longest / (digit * power) < 6
    )
    return [round(step * number, 6) for number in range(int(longest / step) + 1)]


def spread_labels(wanted: Sequence[float]) -> list[float]:
    """Return positions near the wanted ones, each a label's height from the next."""
    placed: dict[int, float] = {}
    lowest = float("-inf")
    for index in sorted(range(len(wanted)), key=wanted.__getitem__):
        lowest = max(wanted[index], lowest + LABEL_DISTANCE)
        placed[index] = lowest
    return [placed[index] for index in range(len(wanted))]


def _pixels(value: float) -> str:
    return f"{value:.1f}"
