"""What it costs to train by Ray: the same runs on the same cores, with and without `--cluster`.

Both sides are whole commands, to and fro, on a Ray of one node that runs before the first of them
and has a task a core. Long runs of iteration 4 on real MNIST give the efficiency: wall time of the
local pool of processes over that of the cluster. Short runs of the embedded digits give the
overhead of a run: what one more run takes on a core, by the cluster and by the local pool.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.errors import BenchError
from bench.training.devices import count_cores
from perf.engines import ITERATION
from perf.stored import PERF, RESULTS, ClusterCost, ClusterTiming, describe_host, write_result

POOL, CLUSTER = "pool", "cluster"
FEW, MANY = 2, 22
"""Short runs a core, so many and so many."""


def main(arguments: Sequence[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python tests/perf --cluster", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--epochs", type=int, default=15, help="of a long run [%(default)s]")
    parser.add_argument("--runs", type=int, default=3, help="long runs a core [%(default)s]")
    parser.add_argument("--dataset", default="mnist", help="of the long runs [%(default)s]")
    parser.add_argument("--output", type=Path, default=RESULTS / "cluster.json")
    options = parser.parse_args(arguments)
    host, cores = describe_host(), count_cores()
    long = (options.dataset, options.runs * cores, options.epochs)
    short = [("digits", count * cores, 1) for count in (FEW, MANY)]
    timings = []
    with start_ray(cores) as address:
        for number in range(options.repetitions):
            for kind in (long, *short):
                sides = (POOL, CLUSTER) if number % 2 == 0 else (CLUSTER, POOL)
                timings += [time_command(side, address, kind) for side in sides]
    measured = ClusterCost(
        host=host, ray=version("ray"), workers=cores, iteration=ITERATION, timings=tuple(timings)
    )
    write_result(options.output, measured)
    ratios = find_efficiencies(measured)
    print(
        f"efficiency {', '.join(f'{ratio:.3f}' for ratio in ratios)}; median {median(ratios):.3f}"
    )
    print(f"overhead of a run: {1e3 * find_overhead(measured):.0f} ms of its core")


@contextmanager
def start_ray(cores: int) -> Iterator[str]:
    """Run a cluster of one node of so many cores meanwhile, and give its address."""
    from ray.cluster_utils import Cluster

    here = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "num_cpus": cores}
    cluster = Cluster(initialize_head=True, head_node_args=here)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def time_command(side: str, address: str, kind: tuple[str, int, int]) -> ClusterTiming:
    """Return the wall time of a whole command: start-up, inspection, training, page and all.

    Raises:
        BenchError: it failed; the message ends with its last line.
    """
    dataset, runs, epochs = kind
    where = ("--cluster", address) if side == CLUSTER else ()
    with tempfile.TemporaryDirectory(prefix="bench-perf-") as name:
        folder = Path(name)
        command = [
            *(sys.executable, "-m", "bench", "run", ITERATION, "--device", "cpu", *where),
            *("--dataset", dataset, "--seeds", str(runs), "--epochs", str(epochs)),
            *("--workers", str(count_cores())),
            *("--ledger", str(folder / "ledger"), "--page", str(folder / "index.html")),
        ]
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=PERF.parents[1], capture_output=True, text=True)
        seconds = round(time.perf_counter() - begun, 2)
    if done.returncode:
        raise BenchError(f"bench run by the {side}: {done.stderr.splitlines()[-1:]}")
    print(f"{side}: {runs} runs of {epochs} epochs on {dataset} in {seconds:.1f} s", flush=True)
    return ClusterTiming(side=side, dataset=dataset, runs=runs, epochs=epochs, seconds=seconds)


def group_by_kind(
    measured: ClusterCost,
) -> dict[tuple[str, int, int], tuple[list[float], list[float]]]:
    """Return seconds by the pool and by the cluster for each dataset, number of runs and epochs."""
    kinds: dict[tuple[str, int, int], tuple[list[float], list[float]]] = {}
    for timing in measured.timings:
        sides = kinds.setdefault((timing.dataset, timing.runs, timing.epochs), ([], []))
        sides[timing.side == CLUSTER].append(timing.seconds)
    return kinds


def find_efficiencies(measured: ClusterCost) -> list[float]:
    """Return wall time by the pool over wall time by the cluster, by repetition of long runs."""
    _, long = measured.split()
    pool = [timing.seconds for timing in long if timing.side == POOL]
    cluster = [timing.seconds for timing in long if timing.side == CLUSTER]
    return [mine / theirs for mine, theirs in zip(pool, cluster, strict=True)]


def find_overhead(measured: ClusterCost) -> float:
    """Return the seconds of a core that a run takes more by the cluster than by the pool."""
    short, _ = measured.split()

    def slope(side: str) -> float:
        seconds: dict[int, list[float]] = {}
        for timing in short:
            if timing.side == side:
                seconds.setdefault(timing.runs, []).append(timing.seconds)
        few, many = min(seconds), max(seconds)
        more = median(seconds[many]) - median(seconds[few])
        return measured.workers * more / (many - few)

    return slope(CLUSTER) - slope(POOL)
