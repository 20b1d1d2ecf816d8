"""What `nox -s faults` runs: every fault, one after the other, and the table of what became of it.

python tests/faults                            all of them, in half an hour
python tests/faults --short                    fewer times each, for CI, in ten minutes at most
python tests/faults --only full_disk           one file of faults
python tests/faults --output docs/reliability.md   write the page as well

Exit code 1 when a run was lost or counted twice, a verdict was wrong, or anything else surprised.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # `bench` and `models`; `faults`

from faults import (  # noqa: E402
    clocks,
    command_lines,
    flipped_bits,
    full_disk,
    fuzzed_lines,
    killed_appends,
    killed_trainings,
    model_files,
    read_only,
    torn_lines,
    writers,
)
from faults.outcome import Circumstances, Outcome  # noqa: E402
from faults.page import Session, write_file, write_page, write_row  # noqa: E402

SEED = 20_260_101
FAULTS: tuple[Callable[[Circumstances], Outcome], ...] = (
    killed_trainings.inject,
    killed_appends.inject,
    torn_lines.inject,
    full_disk.inject_disk,
    full_disk.inject_limit,
    writers.inject_two,
    writers.inject_four,
    read_only.inject,
    clocks.inject,
    flipped_bits.inject,
    fuzzed_lines.inject_mutations,
    fuzzed_lines.inject_structures,
    fuzzed_lines.inject_guided,
    command_lines.inject_commands,
    command_lines.inject_folders,
    model_files.inject_strays,
    model_files.inject_calm,
)


def main(arguments: Sequence[str]) -> int:
    """Inject every fault that is asked for and return the exit code."""
    options = _parse(arguments)
    print(f"random seed {options.seed}", flush=True)
    started = time.perf_counter()
    chosen = [fault for fault in FAULTS if _is_chosen(fault, options.only)]
    with ThreadPoolExecutor(options.jobs) as pool:  # most of them wait for processes
        outcomes = list(pool.map(lambda fault: _inject(fault, options), chosen))
    session = Session(
        command=shlex.join(["nox", "-s", "faults", *(["--", *arguments] if arguments else [])]),
        seed=options.seed,
        machine=f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        minutes=(time.perf_counter() - started) / 60,
    )
    if options.output:
        write_file(options.output, write_page(outcomes, session))
    return 0 if all(outcome.is_clean for outcome in outcomes) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s faults --",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="fewer times each")
    parser.add_argument("--seed", type=int, default=SEED, help="of all that is random")
    parser.add_argument("--only", action="append", metavar="FILE", help="a file of tests/faults")
    parser.add_argument("--jobs", type=int, default=2, help="faults injected at a time")
    parser.add_argument("--output", type=Path, metavar="PAGE", help="write the table there")
    return parser.parse_args(arguments)


def _is_chosen(fault: Callable[[Circumstances], Outcome], only: list[str] | None) -> bool:
    return not only or fault.__module__.partition(".")[2] in only


def _inject(fault: Callable[[Circumstances], Outcome], options: argparse.Namespace) -> Outcome:
    started = time.perf_counter()
    generator = random.Random(f"{options.seed} {fault.__module__} {fault.__name__}")
    with tempfile.TemporaryDirectory(prefix="bench-faults-", ignore_cleanup_errors=True) as folder:
        given = Circumstances(generator=generator, folder=Path(folder), short=options.short)
        try:
            outcome = fault(given)
        except Exception:  # the other faults' hours are not lost with this one
            outcome = Outcome(fault=fault.__module__, surprises=[traceback.format_exc()])
    print(write_row(outcome, time.perf_counter() - started), flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
