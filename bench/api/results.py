"""What a script or a notebook gets back: a verdict, its runs, and ways to show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.charts import render_result
from bench.errors import SettingsError
from bench.exports.collection import group_runs
from bench.exports.destinations import import_extra
from bench.exports.tables import COLUMNS, Rows, list_rows
from bench.iterations import Iteration
from bench.records import Answer, Challenge, Conditions, Run
from bench.report.page import render_page, write_page
from bench.verdict import Verdict

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Result:
    """The verdict on one network under one set of conditions, and the runs that it rests on.

    In a notebook it shows itself: the answer, why, and the accuracies of every seed.
    """

    iteration: Iteration
    verdict: Verdict

    @property
    def answer(self) -> Answer:
        """HOLDS, FAILS or UNDECIDED."""
        return self.verdict.answer

    @property
    def why(self) -> str:
        """One sentence that says why; of UNDECIDED, how many more seeds would decide."""
        return self.verdict.why

    @property
    def challenge(self) -> Challenge:
        """What was asked of the network."""
        return self.verdict.challenge

    @property
    def conditions(self) -> Conditions | None:
        """What the runs were trained under, `None` without runs."""
        return self.verdict.evidence.conditions if self.verdict.evidence else None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that count: seeds 0, 1, 2, ... without a gap."""
        return tuple(self.verdict.evidence.runs) if self.verdict.evidence else ()

    def to_frame(self, rows: Rows = "runs") -> pandas.DataFrame:
        """Return the runs, or their epochs, with the columns of `bench export` (docs/exports.md).

        Raises:
            SettingsError: `rows` is neither.
            ExportError: pandas is not installed.
        """
        if rows not in COLUMNS:
            raise SettingsError(f"rows={rows!r}: no such rows; pass 'runs' or 'epochs'")
        frame_of = import_extra("pandas", extra="frames").DataFrame
        groups = group_runs(self.runs, self.iteration.name, self.iteration, self.challenge)
        frame: pandas.DataFrame = frame_of(list_rows(groups, rows), columns=list(COLUMNS[rows]))
        return frame

    def write_page(self, path: str | Path = "report.html") -> Path:
        """Write the page on this verdict, one file that needs no other, and return its path.

        Raises:
            BenchError: the file cannot be written.
        """
        return write_results(Path(path), [self])

    def __repr__(self) -> str:
        return f"{self.iteration.name}: {self.answer} ({self.why})"

    def _repr_html_(self) -> str:
        return render_result(self.verdict)


def write_results(path: Path, results: Sequence[Result]) -> Path:
    """Write the page on verdicts of one challenge, in their order."""
    html = render_page(
        [result.verdict for result in results],
        [result.iteration for result in results],
        results[0].challenge,
    )
    write_page(path, html)
    return path
