"""What `nox -s perf` runs: one kind of measurement, or the page that shows them all.

python tests/perf                      run the benchmarks, fail on a regression
python tests/perf --update-baseline    run the benchmarks, keep them as this machine's baseline
python tests/perf --ratio              runs per minute of the engines, beside the plain one
python tests/perf --steps              images per second of a training step, way by way
python tests/perf --seeds-curve        wall time against the number of seeds
python tests/perf --memory             peak memory of a worker, beyond torch's own
python tests/perf --judge              processor time and memory of `bench judge`
python tests/perf --report             the page of a large ledger: writing, opening, pointing
python tests/perf --cluster            runs by Ray against runs by the local pool of processes
python tests/perf --million            a ledger of a million runs: read, judged, its page written
python tests/perf --simulate           what a campaign on up to 1,000 GPUs would meet first
python tests/perf --gpu-probe          what the GPU engine gives on this machine's GPU
python tests/perf --page               write docs/performance.md and docs/scaling.md from results

Each takes options of its own: `python tests/perf --ratio --help`. Real MNIST is found where
`bench run` finds it: in BENCH_DATA, else in ./data. Exit code 1 is a regression or a stale page, 2
a usage error.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # `bench` and `models`; `perf` and `planted_runs`

from bench.errors import BenchError  # noqa: E402

JOBS = {
    "--ratio": "perf.measure_ratio",
    "--steps": "perf.measure_steps",
    "--seeds-curve": "perf.measure_seeds",
    "--memory": "perf.measure_memory",
    "--judge": "perf.measure_judge",
    "--report": "perf.measure_report",
    "--cluster": "perf.measure_cluster",
    "--million": "perf.measure_million",
    "--simulate": "perf.simulate",
    "--gpu-probe": "perf.probe_gpu",
    "--page": "perf.write_page",
}


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument names, else the benchmarks; return the exit code."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    named = bool(arguments) and arguments[0] in JOBS
    module = importlib.import_module(JOBS[arguments[0]] if named else "perf.compare")
    try:
        return int(module.main(arguments[1:] if named else arguments) or 0)
    except BenchError as error:
        print(f"perf: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
