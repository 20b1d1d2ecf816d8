"""What a campaign on many GPUs would meet first: `python tests/perf --simulate`.

A deterministic model of events. Every GPU trains one block of seeds after another; one driver
records the runs that come back, a block at a time, and hands out the next block, for which the GPU
waits. At the end the ledger is judged and its page written. The seconds of the driver, the judge
and the page are measured and read from `results`; how fast a GPU trains is an assumption.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import format_count, format_seconds
from perf.measure_cluster import find_overhead
from perf.stored import RESULTS, ClusterCost, Million, read_result

SEEDS_A_MINUTE = 100.0
"""Of one GPU, assumed: none has been measured."""
RUNS = (1_000, 10_000, 100_000, 1_000_000)
GPUS = (1, 10, 100, 1_000)
BUSY = 0.9
"""A driver that is busy for this share of the training is what the GPUs wait for."""
LONG = 0.1
"""Judging and the page are met first where they take this share of the whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Seconds: of a GPU for a run; of the driver for a unit, and for a run; of the end for a run.

    `append` is of a run that is appended with the others of its unit, `append_alone` of one that
    is not.
    """

    unit: int
    training: float
    dispatch: float
    append: float
    append_alone: float
    judging: float
    page: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """How so many runs on so many GPUs went, in seconds; `trained` is when all are on disk."""

    runs: int
    gpus: int
    units: int
    trained: float
    dispatching: float
    appending: float
    ending: float
    ideal: float

    @property
    def wall(self) -> float:
        """Return when the page is there."""
        return self.trained + self.ending

    @property
    def efficiency(self) -> float:
        """Return the share of their time in which the GPUs train, until the page is there."""
        return self.ideal / self.wall

    @property
    def busy(self) -> float:
        """Return the share of the training in which the driver is at work."""
        return (self.dispatching + self.appending) / self.trained

    @property
    def met(self) -> str:
        """Return what stands first in the way of a quicker end."""
        if self.units < self.gpus:
            return "fewer blocks than GPUs"
        if self.busy >= BUSY:
            return "hand-outs" if self.dispatching > self.appending else "appends"
        return "judge and page" if self.ending >= LONG * self.wall else "GPUs"


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python tests/perf --simulate", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--seeds-a-minute", type=float, default=SEEDS_A_MINUTE, help="of a GPU")
    options = parser.parse_args(arguments)
    costs = read_costs(options.results, seeds_a_minute=options.seeds_a_minute)
    for row in tabulate(costs):
        print(" | ".join(row))


def simulate(runs: int, gpus: int, costs: Costs) -> Campaign:
    """Play a campaign through, event by event."""
    units = -(-runs // costs.unit)
    recorded, block = costs.unit * costs.append, costs.unit * costs.training
    driver, training = 0.0, list[float]()
    for _ in range(min(gpus, units)):
        driver += costs.dispatch
        heapq.heappush(training, driver + block)
    for unit in range(units):
        driver = max(driver, heapq.heappop(training)) + recorded
        if unit + min(gpus, units) < units:
            driver += costs.dispatch
            heapq.heappush(training, driver + block)
    return Campaign(
        runs=runs,
        gpus=gpus,
        units=units,
        trained=driver,
        dispatching=units * costs.dispatch,
        appending=units * recorded,
        ending=runs * (costs.judging + costs.page),
        ideal=runs * costs.training / gpus,
    )


def tabulate(costs: Costs) -> list[tuple[str, ...]]:
    """Return how campaigns go, a row each under a row of headings."""
    alone = replace(costs, append=costs.append_alone)
    rows: list[tuple[str, ...]] = [
        ("runs", "GPUs", "until the page", "efficiency", "driver busy", "met first", "one by one")
    ]
    for runs in RUNS:
        for gpus in GPUS:
            campaign = simulate(runs, gpus, costs)
            rows.append(
                (
                    format_count(runs),
                    format_count(gpus),
                    format_seconds(campaign.wall),
                    f"{campaign.efficiency:.2f}",
                    f"{campaign.busy:.0%}",
                    campaign.met,
                    f"{simulate(runs, gpus, alone).efficiency:.2f}",
                )
            )
    return rows


def read_costs(results: Path, *, seeds_a_minute: float = SEEDS_A_MINUTE) -> Costs:
    """Return the costs that were measured, and the assumed one.

    Raises:
        BenchError: one of them was not measured.
    """
    million = read_result(results / "million.json", Million)
    cluster = read_result(results / "cluster.json", ClusterCost)
    return Costs(
        unit=million.unit,
        training=60.0 / seeds_a_minute,
        dispatch=max(find_overhead(cluster), 0.0),
        append=1e-3 * million.append_in_unit_milliseconds,
        append_alone=1e-3 * million.append_milliseconds,
        judging=million.cpu_seconds_of("judge") / million.runs,
        page=sum(phase.cpu_seconds for phase in million.phases if "report" in phase.name)
        / million.runs,
    )
