"""`bench power`."""

from __future__ import annotations

import re
from fractions import Fraction

import click

from bench.commands.challenges import challenge_option, choose_challenge
from bench.errors import SettingsError
from bench.figures import format_count, format_percent
from bench.power import Power, compute_power

PASS_RATES = ("1", "0.99", "0.97", "0.95", "0.9", "0.85", "0.8", "0.5")
HEAD = (
    "true p",
    "right is",
    "HOLDS",
    "FAILS",
    "undecided",
    "mean seeds",
    "half after",
    "90 % after",
)
MOST_SEEDS = 10_000
_SHARE = re.compile(r"\d?\.\d{1,9}|[01]")


@click.command("power")
@click.option(
    "--pass-rate", help="True share of all seeds that hold.  [default: a table of several]"
)
@click.option(
    "--reliability", help="Share that is asked for (q).  [default: the challenge's, 0.9 on MNIST]"
)
@click.option(
    "--confidence", help="Confidence of a verdict.  [default: the challenge's, 0.95 on MNIST]"
)
@challenge_option
@click.option(
    "--max-seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=300,
    show_default=True,
    help="Seeds after which one would give up.",
)
def command(
    pass_rate: str | None,
    reliability: str | None,
    confidence: str | None,
    dataset: str,
    max_seeds: int,
) -> None:
    """Say how many seeds a verdict will take, before any is trained.

    Computed exactly by the rule itself, read after every seed, for a network of which a share p of
    all seeds holds: the chances of HOLDS and FAILS within the seeds at most, the mean number of
    seeds spent, and after how many half and 90 % of all campaigns are decided.

    \b
    bench power
    true p  right is     HOLDS    FAILS  undecided  mean seeds  half after  90 % after
     100 %     HOLDS  100.00 %   0.00 %     0.00 %        33.0          33          33
      99 %     HOLDS   99.98 %   0.02 %     0.01 %        48.8          33          95
      97 %     HOLDS   98.77 %   0.10 %     1.13 %       100.8          95         195
      95 %     HOLDS   69.84 %   0.29 %    29.87 %       189.5         210       > 300
      90 %     HOLDS    3.84 %   1.85 %    94.32 %       285.4       > 300       > 300
      85 %     FAILS    0.48 %  33.33 %    66.20 %       247.1       > 300       > 300
      80 %     FAILS    0.07 %  95.27 %     4.66 %       117.7         104         246
      50 %     FAILS    0.01 %  99.99 %     0.00 %         8.9           7          18

    \b
    bench power --pass-rate 0.93 --max-seeds 2000   another share, and more patience
    """  # noqa: D301
    challenge = choose_challenge(dataset)[0]
    q = _choose_share("--reliability", reliability, challenge.reliability)
    level = _choose_share("--confidence", confidence, challenge.confidence)
    rates = PASS_RATES if pass_rate is None else (pass_rate,)
    powers = [
        compute_power(
            float(_parse_share("--pass-rate", rate)),
            reliability=q,
            confidence=level,
            max_runs=max_seeds,
        )
        for rate in rates
    ]
    click.echo("\n".join(write_table(powers)))


def write_table(powers: list[Power]) -> list[str]:
    """Return aligned lines: the head, then one a forecast; no chance of error is understated."""
    rows = [HEAD, *map(_list_cells, powers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _list_cells(power: Power) -> tuple[str, ...]:
    is_reliable = Fraction(repr(power.pass_rate)) >= power.reliability
    # sums of chances are exact to the rounding of floats
    holds, fails = (round(path[-1], 12) for path in (power.holds, power.fails))
    return (
        f"{power.pass_rate * 100:.9g} %",
        "HOLDS" if is_reliable else "FAILS",
        format_percent(holds, lift=not is_reliable),
        format_percent(fails, lift=is_reliable),
        format_percent(max(0.0, round(1 - holds - fails, 12)), lift=True),
        f"{power.mean_seeds:,.1f}",
        _write_seeds(power.median_seeds, power.max_runs),
        _write_seeds(power.seeds_for_90_percent, power.max_runs),
    )


def _write_seeds(seeds: int | None, most: int) -> str:
    return f"> {format_count(most)}" if seeds is None else format_count(seeds)


def _choose_share(name: str, text: str | None, default: Fraction) -> Fraction:
    """Return a share strictly between 0 and 1: as given, else the challenge's."""
    share = default if text is None else _parse_share(name, text)
    if share in (0, 1):
        raise SettingsError(f"{name} {float(share):g}: must lie between 0 and 1, as 0.9 does")
    return share


def _parse_share(name: str, text: str) -> Fraction:
    """Return the exact fraction of a decimal from 0 to 1."""
    if not _SHARE.fullmatch(text) or Fraction(text) > 1:
        raise SettingsError(f"{name} {text}: not a share from 0 to 1; write 0.95 for 95 %")
    return Fraction(text)
