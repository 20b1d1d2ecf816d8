"""The simulated comparison with older code is the gate's own, and the committed page keeps 5 %."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.baselines import DEFAULT_MARGIN, Standing, bound_median, decide_standing
from bench.calibration.baselines import (
    MARGIN,
    PAIRS,
    RULES,
    compute_baseline_power,
    cross_by,
    load_recorded,
    measure_baselines,
    show_by_signs,
    show_by_welch,
)
from bench.calibration.baselines_section import TITLE, render_baselines

PAGE = Path(__file__).parents[1] / "docs" / "calibration.md"
CONFIDENCE = Fraction("0.95")


def read_section(text: str) -> list[list[list[str]]]:
    """Return the rows of the tables of the section on baselines."""
    section = text.partition(TITLE)[2].partition("\n## ")[0]
    blocks = [block.splitlines()[2:] for block in section.split("\n\n") if block.startswith("| ")]
    return [[line.strip("| ").split(" | ") for line in block] for block in blocks]


def percent(cell: str) -> float:
    return float(cell.removesuffix(" %"))


def test_simulated_signs_are_those_of_the_gate() -> None:
    """On forty campaigns of whole images, each answer after 30 pairs is the gate's."""
    images = np.random.default_rng(2).integers(-14, 9, (40, 200))
    above_margin, below_zero = show_by_signs(images.astype(float))
    found = set()

    for row, above, below in zip(images[:, :30].tolist(), above_margin, below_zero, strict=True):
        differences = [Fraction(each, 10_000) for each in row]
        bounds = bound_median(differences, confidence=CONFIDENCE)
        answer = decide_standing(*bounds, margin=DEFAULT_MARGIN)
        expected = (
            Standing.NOT_WORSE if above[29] else Standing.WORSE if below[29] else Standing.UNDECIDED
        )
        assert answer is expected
        found.add(answer)
    assert found == set(Standing)


def test_simulated_welch_bounds_are_scipys() -> None:
    """After 12 pairs the one-sided bounds decide as scipy's intervals do."""
    old, new = np.random.default_rng(3).normal(9_940, 7, (2, 60, 200)) - [[[0.0]], [[3.0]]]
    above_margin, below_zero = show_by_welch(old, new)

    for row, (before, after) in enumerate(zip(old[:, :12], new[:, :12], strict=True)):
        result = stats.ttest_ind(after, before, equal_var=False)
        interval = result.confidence_interval(0.90)
        assert above_margin[row, 11] == (interval.low > -MARGIN)
        assert below_zero[row, 11] == (interval.high < 0)
    assert 0 < above_margin[:, 11].sum() < 60


def test_welch_without_any_spread_is_the_difference_itself() -> None:
    """Equal values have no spread: four images down is within the margin, five are not."""
    for slip, within in ((4.0, True), (5.0, False)):
        above_margin, below_zero = show_by_welch(
            np.full((1, 200), 9_940.0), np.full((1, 200), 9_940.0 - slip)
        )
        assert (bool(above_margin[0, 9]), bool(below_zero[0, 9])) == (within, True)


def test_exact_chances_are_those_of_a_simulation() -> None:
    """Of 20,000 coins the share that is refuted lies within five standard errors of the exact."""
    heads = np.random.default_rng(4).random((20_000, 200)) < 0.7
    above_margin, _ = show_by_signs(np.where(heads, 0.0, -9.0))

    for pairs, chance in zip(PAIRS, cross_by(0.7), strict=True):
        error = (chance * (1 - chance) / 20_000) ** 0.5
        assert abs(above_margin[:, pairs - 1].mean() - chance) <= 5 * error + 1e-9


def test_a_fair_coin_is_refuted_in_at_most_five_percent() -> None:
    """The worst case of the signs stays below 5 %, and certainty is refuted after five pairs."""
    assert list(cross_by(0.5)) == sorted(cross_by(0.5))
    assert cross_by(0.5)[-1] <= 0.05
    assert cross_by(1.0) == pytest.approx([1.0] * len(PAIRS))


def test_a_small_simulation_finds_what_the_page_says() -> None:
    """Signs keep 5 % within sampling error; Welch read after every pair does not."""
    rows = list(measure_baselines(400))
    limit = 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5

    assert {row.rule for row in rows} == set(RULES)
    for row in rows:
        if row.rule == RULES[0]:
            assert row.wrong[-1] / row.campaigns <= limit
        if row.rule == RULES[2]:
            assert row.wrong[-1] / row.campaigns > 0.10


def test_the_committed_exact_figures_are_what_the_code_computes() -> None:
    """The worst case and the power owe nothing to random numbers."""
    committed = read_section(PAGE.read_text(encoding="utf-8"))
    rendered = read_section(
        render_baselines(tuple(measure_baselines(5)), tuple(compute_baseline_power()))
    )

    assert committed[0] == rendered[0]
    assert committed[2] == rendered[2]
    assert [row[:3] for row in committed[1]] == [row[:3] for row in rendered[1]]


def test_the_committed_answers_are_wrong_in_at_most_five_percent() -> None:
    """Every row of the rule that is used, by every number of pairs; at least 20,000 campaigns."""
    text = PAGE.read_text(encoding="utf-8")
    exact, simulated, _ = read_section(text)
    used = [row for row in simulated if row[2] == RULES[0]]
    peeking = [row for row in simulated if row[2] == RULES[2]]

    assert "Simulated, 20,000 campaigns a row" in text
    assert len(used) == 12
    assert all(percent(cell) <= 5 for row in used for cell in row[3:])
    assert all(percent(cell) <= 5 for cell in exact[0][1:])
    assert all(percent(row[-1]) > 10 for row in peeking)


def test_recorded_seeds_are_those_of_the_committed_ledger() -> None:
    """Window means of iteration 4, in images: ten seeds or more, between 99 and 100 %."""
    recorded = load_recorded()

    assert len(recorded) >= 10
    assert ((recorded > 9_900) & (recorded < 10_000)).all()


def test_the_figures_of_the_guide_are_those_of_the_page() -> None:
    """docs/ci.md: a seed's deviation, what 33 and 60 pairs decide, and how far Welch errs."""
    guide = " ".join((PAGE.parent / "ci.md").read_text(encoding="utf-8").split())
    _, simulated, power = read_section(PAGE.read_text(encoding="utf-8"))
    signs = next(row for row in power if row[:2] == ["5 images", RULES[0]])
    worst = max(percent(cell) for row in simulated if row[2] == RULES[2] for cell in row[3:])

    assert f"a standard deviation of {load_recorded().std(ddof=1):.1f} images" in guide
    assert "33 pairs decide two times of three, 60 nine times of ten" in guide
    assert (percent(signs[2 + PAIRS.index(33)]), percent(signs[2 + PAIRS.index(60)])) == (
        pytest.approx(66.7, abs=5),
        pytest.approx(92.5, abs=3),
    )
    assert "errs in up to 40 %" in guide
    assert worst == pytest.approx(40, abs=4)
