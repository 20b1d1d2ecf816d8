"""Tables of the page: rows of text, made from records and findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.consistency import Decision
from bench.figures import format_count, format_percent
from bench.findings import ClaimComparison
from bench.records import Cost, Machine
from bench.report.commands import name_commit
from bench.report.wording import (
    ABSENT,
    SYMBOLS,
    format_logarithm,
    format_percentile,
    format_points,
    format_seeds,
)
from bench.run_table import RunTable
from models.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A heading; numbers are set to the right."""

    heading: str
    numeric: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A caption, headings and rows; the first cell of a row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def tabulate_claim(comparisons: tuple[ClaimComparison, ...]) -> Table:
    """Return where the claimed accuracies fall among the seeds' best epochs."""
    return Table(
        caption="The claim against the best epoch of every seed: it holds when it lies between "
        "lowest and highest, widened by one standard deviation on either side. Its percentile "
        "is the share of seeds below it, equal ones counting half.",
        columns=(
            Column(heading="Best accuracy"),
            Column(heading="Claimed", numeric=True),
            Column(heading="Lowest seed", numeric=True),
            Column(heading="Highest seed", numeric=True),
            Column(heading="Std. deviation", numeric=True),
            Column(heading="Percentile", numeric=True),
            Column(heading="Claim"),
        ),
        rows=tuple(_claim_row(comparison) for comparison in comparisons),
    )


def _claim_row(comparison: ClaimComparison) -> tuple[str, ...]:
    best = comparison.best
    deviation = best.deviation if best else None
    return (
        comparison.measure,
        format_percent(comparison.claimed),
        format_percent(best.lowest) if best else ABSENT,
        format_percent(best.highest) if best else ABSENT,
        ABSENT if deviation is None else format_points(deviation).removeprefix("+"),
        format_percentile(comparison.percentile),
        f"{SYMBOLS[comparison.answer]} {comparison.answer}",
    )


def tabulate_decision(decision: Decision) -> Table:
    """Return both martingales now, when they decided, and what they must reach."""
    threshold = format_logarithm(decision.log_threshold)
    rows = (("HOLDS", decision.log_holds), ("FAILS", decision.log_fails))
    decided = decision.decided_after
    return Table(
        caption="Natural logarithm of the evidence ratio. The first to reach what is needed "
        "decides; later seeds do not undo it.",
        columns=(
            Column(heading="For"),
            Column(heading="After the last seed", numeric=True),
            Column(heading="When decided", numeric=True),
            Column(heading="Needed", numeric=True),
        ),
        rows=tuple(
            (
                answer,
                format_logarithm(logs[-1]) if logs else ABSENT,
                format_logarithm(logs[decided - 1]) if decided else ABSENT,
                threshold,
            )
            for answer, logs in rows
        ),
    )


def tabulate_layers(cost: Cost) -> Table:
    """Return the network layer by layer in calling order, for one image."""
    return Table(
        caption="Layers in calling order, for one image.",
        columns=(
            Column(heading="Layer"),
            Column(heading="Kind"),
            Column(heading="Output", numeric=True),
            Column(heading="Parameters", numeric=True),
            Column(heading="MACs", numeric=True),
            Column(heading="Receptive field", numeric=True),
        ),
        rows=tuple(
            (
                layer.name,
                layer.kind,
                " × ".join(map(str, layer.output_shape)),
                format_count(layer.parameters),
                format_count(layer.macs),
                ABSENT
                if layer.receptive_field is None
                else f"{layer.receptive_field} × {layer.receptive_field}",
            )
            for layer in cost.layers
        ),
    )


def tabulate_uncounted(cost: Cost) -> Table | None:
    """Return the operators that are not in the MACs, `None` when all are."""
    if not cost.uncounted:
        return None
    return Table(
        caption="Operators that the counter has no formula for: not in the MACs.",
        columns=(Column(heading="Operator"), Column(heading="Calls", numeric=True)),
        rows=tuple((each.operator, format_count(each.calls)) for each in cost.uncounted),
    )


def tabulate_recipe(recipe: Recipe) -> Table:
    """Return every field of a recipe, whatever its types, as setting and value."""
    return Table(
        caption="How the network is trained.",
        columns=(Column(heading="Setting"), Column(heading="Value")),
        rows=tuple(_flatten_fields(recipe, "")),
    )


def _flatten_fields(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(value):
        name = prefix + field.name.replace("_", " ")
        inner = getattr(value, field.name)
        yield from _flatten(name, inner)


def _flatten(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a setting, and those of the types in it: several in a row are numbered from 1."""
    if dataclasses.is_dataclass(value):
        yield name, type(value).__name__
        yield from _flatten_fields(value, f"{name}: ")
    elif isinstance(value, tuple) and value and all(map(dataclasses.is_dataclass, value)):
        for number, each in enumerate(value, start=1):
            yield from _flatten(f"{name} {number}", each)
    else:
        yield name, _format_value(value)


def _format_value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_format_element, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _format_element(value: object) -> str:
    """Return an element of a list; a pair in it keeps its brackets."""
    return f"({_format_value(value)})" if isinstance(value, tuple) else _format_value(value)


def describe_processor(machine: Machine) -> str:
    """Return a processor's name with what tells its generation and the compiler, where recorded."""
    known = [text for text in (machine.instructions, machine.compiler) if text]
    return f"{machine.processor} ({'; '.join(known)})" if known else machine.processor


def tabulate_machines(runs: RunTable) -> Table:
    """Return the machines that trained the runs, and which seeds each trained."""
    machines, machine = runs.machines
    places, first, counts = np.unique(machine, return_index=True, return_counts=True)
    ordered = runs.seeds[np.argsort(machine, kind="stable")]
    groups = np.split(ordered, np.cumsum(counts)[:-1])
    seeds = {
        machines[int(places[group])]: groups[group].tolist() for group in np.argsort(first).tolist()
    }
    return Table(
        caption="Where the runs were trained: moves bits and seconds only.",
        columns=tuple(
            Column(heading=heading)
            for heading in (
                "Device", "Driver", "Processor", "System", "torch", "Python", "Commit", "Seeds"
            )
        ),
        rows=tuple(
            (
                machine.device,
                machine.driver or ABSENT,
                describe_processor(machine),
                machine.system,
                machine.torch,
                machine.python,
                name_commit(machine),
                format_seeds(trained),
            )
            for machine, trained in seeds.items()
        ),
    )  # fmt: skip
