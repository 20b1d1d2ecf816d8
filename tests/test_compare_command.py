"""The comparison of two iterations, against Welch's formula written out and counts by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from statistics import fmean, variance

import pytest
from msgspec.structs import replace
from planted_runs import CONDITIONS, make_run, make_runs, plant_ledger
from scipy import stats

from bench.challenges import MNIST
from bench.cli import main
from bench.comparison import Comparison, compare
from bench.errors import EvidenceError
from bench.evidence import Evidence, select_evidence
from bench.iterations import MODELS, read_iteration
from bench.records import Run, Status

ITERATION_3 = read_iteration(MODELS / "iteration_3.py")
ITERATION_4 = read_iteration(MODELS / "iteration_4.py")
ON_GPU = replace(CONDITIONS, device="cuda sm_90")
BEFORE, AFTER = (9_920, 9_931, 9_925, 9_940), (9_941, 9_935, 9_952)
DIVERGED = {"status": Status.DIVERGED, "epochs": (), "mistakes": ()}


def make_steady(counts: Sequence[int], iteration=ITERATION_4, **changes) -> list[Run]:
    """Return one run per count, with that count in each epoch of its window."""
    return [
        make_run(seed=seed, final=(count,) * 3, iteration=iteration, **changes)
        for seed, count in enumerate(counts)
    ]


def make_evidence(runs: list[Run], iteration=ITERATION_4) -> Evidence:
    return select_evidence(runs, iteration).evidence[0]


def compare_counts(before: Sequence[int], after: Sequence[int]) -> Comparison:
    return compare(
        make_evidence(make_steady(before, ITERATION_3), ITERATION_3),
        make_evidence(make_steady(after)),
        MNIST,
    )


def test_the_interval_and_p_are_welchs() -> None:
    """Welch (1947): unequal variances, degrees of freedom after Satterthwaite, written out."""
    before, after = ([count / 10_000 for count in counts] for counts in (BEFORE, AFTER))
    shares = [variance(values) / len(values) for values in (before, after)]
    error = sum(shares) ** 0.5
    freedom = sum(shares) ** 2 / sum(
        share**2 / (len(values) - 1) for share, values in zip(shares, (before, after), strict=True)
    )
    difference = fmean(after) - fmean(before)
    reach = stats.t.isf(0.025, freedom) * error

    found = compare_counts(BEFORE, AFTER)

    assert found.difference == Fraction(sum(AFTER), 30_000) - Fraction(sum(BEFORE), 40_000)
    assert (found.lower, found.upper) == pytest.approx((difference - reach, difference + reach))
    assert found.p_value == pytest.approx(2 * stats.t.sf(difference / error, freedom))


def test_improvement_is_counted_over_all_pairs() -> None:
    """A pair that is better counts one and a tie a half, over every pair of seeds."""
    before, after = (9_940, 9_950, 9_960), (9_950, 9_970)
    pairs = [(a > b) + (a == b) / 2 for b, a in product(before, after)]

    assert compare_counts(before, after).improvement == sum(pairs) / 6 == 4.5 / 6


def test_the_other_way_round_is_the_same_with_its_sign_changed() -> None:
    """Which iteration is named first changes nothing but the direction."""
    there, back = compare_counts(BEFORE, AFTER), compare_counts(AFTER, BEFORE)

    assert (back.difference, back.p_value) == (-there.difference, pytest.approx(there.p_value))
    assert (back.lower, back.upper) == pytest.approx((-there.upper, -there.lower))
    assert back.improvement == pytest.approx(1 - there.improvement)


def test_the_window_is_averaged_and_no_earlier_epoch() -> None:
    """Windows of 9,940 9,941 9,942 and of 9,950 alone differ by 9 of 10,000."""
    first = make_run(final=(9_999, 9_940, 9_941, 9_942), iteration=ITERATION_3)
    found = compare(make_evidence([first], ITERATION_3), make_evidence(make_steady([9_950])), MNIST)

    assert found.difference == Fraction(9, 10_000)


@pytest.mark.parametrize(
    ("before", "after"), [([9_940], [9_950]), ([9_940], [9_950, 9_951]), ([9_940] * 3, [9_950] * 2)]
)
def test_no_interval_where_there_is_no_spread_to_estimate(
    before: list[int], after: list[int]
) -> None:
    """One run of each, or seeds that are all alike, have a difference and no interval."""
    found = compare_counts(before, after)

    assert found.difference is not None
    assert found.lower is found.upper is found.p_value is None
    assert found.improvement == 1.0


def test_one_side_without_spread_still_has_an_interval() -> None:
    """Welch's error is then that of the other side, which has two degrees of freedom."""
    found = compare_counts([9_940] * 3, [9_950, 9_952, 9_954])
    reach = stats.t.isf(0.025, 2) * 2e-4 / 3**0.5

    assert (found.lower, found.upper) == pytest.approx((12e-4 - reach, 12e-4 + reach))


