"""`bench gate --json` is what docs/gate.schema.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from planted_runs import LUCKY, make_cost, plant_ledger
from planted_runs import make_mnist_runs as make_runs

import bench
from bench.ci.document import GateDocument
from bench.cli import main
from bench.judgement import make_schema
from bench.records import Run

SCHEMA_FILE = Path(bench.__file__).parent.parent / "docs" / "gate.schema.json"
LEDGERS: dict[str, tuple[list[Run], dict[str, str | None]]] = {
    "holds": (
        make_runs(range(33)),
        {"evidence": "HOLDS", "seeds": "HOLDS", "budget": "HOLDS", "accuracy": "HOLDS"},
    ),
    "fails": (
        make_runs(range(2), final=LUCKY),
        {"evidence": "HOLDS", "seeds": "HOLDS", "budget": "HOLDS", "accuracy": "FAILS"},
    ),
    "over budget": (
        make_runs(range(5), cost=make_cost(parameters=10_000)),
        {"evidence": "HOLDS", "seeds": "HOLDS", "budget": "FAILS", "accuracy": None},
    ),
    "gap": (
        make_runs([0, 2]),
        {"evidence": "HOLDS", "seeds": "UNDECIDED", "budget": "HOLDS", "accuracy": None},
    ),
    "seed 0 missing": (
        make_runs([1]),
        {"evidence": None, "seeds": "UNDECIDED", "budget": None, "accuracy": None},
    ),
    "stale": (
        make_runs(range(3), fingerprint="0" * 64),
        {"evidence": "UNDECIDED", "seeds": None, "budget": None, "accuracy": None},
    ),
}


@pytest.mark.parametrize("name", LEDGERS)
def test_the_document_tells_each_check(name: str, tmp_path: Path) -> None:
    """The document is valid, and its checks, answer and exit code agree."""
    runs, checks = LEDGERS[name]
    ledger, file = plant_ledger(tmp_path / "ledger", runs), tmp_path / "gate.json"

    code = main(["gate", "iteration_4", "--ledger", str(ledger), "--json", str(file)])

    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    (only,) = document["iterations"]
    assert {check["check"]: check["answer"] for check in only["checks"]} == checks
    assert (document["exit_code"], document["answer"]) == (code, only["answer"])
    assert only["verdict"]["answer"] == only["answer"]
    for check in only["checks"]:
        assert (check["command"] is not None) == (check["answer"] in ("FAILS", "UNDECIDED"))


def test_the_committed_schema_is_the_one_of_the_code(capfd: pytest.CaptureFixture[str]) -> None:
    """`bench gate --schema` prints docs/gate.schema.json."""
    assert main(["gate", "--schema"]) == 0

    printed = capfd.readouterr().out
    assert printed == SCHEMA_FILE.read_text(encoding="utf-8")
    assert printed.encode() == make_schema(GateDocument)
