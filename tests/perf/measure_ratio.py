"""Runs per minute of wall time of each engine, and their ratio to the first engine named.

Every repetition times `bench run iteration_4` on real MNIST once with each engine, the whole
command from start-up to page: one run at a time with the plain engine, one run a core with the
others, a whole block on a GPU. The order is reversed in every second repetition, so that a machine
that becomes slower favours none.
Start-up weighs more in a short run: `--whole` times runs of 15 epochs, as they are recorded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from perf.engines import count_runs, default_engines, parse_engines, settle_loader_workers
from perf.runs import ITERATION, WHOLE_EPOCHS, time_each, time_run
from perf.stored import RESULTS, Timings, describe_host, write_result


def main(arguments: Sequence[str]) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python tests/perf --ratio", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="[%(default)s]")
    parser.add_argument(
        "--engines", help=f"[{default_engines()}; on cuda {default_engines('cuda')}]"
    )
    parser.add_argument("--repetitions", type=int, help="[3, with --whole 1]")
    parser.add_argument("--epochs", type=int, default=1, help="of a run [%(default)s]")
    parser.add_argument("--whole", action="store_true", help="runs of 15 epochs, once")
    parser.add_argument("--output", type=Path, help="[results/ratio.json, or ratio_whole.json]")
    options = parser.parse_args(arguments)
    engines = parse_engines(options.engines or default_engines(options.device))
    settle_loader_workers(engines, options.device)
    epochs = WHOLE_EPOCHS if options.whole else options.epochs
    repetitions = options.repetitions or (1 if options.whole else 3)
    measured = Timings(
        host=describe_host(),
        iteration=ITERATION,
        epochs=epochs,
        timings=time_each(
            interleave(engines, repetitions),
            epochs=epochs,
            time_one=partial(time_run, device=options.device),
        ),
    )
    place = "_gpu" if options.device == "cuda" else ""
    stored = RESULTS / f"ratio{'_whole' if options.whole else ''}{place}.json"
    write_result(options.output or stored, measured)
    for engine in engines[1:]:
        ratios = find_ratios(measured, engine)
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"{engine} : {engines[0]} = {each}; "
            f"min {min(ratios):.2f}, median {median(ratios):.2f}, max {max(ratios):.2f}"
        )


def interleave(engines: Sequence[str], repetitions: int) -> list[tuple[str, int]]:
    """Return engines with the number of seeds each trains at once, to and fro."""
    order = [(engine, count_runs(engine)) for engine in engines]
    return [each for number in range(repetitions) for each in order[:: -1 if number % 2 else 1]]


def find_ratios(measured: Timings, engine: str) -> list[float]:
    """Return by what factor an engine gives more runs per minute than the first, by repetition."""
    first = measured.of(measured.engines[0])
    return [
        mine.runs_per_minute / other.runs_per_minute
        for mine, other in zip(measured.of(engine), first, strict=True)
    ]