def test_a_diverged_run_is_counted_and_not_averaged() -> None:
    """It has no window; that it was left out is said beside the mean."""
    runs = [*make_steady([9_950, 9_960]), make_run(seed=2, **DIVERGED)]
    found = compare(
        make_evidence(make_steady([9_940], ITERATION_3), ITERATION_3), make_evidence(runs), MNIST
    )

    assert (found.second.runs, found.second.scored) == (3, 2)
    assert found.second.mean == Fraction(9_955, 10_000)


def test_without_a_scored_run_there_is_no_difference() -> None:
    """Diverged runs alone have no accuracy to compare."""
    found = compare(
        make_evidence(make_steady([9_940], ITERATION_3), ITERATION_3),
        make_evidence([make_run(**DIVERGED)]),
        MNIST,
    )

    assert found.second.mean is found.difference is found.improvement is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"conditions": ON_GPU}, "unlike conditions"), ({"dataset": "e" * 64}, "unlike images")],
)
def test_unlike_evidence_is_refused(changes: dict, named: str) -> None:
    """A difference between a CPU and a GPU, or two datasets, is not one between iterations."""
    with pytest.raises(EvidenceError, match=named):
        compare(
            make_evidence(make_steady(BEFORE, ITERATION_3), ITERATION_3),
            make_evidence(make_steady(AFTER, **changes)),
            MNIST,
        )


def run_compare(folder: Path, runs: list[Run], *arguments: str) -> int:
    ledger = plant_ledger(folder / "ledger", runs)
    return main(["compare", "iteration_3", "iteration_4", "--ledger", str(ledger), *arguments])


def test_the_command_prints_what_was_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Means 99.29 and 99.4266 %, their difference, and the chance that a seed is better."""
    runs = [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER)]

    assert run_compare(tmp_path, runs) == 0

    printed = capfd.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].endswith("last 3 epochs (cpu, fp32, eager engine, torch 2.13)")
    assert lines[1] == "iteration_3  99.290 %  4 seeds"
    assert lines[2] == "iteration_4  99.426 %  3 seeds"
    assert lines[3].startswith("difference: +0.137 points (95 % interval ")
    assert lines[4].startswith("probability of improvement: 91.66 %")  # 11 of 12 pairs


def test_the_document_has_the_same_figures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """For programs: exact fractions as numbers, and a version."""
    runs = [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER)]

    assert run_compare(tmp_path, runs, "--format", "json") == 0

    document = json.loads(capfd.readouterr().out)
    found = compare_counts(BEFORE, AFTER)
    assert document["format"] == 1
    assert document["comparison"]["difference"] == float(found.difference)
    assert document["comparison"]["p_value"] == found.p_value
    assert document["comparison"]["second"]["fingerprint"] == ITERATION_4.fingerprint


def test_conditions_that_both_were_trained_under_are_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Most runs of one are on a GPU, where the other has none: they meet on the CPU."""
    runs = [
        *make_steady(BEFORE, ITERATION_3),
        *make_steady(AFTER),
        *make_steady([9_900] * 9, conditions=ON_GPU),
    ]

    assert run_compare(tmp_path, runs) == 0

    printed = capfd.readouterr().out
    assert "(cpu, fp32" in printed
    assert "iteration_4  99.426 %  3 seeds" in printed


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        (make_steady(AFTER), "iteration_3: no runs; run `bench run iteration_3`"),
        (
            [*make_steady(BEFORE, ITERATION_3), *make_runs(range(3), fingerprint="0" * 64)],
            "iteration_4: stale: 3 runs",
        ),
        (
            [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER, conditions=ON_GPU)],
            "iteration_3 and iteration_4 cannot be compared: unlike conditions",
        ),
        (
            [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER, dataset="e" * 64)],
            "iteration_3 and iteration_4 cannot be compared: unlike images",
        ),
    ],
    ids=["none", "stale", "conditions", "images"],
)
def test_what_cannot_be_compared_is_one_line_and_exit_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], runs: list[Run], says: str
) -> None:
    """The line says why, and nothing is printed that could be taken for a result."""
    assert run_compare(tmp_path, runs) == 2

    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bench: error: {says}")
    assert printed.err.count("\n") == 1
