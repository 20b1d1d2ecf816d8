"""`bench compare`: what it compares, what it prints, and what it refuses to compare.

The statistics themselves are tested in test_comparison.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import CONDITIONS, make_run, make_runs, plant_ledger
from scipy import stats

from bench.cli import main
from bench.iterations import MODELS, read_iteration
from bench.records import Run, Status

ITERATION_3 = read_iteration(MODELS / "iteration_3.py")
ITERATION_4 = read_iteration(MODELS / "iteration_4.py")
ON_GPU = replace(CONDITIONS, device="cuda sm_90")
BEFORE, AFTER = (9_920, 9_931, 9_925, 9_940), (9_941, 9_935, 9_952)
Captured = pytest.CaptureFixture[str]


def make_steady(counts: Sequence[int], iteration=ITERATION_4, **changes) -> list[Run]:
    """Return one run per count, with that count in each epoch of its window."""
    return [
        make_run(seed=seed, final=(count,) * 3, iteration=iteration, **changes)
        for seed, count in enumerate(counts)
    ]


def run_compare(folder: Path, runs: list[Run], *arguments: str) -> int:
    ledger = plant_ledger(folder / "ledger", runs)
    return main(["compare", "iteration_3", "iteration_4", "--ledger", str(ledger), *arguments])


def test_the_command_prints_what_was_compared(tmp_path: Path, capfd: Captured) -> None:
    """Means 99.29 and 99.4266 %, scipy's own interval, and 11 of 12 pairs that improve."""
    expected = stats.ttest_ind(
        [count / 10_000 for count in AFTER], [count / 10_000 for count in BEFORE], equal_var=False
    )
    upper = 100 * expected.confidence_interval(0.95).high

    assert run_compare(tmp_path, [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER)]) == 0

    printed = capfd.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].endswith("last 3 epochs (cpu, fp32, eager engine, torch 2.13)")
    assert lines[1] == "iteration_3  99.290 %  4 seeds"
    assert lines[2] == "iteration_4  99.426 %  3 seeds"
    assert lines[3].startswith("difference: +0.136 points (95 % interval ")
    assert f"to +{int(1000 * upper) / 1000:.3f} points, p = {expected.pvalue:.4f})" in lines[3]
    assert lines[4].startswith("probability of improvement: 91.66 %")


def test_the_document_has_the_same_figures(tmp_path: Path, capfd: Captured) -> None:
    """For programs: exact fractions as numbers, digests, and a version."""
    runs = [*make_steady(BEFORE, ITERATION_3), *make_steady(AFTER)]

    assert run_compare(tmp_path, runs, "--format", "json") == 0

    document = json.loads(capfd.readouterr().out)
    difference = Fraction(sum(AFTER), 30_000) - Fraction(sum(BEFORE), 40_000)
    assert (document["format"], document["dataset"]) == (1, "d" * 64)
    assert document["comparison"]["difference"]["mean"] == float(difference)
    assert document["comparison"]["improvement"] == 11 / 12
    assert document["later"]["fingerprint"] == ITERATION_4.fingerprint
    assert (document["earlier"]["runs"], document["earlier"]["scored"]) == (4, 4)


def test_one_run_of_each_has_a_difference_and_no_interval(tmp_path: Path, capfd: Captured) -> None:
    """A single seed says nothing of the spread."""
    assert run_compare(tmp_path, [*make_steady([9_940], ITERATION_3), *make_steady([9_949])]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert lines[3] == (
        "difference: +0.090 points (no interval: it needs two seeds on either side)"
    )
    assert lines[4].startswith("probability of improvement: 100.00 %")


def test_the_other_way_round_is_worse(tmp_path: Path, capfd: Captured) -> None:
    """The second iteration's minus the first's: the sign is that of the order."""
    assert run_compare(tmp_path, [*make_steady([9_949], ITERATION_3), *make_steady([9_940])]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert lines[3].startswith("difference: −0.090 points")
    assert lines[4].startswith("probability of improvement: 0.00 %")


def test_a_diverged_run_is_left_out_of_the_mean_and_said_to_be(
    tmp_path: Path, capfd: Captured
) -> None:
    """It has no window to average; among pairs of seeds it loses."""
    diverged = make_run(seed=1, status=Status.DIVERGED, epochs=(), mistakes=())

    assert (
        run_compare(tmp_path, [*make_steady([9_940], ITERATION_3), *make_steady([9_950]), diverged])
        == 0
    )

    lines = capfd.readouterr().out.splitlines()
    assert lines[2] == "iteration_4  99.500 %  1 seeds, 1 more without a whole final window"
    assert lines[4].startswith("probability of improvement: 50.00 %")


def test_diverged_runs_alone_have_no_difference(tmp_path: Path, capfd: Captured) -> None:
    """There is nothing to subtract, and the line says so."""
    diverged = make_run(status=Status.DIVERGED, epochs=(), mistakes=())

    assert run_compare(tmp_path, [*make_steady([9_940], ITERATION_3), diverged]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert lines[3] == "difference: none, a side has no seed with a whole final window"


def test_conditions_that_both_were_trained_under_are_found(tmp_path: Path, capfd: Captured) -> None:
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
    tmp_path: Path, capfd: Captured, runs: list[Run], says: str
) -> None:
    """The line says why, and nothing is printed that could be taken for a result."""
    assert run_compare(tmp_path, runs) == 2

    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bench: error: {says}")
    assert printed.err.count("\n") == 1
