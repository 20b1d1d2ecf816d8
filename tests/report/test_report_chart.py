"""The geometry of the chart: what lies above what, and nothing outside."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from bench.report.charts import AccuracyByEpoch, Chart, Curve, draw_accuracy


def draw(*accuracies: tuple[str, ...], outcome: str = "holds", target: str = "0.994") -> Chart:
    return draw_accuracy(
        AccuracyByEpoch(
            title="t",
            description="d",
            curves=tuple(
                Curve(label="s", outcome=outcome, accuracies=tuple(map(Fraction, values)))
                for values in accuracies
            ),
            target=Fraction(target),
            epochs=15,
            window=3,
            images=10_000,
        )
    )


def points(chart: Chart, line: int = 0) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in chart.lines[line].points.split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_higher_accuracy_lies_higher():
    """Upwards is better: a smaller y for every better epoch, and rightwards is later."""
    drawn = points(draw(("0.95", "0.98", "0.99", "0.995")))
    assert drawn == sorted(drawn, key=lambda p: p[0])
    assert [y for _, y in drawn] == sorted((y for _, y in drawn), reverse=True)


def test_halving_the_errors_is_the_same_step_everywhere():
    """4 % to 2 % of errors is as far as 2 % to 1 %, to the tenth of a pixel."""
    (_, a), (_, b), (_, c) = points(draw(("0.96", "0.98", "0.99")))
    assert a - b == pytest.approx(b - c, abs=0.15)


def test_the_target_lies_between_what_reaches_it_and_what_does_not():
    """One image either side of 9,940 of 10,000 is drawn on its own side of the line."""
    chart = draw(("0.9939", "0.9941"))
    (_, below), (_, above) = points(chart)
    assert above < float(chart.target.position) < below
    assert chart.target.label == "99.4 %"


@pytest.mark.parametrize("accuracy", ["0", "0.1", "1"])
def test_extreme_accuracies_stay_inside(accuracy: str):
    """No error at all and nothing but errors are drawn inside the axes."""
    chart = draw((accuracy, "0.99"))
    for x, y in points(chart):
        assert chart.left <= x <= chart.right
        assert chart.top <= y <= chart.bottom


def test_the_window_is_the_last_three_of_fifteen_epochs():
    """A fifth of the width, at the right end."""
    chart = draw(("0.99",) * 15)
    width = float(chart.window_width)
    assert width == pytest.approx((chart.right - chart.left) / 5, abs=0.1)
    assert float(chart.window_left) + width == pytest.approx(chart.right, abs=0.1)


def test_one_epoch_is_drawn_as_a_dot():
    """A line of one point would be invisible; two equal points with round ends are a dot."""
    first, second = points(draw(("0.99",)))
    assert first == second


def test_a_diverged_run_ends_in_a_cross():
    """The cross stands on the last finished epoch; other runs have none."""
    (broken,) = draw(("0.95", "0.97"), outcome="diverged").lines
    (whole,) = draw(("0.95", "0.97")).lines
    assert broken.end is not None
    assert ",".join(broken.end) == broken.points.split()[-1]
    assert whole.end is None


def test_a_run_without_epochs_has_no_line():
    """Nothing was measured, so nothing is drawn."""
    assert len(draw((), ("0.99",)).lines) == 1


def test_labels_of_the_accuracy_axis_do_not_touch():
    """From 10 % to 99.99 % every two labels are a line of text apart."""
    positions = [float(t.position) for t in draw(("0.1", "0.9999")).y_ticks]
    assert len(positions) >= 4
    assert all(b - a >= 20 for a, b in pairwise(positions))


def test_lines_that_fail_lie_above_those_that_hold():
    """SVG paints later elements on top, and the worst runs must not hide."""
    curves = tuple(
        Curve(label=outcome, outcome=outcome, accuracies=(Fraction("0.99"),))
        for outcome in ("misses", "holds", "diverged")
    )
    data = AccuracyByEpoch(
        title="t", description="d", curves=curves, target=Fraction("0.994"), epochs=15, window=3,
        images=10_000,
    )  # fmt: skip
    assert [line.label for line in draw_accuracy(data).lines] == ["holds", "misses", "diverged"]
