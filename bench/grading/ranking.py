"""Who stands above whom: one total order, stated in words on the page."""

from __future__ import annotations

from collections.abc import Iterable

from bench.grading.marks import Grade, Mark

RULE = (
    "Those that hold come first, with fewer parameters before more. Then those that are not "
    "decided, by the lower bound of the share of seeds that hold; then those that fail, by the "
    "same bound, and last those that are broken. Of equals, fewer parameters come first; what is "
    "equal in that too has the same rank, in the order of the names."
)
"""The rule as it is shown; `rank` does what it says."""

_ORDER = (Mark.HOLDS, Mark.UNDECIDED, Mark.FAILS, Mark.BROKEN)

Key = tuple[int, float, float]


def rank(grades: Iterable[Grade]) -> tuple[tuple[int, Grade], ...]:
    """Return the grades in their order, each with its rank; equals share one."""
    ordered = sorted(grades, key=lambda grade: (merit(grade), _name(grade)))
    keys = [merit(grade) for grade in ordered]
    return tuple((keys.index(key) + 1, grade) for key, grade in zip(keys, ordered, strict=True))


def merit(grade: Grade) -> Key:
    """Return what orders grades, the better the lower."""
    bound = grade.measured.lower if grade.measured and grade.mark in _BY_BOUND else 0.0
    parameters = float("inf") if grade.parameters is None else float(grade.parameters)
    if grade.mark is Mark.BROKEN:
        parameters = 0.0
    return _ORDER.index(grade.mark), -bound, parameters


_BY_BOUND = (Mark.UNDECIDED, Mark.FAILS)


def _name(grade: Grade) -> tuple[str, str]:
    return grade.submission.file, grade.network or ""
