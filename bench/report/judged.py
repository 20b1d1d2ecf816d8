"""A verdict with all that was found of its runs: what every part of a section is made from."""

from __future__ import annotations

from dataclasses import dataclass

from bench.evidence import Evidence
from bench.findings import Findings
from bench.iterations import Iteration
from bench.report.wording import name_iteration
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
