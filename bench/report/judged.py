"""A verdict with all that was found of its runs: what every part of a section is made from."""

from __future__ import annotations

from dataclasses import dataclass

from bench.evidence import Evidence
from bench.figures import format_count
from bench.findings import WORST_SHARE, Findings
from bench.iterations import Iteration
from bench.records import Run
from bench.report.wording import format_number, name_iteration
from bench.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A verdict that rests on runs, with all that was found of them, and its place on the page.

    `main` says that no other conditions of this iteration have more runs.
    """

    anchor: str
    main: bool
    verdict: Verdict
    iteration: Iteration
    evidence: Evidence
    findings: Findings

    @property
    def name(self) -> str:
        """Return the iteration as a heading."""
        return name_iteration(self.iteration)

    @property
    def shown(self) -> tuple[Run, ...]:
        """Return the runs that are shown one by one: all, or those that were chosen of many."""
        return tuple(self.evidence.runs[score.seed] for score in self.findings.runs)

    @property
    def all_shown(self) -> bool:
        """Say whether no run is left out of those."""
        return len(self.findings.runs) == len(self.evidence.runs)


def describe_shown(judged: Judged) -> str:
    """Return which of many runs are shown one by one."""
    shown = len(judged.findings.runs)
    return (
        f"{format_count(shown)} of {format_number(len(judged.evidence.runs), 'seed')}, the "
        f"{format_count(shown // WORST_SHARE)} worst and others at even ranks"
    )
