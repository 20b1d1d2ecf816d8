"""Drilldown: prove, over many seeds, that a small network consistently reaches its target.

`__all__` lists every stable name of the Python API; docs/api.md shows how to use them. Each is
imported when it is asked for, so that `import bench` is quick and needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api.judging import judge, write_page
    from bench.api.results import Result
    from bench.api.running import run
    from bench.errors import BenchError
    from bench.records import Answer, Challenge, Conditions, EpochScore, Run
    from bench.verdict import Verdict
    from models.recipe import Recipe

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "BenchError",
    "Challenge",
    "Conditions",
    "EpochScore",
    "Recipe",
    "Result",
    "Run",
    "Verdict",
    "__version__",
    "judge",
    "run",
    "write_page",
]

_HOMES = {
    "Answer": "bench.records",
    "BenchError": "bench.errors",
    "Challenge": "bench.records",
    "Conditions": "bench.records",
    "EpochScore": "bench.records",
    "Recipe": "models.recipe",
    "Result": "bench.api.results",
    "Run": "bench.records",
    "Verdict": "bench.verdict",
    "judge": "bench.api.judging",
    "run": "bench.api.running",
    "write_page": "bench.api.judging",
}


def __getattr__(name: str) -> object:
    """Import a name of the API from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names of the API, for a notebook's completion."""
    return sorted({*globals(), *__all__})
