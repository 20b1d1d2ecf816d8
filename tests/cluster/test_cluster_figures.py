"""What is said of the cost of Ray, on planted timings: nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import pytest
from perf.measure_cluster import find_efficiencies, find_overhead
from perf.stored import ClusterCost, ClusterTiming, Host, write_result
from perf.write_page import compose_scaling

HOST = Host(
    processor="Example CPU",
    cores=2,
    gpu=None,
    system="Linux x86_64",
    python="3.11.9",
    torch="2.13.0",
    commit="0123456",
    measured="2026-01-02",
    load=0.0,
)


def make_cost(*timings: tuple[str, str, int, int, float]) -> ClusterCost:
    """Return timings of a side, images, runs, epochs and seconds each."""
    names = ("side", "dataset", "runs", "epochs", "seconds")
    return ClusterCost(
        host=HOST,
        ray="2.60.0",
        workers=2,
        iteration="iteration_4",
        timings=tuple(
            ClusterTiming(**dict(zip(names, each, strict=True)))  # type: ignore[arg-type]
            for each in timings
        ),
    )


COST = make_cost(
    ("pool", "mnist", 6, 15, 180.0), ("cluster", "mnist", 6, 15, 200.0),
    ("pool", "digits", 4, 1, 10.0), ("cluster", "digits", 4, 1, 20.0),
    ("pool", "digits", 44, 1, 30.0), ("cluster", "digits", 44, 1, 42.0),
    ("cluster", "mnist", 6, 15, 190.0), ("pool", "mnist", 6, 15, 190.0),
)  # fmt: skip


def test_efficiency_is_of_the_long_runs_and_overhead_of_the_short_ones() -> None:
    """40 more runs on 2 workers: 20 s by the pool, 22 s by Ray, so 2 x 2 / 40 s more a run."""
    assert find_efficiencies(COST) == [0.9, 1.0]
    assert find_overhead(COST) == pytest.approx(0.1)


def test_the_page_shows_both_sides(tmp_path: Path) -> None:
    """Medians with the least and the most where there are several."""
    document = tmp_path / "scaling.md"
    document.write_text("<!-- cluster -->\n<!-- /cluster -->\n")
    empty = compose_scaling(document, tmp_path)[document]
    assert "Not measured yet: `nox -s perf -- --cluster`." in empty

    write_result(tmp_path / "cluster.json", COST)
    text = compose_scaling(document, tmp_path)[document]

    assert "| 44 | 1 | digits | 30.0 s | 42.0 s |" in text
    assert "| 6 | 15 | mnist | 185.0 s (180.0 to 190.0) | 195.0 s (190.0 to 200.0) |" in text
    assert "Efficiency of the long runs: 0.950 (0.900 to 1.000)." in text
    assert "Overhead of a run: 100 ms of its core. Ray 2.60.0; Example CPU" in text
