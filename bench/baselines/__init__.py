"""How new code stands to what was before: to a git revision, or to the runs of another ledger.

Nothing of either is run.
"""

from __future__ import annotations

from bench.baselines.noninferiority import (
    DEFAULT_MARGIN,
    Comparand,
    NonInferiority,
    Standing,
    bound_median,
    compare_with_old,
    decide_standing,
    pair_runs,
)
from bench.baselines.reading import Old, Project, compare_selections, read_ledger_of_old, read_old

__all__ = [
    "DEFAULT_MARGIN",
    "Comparand",
    "NonInferiority",
    "Old",
    "Project",
    "Standing",
    "bound_median",
    "compare_selections",
    "compare_with_old",
    "decide_standing",
    "pair_runs",
    "read_ledger_of_old",
    "read_old",
]
