"""The leaderboard as CSV: UTF-8, one row a submission, and no cell that a spreadsheet computes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from fractions import Fraction

from bench.anatomy import Structure, list_remarks, name_field, name_rates
from bench.grading.marks import Grade, Measured

_COMPUTED = re.compile(r"\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, or what a spreadsheet takes for one (OWASP, "CSV Injection")."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")

Cell = str | int | None


def write_csv(ranked: Iterable[tuple[int, Grade]]) -> str:
    """Return the table; accuracies in per cent, empty where there is no figure."""
    rows = [{"rank": place, **_list_cells(grade)} for place, grade in ranked]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_guard(row.get(name)) for name in COLUMNS] for row in rows)
    return file.getvalue()


COLUMNS = (
    "rank", "submission", "class", "student", "verdict", "why",
    "claimed parameters", "declared parameters", "reached parameters", "parameters as claimed",
    "claimed accuracy", "claimed epoch", "last epoch mean", "last epoch lower", "last epoch upper",
    "best epoch mean", "best epoch optimism", "seeds at the claim",
    "seeds", "seeds that hold", "share that holds", "share lower bound",
    "tier", "batch normalisations", "convolutions normalised", "convolutions", "dropouts",
    "dropout rates", "head", "dense parameters", "receptive field", "field before the head",
    "depth", "remarks", "notes",
)  # fmt: skip


def _list_cells(grade: Grade) -> dict[str, Cell]:
    claim = grade.submission.claim
    cells: dict[str, Cell] = {
        "submission": grade.submission.file,
        "class": grade.network,
        "verdict": str(grade.mark),
        "why": grade.why,
        "parameters as claimed": _say(grade.claims_parameters),
    }
    if claim is not None:
        cells["student"] = claim.student
        cells["claimed parameters"] = claim.parameters.text if claim.parameters else None
        cells["claimed accuracy"] = _percent(claim.accuracy)
        cells["claimed epoch"] = claim.epoch
    if grade.screened is not None:
        cells["declared parameters"] = grade.screened.cost.parameters
        cells["reached parameters"] = grade.screened.cost.reached_parameters
        cells["notes"] = " ".join(grade.screened.notes)
        if grade.screened.structure is not None:
            cells |= _list_structure(grade.screened.structure)
    return cells | (_list_measured(grade.measured) if grade.measured else {})


def _list_measured(measured: Measured) -> dict[str, Cell]:
    last = measured.last
    return {
        "last epoch mean": _percent(last.mean if last else None),
        "last epoch lower": _percent(last.lower if last else None),
        "last epoch upper": _percent(last.upper if last else None),
        "best epoch mean": _percent(measured.best),
        "best epoch optimism": _percent(measured.optimism),
        "seeds at the claim": measured.at_claim,
        "seeds": measured.seeds,
        "seeds that hold": measured.holding,
        "share that holds": _percent(Fraction(measured.holding, measured.seeds)),
        "share lower bound": _percent(measured.lower),
    }


def _list_structure(structure: Structure) -> dict[str, Cell]:
    fields = structure.receptive_field, structure.local_field
    whole, local = (name_field(field) if field else None for field in fields)
    return {
        "tier": structure.tier,
        "batch normalisations": structure.batch_norms,
        "convolutions normalised": structure.normalised,
        "convolutions": structure.convolutions,
        "dropouts": len(structure.dropouts),
        "dropout rates": name_rates(structure),
        "head": structure.head,
        "dense parameters": structure.dense_parameters,
        "receptive field": whole,
        "field before the head": local,
        "depth": structure.depth,
        "remarks": " ".join(list_remarks(structure)),
    }


def _percent(value: Fraction | float | None) -> Cell:
    """Return a proportion in per cent to three decimals, cut off as everywhere."""
    if value is None:
        return None
    exact = value if isinstance(value, Fraction) else Fraction(repr(float(value)))
    thousandths = exact * 100_000 // 1
    sign = "−" if thousandths < 0 else ""
    return f"{sign}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03}"


def _say(value: bool | None) -> Cell:
    return None if value is None else "yes" if value else "no"


def _guard(cell: Cell) -> str | int:
    """Return a cell that a spreadsheet shows as it is: text that looks computed gets a quote."""
    if cell is None or isinstance(cell, int):
        return "" if cell is None else cell
    text = _UNSEEN.sub(" ", cell)
    return f"'{text}" if _COMPUTED.match(text) else text
