"""Wall time of `bench run iteration_4` against the number of seeds, for each engine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from perf.engines import default_engines, parse_engines
from perf.runs import ITERATION, time_each
from perf.stored import RESULTS, Timings, describe_host, write_result


def main(arguments: Sequence[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python tests/perf --seeds-curve", description=__doc__)
    parser.add_argument("--engines", default=default_engines(ITERATION), help="[%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 4, 8), help="[1 2 4 8]")
    parser.add_argument("--epochs", type=int, default=1, help="of a run [%(default)s]")
    parser.add_argument("--output", type=Path, default=RESULTS / "seeds.json")
    options = parser.parse_args(arguments)
    engines = parse_engines(options.engines)
    plan = [(engine, seeds) for seeds in options.seeds for engine in engines]
    measured = Timings(
        host=describe_host(),
        iteration=ITERATION.name,
        epochs=options.epochs,
        timings=time_each(plan, epochs=options.epochs),
    )
    write_result(options.output, measured)
