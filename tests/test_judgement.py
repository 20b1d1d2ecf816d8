"""`bench judge --format json` is what its schema in docs/ says, and nothing else passes for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from planted_runs import (
    LATEST,
    LUCKY,
    make_cost,
    make_run,
    make_runs,
    plant_ledger,
)

import bench
from bench.cli import main
from bench.judgement import make_schema
from bench.records import Run, Status

SCHEMA_FILE = Path(bench.__file__).parent.parent / "docs" / "judgement.schema.json"
DIVERGED = make_run(seed=1, status=Status.DIVERGED, epochs=(), mistakes=())
LEDGERS: dict[str, list[Run]] = {
    "empty": [],
    "holds": make_runs(range(33)),
    "fails": make_runs(range(2), final=LUCKY),
    "undecided": make_runs(range(5)),
    "over budget": make_runs(range(2), cost=make_cost(parameters=10_000)),
    "gap": make_runs([0, 1, 5]),
    "seed 0 missing": make_runs([1, 2]),
    "stale": make_runs(range(3), fingerprint="0" * 64),
    "tuning": make_runs([1_000_000]),
    "diverged": [make_run(), DIVERGED],
    "all diverged": [make_run(status=Status.DIVERGED, epochs=(), mistakes=())],
    "two datasets": [*make_runs(range(3)), *make_runs(range(2), dataset="e" * 64)],
}
Judge = Callable[..., dict[str, Any]]


@pytest.fixture
def judge(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Judge:
    """Return a function that plants runs and returns the document that judging them prints."""

    def run_bench(runs: list[Run], *arguments: str) -> dict[str, Any]:
        folder = plant_ledger(tmp_path / "ledger", runs)
        assert main(["judge", "--format", "json", "--ledger", str(folder), *arguments]) == 0
        document: dict[str, Any] = json.loads(capfd.readouterr().out)
        return document

    return run_bench


def validate(document: dict[str, Any]) -> None:
    """Hold a document against the committed schema."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


def test_the_committed_schema_is_that_of_the_code(capfd: pytest.CaptureFixture[str]) -> None:
    """When it drifts: `bench judge --schema > docs/judgement.schema.json`."""
    assert make_schema().decode() == SCHEMA_FILE.read_text(encoding="utf-8")
    assert main(["judge", "--schema"]) == 0
    assert capfd.readouterr().out == SCHEMA_FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("paths", [(), ("--paths",)], ids=["", "paths"])
@pytest.mark.parametrize("name", LEDGERS)
def test_what_is_printed_keeps_to_the_schema(judge: Judge, name: str, paths: tuple[str]) -> None:
    """Whatever the ledger holds, every iteration has its verdict in a valid document."""
    document = judge(LEDGERS[name], *paths)

    validate(document)
    judged = {verdict["iteration"] for verdict in document["verdicts"]}
    assert judged >= {"iteration_1", "iteration_4"}


def spoil_answer(document: dict[str, Any]) -> None:
    document["verdicts"][0]["answer"] = "PASSED"


def spoil_format(document: dict[str, Any]) -> None:
    document["format"] = 2


def spoil_verdict(document: dict[str, Any]) -> None:
    del document["verdicts"][0]["why"]


def spoil_count(document: dict[str, Any]) -> None:
    document["verdicts"][0]["reliable"]["holding"] = "33"


def spoil_waiting(document: dict[str, Any]) -> None:
    document["verdicts"][0]["waiting"] = None


@pytest.mark.parametrize(
    "spoil", [spoil_answer, spoil_format, spoil_verdict, spoil_count, spoil_waiting]
)
def test_a_wrong_document_is_refused(judge: Judge, spoil: Callable[[dict[str, Any]], None]) -> None:
    """The schema can fail: another answer, another version, a gap or a wrong type is told."""
    document = judge(LEDGERS["holds"], "iteration_4")
    spoiled = copy.deepcopy(document)
    spoil(spoiled)

    validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validate(spoiled)


def test_a_verdict_says_what_it_rests_on(judge: Judge) -> None:
    """Counts, digests, conditions and the rule's own figures, by hand from the planted runs."""
    document = judge([*make_runs([0, 1, 2, 4, 6]), *make_runs([1_000_000])], "iteration_4")
    (verdict,) = document["verdicts"]

    assert (document["format"], document["challenge"]["target"]) == (1, 0.994)
    assert verdict["fingerprint"] == LATEST.fingerprint
    assert verdict["dataset"] == "d" * 64
    assert verdict["conditions"]["device"] == "cpu"
    assert (verdict["answer"], verdict["seeds"]) == ("UNDECIDED", 3)
    assert (verdict["waiting"], verdict["missing"]) == ([4, 6], [3, 5])
    assert (verdict["stale"], verdict["tuning"]) == (0, 1)
    assert (verdict["budget"]["parameters"], verdict["budget"]["answer"]) == (7_924, "HOLDS")
    assert (verdict["reliable"]["holding"], verdict["reliable"]["paths"]) == (3, None)
    assert verdict["summary"]["first_epochs"]["by_seed"] == [13, 13, 13]


def test_without_seed_0_the_waiting_seeds_are_still_named(judge: Judge) -> None:
    """Nothing counts, so nothing is judged; what was run is not hidden."""
    (verdict,) = judge(LEDGERS["seed 0 missing"], "iteration_4")["verdicts"]

    assert (verdict["seeds"], verdict["waiting"], verdict["missing"]) == (0, [1, 2], [0])
    assert verdict["conditions"]["torch"] == "2.13"
    assert verdict["budget"] is verdict["reliable"] is verdict["summary"] is None


def test_each_dataset_has_its_own_verdict_in_the_document(judge: Judge) -> None:
    """Evidence and verdict are not mixed up where an iteration has several."""
    verdicts = judge(LEDGERS["two datasets"], "iteration_4")["verdicts"]

    assert [(v["dataset"][0], v["seeds"]) for v in verdicts] == [("d", 3), ("e", 2)]


def test_the_paths_end_where_the_verdict_reads_them(judge: Judge) -> None:
    """With --paths both martingales are there after every run; HOLDS is reached at the 33rd."""
    (verdict,) = judge(LEDGERS["holds"], "iteration_4", "--paths")["verdicts"]
    reliable = verdict["reliable"]

    holds, fails = reliable["paths"]["log_holds"], reliable["paths"]["log_fails"]
    assert (len(holds), len(fails)) == (33, 33)
    assert (holds[-1], fails[-1]) == (reliable["log_holds"], reliable["log_fails"])
    assert holds[-2] < reliable["log_threshold"] <= holds[-1]
