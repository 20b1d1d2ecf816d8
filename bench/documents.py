"""Figures in README and docs, written from the ledger between marks: `python -m bench.documents`.

A block starts with `<!-- NAME -->` and ends with `<!-- /NAME -->`. With `--check` nothing is
written, and the exit code is 1 when a document says something else than the ledger.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench.challenges import MNIST
from bench.evidence import Evidence, run_holds, select_evidence
from bench.figures import format_accuracy, format_percent, format_seconds
from bench.findings import ClaimComparison, compare_claim
from bench.iterations import Iteration, list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.verdict import Verdict, judge_all
from bench.verdict_table import write_markdown

DOCUMENTS = ("README.md", "docs/reproduction.md")


def write_verdicts(ledger: Path) -> str:
    """Return the verdict of each iteration under the conditions with the most runs."""
    return write_markdown([verdicts[0] for _, verdicts in _judge_ledger(ledger)])


def write_claims(ledger: Path) -> str:
    """Return what was claimed of one run beside the best epochs of our seeds."""
    rows = [
        "| iteration | engine | best accuracy | claimed | lowest seed | highest | deviation "
        "| typical? |",
        f"|{' --- |' * 8}",
    ]
    for iteration, evidence in _list_evidence(ledger):
        if iteration.narrative.claim is not None:
            comparisons = compare_claim(evidence, iteration.narrative.claim)
            engine = evidence.conditions.engine
            rows += [_write_claim(iteration, engine, comparison) for comparison in comparisons]
    return "\n".join(rows)


def write_runs(ledger: Path) -> str:
    """Return the final window of every run."""
    rows = ["| iteration | engine | seed | last three epochs | holds |", f"|{' --- |' * 5}"]
    for iteration, evidence in _list_evidence(ledger):
        for run in evidence.runs:
            final = ", ".join(
                format_accuracy(epoch.validation_correct, epoch.validation_total)
                for epoch in run.epochs[-MNIST.window :]
            )
            holds = "yes" if run_holds(run, MNIST) else "no"
            cells = (iteration.name, run.conditions.engine, str(run.seed), final, holds)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def write_times(ledger: Path) -> str:
    """Return how long the runs took, each by the clock beside the others that ran with it."""
    rows = ["| iteration | engine | runs | median run | all runs |", f"|{' --- |' * 5}"]
    for iteration, evidence in _list_evidence(ledger):
        seconds = [run.wall_seconds for run in evidence.runs]
        figures = (format_seconds(median(seconds)), format_seconds(sum(seconds)))
        cells = (iteration.name, evidence.conditions.engine, str(len(seconds)), *figures)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "verdicts": write_verdicts,
    "claims": write_claims,
    "runs": write_runs,
    "times": write_times,
}


def fill_blocks(text: str, ledger: Path) -> str:
    """Return a document with every known block written anew from the ledger."""
    for name, write in BLOCKS.items():
        text = replace_block(text, name, partial(write, ledger))
    return text


def replace_block(text: str, name: str, write: Callable[[], str]) -> str:
    """Return a document with one block written anew, where it has that block."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        return text
    block = write()
    return pattern.sub(lambda marks: f"{marks[1]}{block}\n{marks[2]}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the documents of the working directory, or check them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.documents", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    parser.add_argument("--ledger", type=Path, default=Path("reports/ledger"))
    options = parser.parse_args(arguments)
    stale = []
    for document in map(Path, DOCUMENTS):
        text = document.read_text(encoding="utf-8")
        written = fill_blocks(text, options.ledger)
        if written != text:
            stale.append(document)
            if not options.check:
                document.write_text(written, encoding="utf-8")
    for document in stale:
        verb = "differs from the ledger: run" if options.check else "written by"
        print(f"{document} {verb} python -m bench.documents")  # noqa: T201
    return int(options.check and bool(stale))


def _judge_ledger(ledger: Path) -> list[tuple[Iteration, tuple[Verdict, ...]]]:
    judged = []
    for iteration in list_iterations():
        runs = read_ledger(ledger_path(ledger, MNIST.name, iteration.name)).runs
        selection = select_evidence(runs, iteration)
        judged.append((iteration, judge_all(selection, iteration, MNIST)))
    return judged


def _list_evidence(ledger: Path) -> list[tuple[Iteration, Evidence]]:
    return [
        (iteration, verdict.evidence)
        for iteration, verdicts in _judge_ledger(ledger)
        for verdict in verdicts
        if verdict.evidence is not None
    ]


def _write_claim(iteration: Iteration, engine: str, comparison: ClaimComparison) -> str:
    best = comparison.best
    figures = ["-", "-", "-"]
    if best is not None:
        deviation = "-" if best.deviation is None else f"{100 * best.deviation:.3f} points"
        figures = [format_percent(best.lowest), format_percent(best.highest), deviation]
    claimed = format_percent(comparison.claimed)
    typical = {"HOLDS": "yes", "FAILS": "no"}.get(comparison.answer, "undecided")
    cells = (iteration.name, engine, comparison.measure, claimed, *figures, typical)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
