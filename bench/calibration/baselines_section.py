"""The section of docs/calibration.md on `bench gate --against`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bench.calibration.baselines import (
    FIRST_WELCH,
    MARGIN,
    PAIRS,
    RECORDED,
    BaselineErrors,
    BaselinePower,
)
from bench.calibration.figures import cut_percent, lift_percent
from bench.markdown import render_paragraph, render_table

TITLE = "## Not worse than before"
_TRUTHS = {"at the margin": "NOT WORSE at the margin", "equal": "WORSE though equal"}


def render_baselines(errors: Sequence[BaselineErrors], powers: Sequence[BaselinePower]) -> str:
    """Return what `bench gate --against` says wrongly, and how many pairs it takes."""
    wrong = render_table(
        ["data of one seed", "wrong is", "rule", *(f"{pairs} pairs" for pairs in PAIRS)],
        [
            [
                row.data,
                _TRUTHS[row.truth],
                row.rule,
                *(lift_percent(Fraction(count, row.campaigns)) for count in row.wrong),
            ]
            for row in errors
        ],
    )
    exact, *others = powers
    bound = render_table(
        ["exact", *(f"{pairs} pairs" for pairs in PAIRS)],
        [[exact.rule, *map(lift_percent, exact.right)]],
    )
    right = render_table(
        ["sd of a seed", "rule", *(f"{pairs} pairs" for pairs in PAIRS)],
        [[f"{row.deviation:g} images", row.rule, *map(cut_percent, row.right)] for row in others],
    )
    method, rivals, conclusion = _explain(errors[0].campaigns)
    return "\n\n".join((TITLE, method, bound, rivals, wrong, conclusion, right))


def _explain(campaigns: int) -> tuple[str, str, str]:
    method = f"""
        `bench gate --against` says NOT WORSE when the median difference of a pair of seeds, new
        minus old, is shown to be above minus the margin, here {MARGIN:g} images of 10,000, and
        WORSE when it is shown to be below zero and not that. It counts signs, and may be read after
        every pair. Its worst case is a fair coin: whatever the data, the chance of a wrong answer
        by so many pairs is at most
    """
    rivals = f"""
        Simulated, {campaigns:,} campaigns a row: the share that has given a wrong answer by so many
        pairs, beside one-sided 95 % bounds of Welch's t on as many seeds of either side, read once,
        at that number of seeds, and read after every pair from {FIRST_WELCH} on. Where old and new
        are distributed alike, the medians and the means are planted at once; for the last data
        each rule has the truth of what it estimates. The recorded seeds are those of
        `{RECORDED}` in this repository's ledger, under the conditions with most runs.
    """
    conclusion = f"""
        Read once, Welch's interval keeps its promise, except where the new seeds are skewed and
        the old ones are not. Read after every pair, as a pull request is that is pushed to again,
        it does not: it is shown, and decides nothing. What the signs pay for that is seeds. The
        chance of NOT WORSE where both are equal, which is that of WORSE after a slip of the whole
        margin ({MARGIN:g} images), on normal data, computed:
    """
    return render_paragraph(method), render_paragraph(rivals), render_paragraph(conclusion)
