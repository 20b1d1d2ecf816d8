"""`bench power`: a forecast one can read, whose help shows what it really prints."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bench.cli import main
from bench.power import compute_power

Captured = pytest.CaptureFixture[str]


def print_power(capfd: Captured, *arguments: str) -> list[str]:
    assert main(["power", *arguments]) == 0
    return capfd.readouterr().out.splitlines()


def test_the_example_in_the_help_is_the_output(capfd: Captured) -> None:
    """The table that `bench power --help` shows is line for line what `bench power` prints."""
    table = print_power(capfd)
    assert main(["power", "--help"]) == 0
    shown = capfd.readouterr().out.splitlines()

    start = shown.index("  bench power") + 1
    assert [line[2:] for line in shown[start : start + len(table)]] == table
    assert len(table) == 9


def test_one_pass_rate_is_one_row(capfd: Captured) -> None:
    """Its cells are those of the forecast at p = 0.97, cut where right and lifted where wrong."""
    power = compute_power(
        0.97, reliability=Fraction("0.9"), confidence=Fraction("0.95"), max_runs=300
    )
    head, row = print_power(capfd, "--pass-rate", "0.97")

    assert head.split()[:2] == ["true", "p"]
    assert row.split() == [
        "97", "%", "HOLDS", "98.77", "%", "0.10", "%", "1.13", "%",
        f"{power.mean_seeds:.1f}", str(power.median_seeds), str(power.seeds_for_90_percent),
    ]  # fmt: skip
    assert 0.9877 <= power.holds[-1] < 0.9878
    assert 0.0009 < power.fails[-1] <= 0.0010


def test_certain_verdicts_take_the_numbers_of_the_protocol(capfd: Captured) -> None:
    """Clean seeds at q = 0.80, 0.90, 0.95: 16, 33 and 68; none that holds at 0.90: two."""
    for reliability, seeds in (("0.80", "16"), ("0.90", "33"), ("0.95", "68")):
        row = print_power(capfd, "--pass-rate", "1", "--reliability", reliability)[1]
        assert row.split()[-2:] == [seeds, seeds]
    assert print_power(capfd, "--pass-rate", "0")[1].split()[-2:] == ["2", "2"]


def test_a_limit_that_is_not_enough_is_said(capfd: Captured) -> None:
    """With 32 seeds not even a clean iteration is decided, and no number is invented."""
    row = print_power(capfd, "--pass-rate", "1.0", "--max-seeds", "32")[1]

    assert "100.00 %" in row  # undecided
    assert row.endswith("> 32        > 32")


def test_a_higher_confidence_takes_more_seeds(capfd: Captured) -> None:
    """At 99 % the threshold is 100 and not 20: half of (1/0.9)^n is above it from n = 51 on."""
    seeds = int(print_power(capfd, "--pass-rate", "1", "--confidence", "0.99")[1].split()[-1])

    assert 33 < seeds <= 51


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pass-rate", "95"], "--pass-rate 95: not a share from 0 to 1; write 0.95"),
        (["--pass-rate", "1.01"], "--pass-rate 1.01: not a share"),
        (["--pass-rate", "-0.5"], "--pass-rate -0.5: not a share"),
        (["--pass-rate", "nan"], "--pass-rate nan: not a share"),
        (["--pass-rate", "1e-999999999"], "--pass-rate 1e-999999999: not a share"),
        (["--reliability", "1"], "--reliability 1: must lie between 0 and 1"),
        (["--reliability", "0"], "--reliability 0: must lie between 0 and 1"),
        (["--confidence", "1.0"], "--confidence 1: must lie between 0 and 1"),
        (["--confidence", "95%"], "--confidence 95%: not a share"),
        (["--max-seeds", "0"], "Invalid value for '--max-seeds'"),
        (["--max-seeds", "10001"], "Invalid value for '--max-seeds'"),
        (["0.95"], "Got unexpected extra argument (0.95)"),
    ],
    ids=" ".join,
)
def test_a_wrong_value_is_one_line_and_exit_2(
    capfd: Captured, arguments: list[str], says: str
) -> None:
    """The line gives the wrong value and what to write; no half a table is printed."""
    assert main(["power", *arguments]) == 2

    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bench: error: {says}")
    assert printed.err.count("\n") == 1
