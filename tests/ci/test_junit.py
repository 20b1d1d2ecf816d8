"""JUnit XML against Jenkins' schema, against what Apache Ant's adds, and read by junitparser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
import xmlschema
from planted_runs import LUCKY, make_cost
from planted_runs import make_mnist_runs as make_runs
from workspaces import ROOT, Workspace, make_workspace

from bench.records import Conditions, Run

SCHEMA = Path(__file__).parent / "vendor" / "junit-10.xsd"
ANT_REQUIRES = {
    "name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time",
}  # fmt: skip
STRANGE = Conditions(device="</a>]]>&<!--", precision="'\"", engine="\u202e\ufffe", torch="2")
LEDGERS: dict[str, list[Run]] = {
    "holds": make_runs(range(33)),
    "over budget and failing": make_runs(range(2), final=LUCKY, cost=make_cost(parameters=10_000)),
    "undecided": make_runs(range(5)),
    "missing seeds": make_runs([1, 2]),
    "none": [],
    "strange": make_runs(range(3), conditions=STRANGE),
}


def gate(job: Workspace, *arguments: str) -> int:
    """Run the gate on two iterations and return its exit code."""
    command = [sys.executable, "-m", "bench", "gate", "iteration_4", "iteration_3", *arguments]
    done = subprocess.run(
        command, cwd=job.folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    return done.returncode


@pytest.mark.parametrize("name", LEDGERS)
def test_the_document_is_valid_and_read_back(name: str, tmp_path: Path) -> None:
    """Both schemas take it, and junitparser counts what the gate said."""
    job = make_workspace(tmp_path, LEDGERS[name])
    file = job.folder / "reports" / "gate.xml"

    code = gate(job, "--junit", "reports/gate.xml")

    xmlschema.XMLSchema(SCHEMA).validate(file)
    check_ants_demands(ElementTree.parse(file).getroot())  # noqa: S314
    suites = junitparser.JUnitXml.fromfile(str(file))
    assert [suite.name for suite in suites] == ["iteration_4", "iteration_3"]
    first = next(iter(suites))
    assert (first.tests, len(list(first))) == (4, 4)
    assert (first.failures > 0) == (code == 1)
    assert all(suite.failures + suite.errors > 0 for suite in suites) == (name != "holds")


def check_ants_demands(root: ElementTree.Element) -> None:
    """Hold a document against what the schema of Apache Ant's tasks asks beyond Jenkins'."""
    assert root.tag == "testsuites"
    assert not root.attrib
    for place, suite in enumerate(root):
        assert set(suite.attrib) >= ANT_REQUIRES
        assert suite.get("id") == str(place)
        assert re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}", suite.get("timestamp", ""))
        tags = [child.tag for child in suite]
        cases = ["testcase"] * tags.count("testcase")
        assert tags == ["properties", *cases, "system-out", "system-err"]
        for case in suite.iter("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1
            assert all("type" in child.attrib for child in case if child.tag != "skipped")


def test_checks_are_failures_errors_or_skipped(tmp_path: Path) -> None:
    """Over the budget is a failure, missing seeds an error, and what was not looked at skipped."""
    runs = make_runs([0, 1, 5], cost=make_cost(parameters=10_000))
    job = make_workspace(tmp_path, runs)

    assert gate(job, "--junit", "gate.xml") == 1

    suite = next(iter(junitparser.JUnitXml.fromfile(str(job.folder / "gate.xml"))))
    found = {case.name: [type(result).__name__ for result in case.result] for case in suite}
    assert found == {
        "evidence": [],
        "seeds": ["Error"],
        "budget": ["Failure"],
        "accuracy": ["Skipped"],
    }
    (error,) = next(case for case in suite if case.name == "seeds").result
    assert error.message.startswith("seeds 2 to 4 missing")
    assert "bench run iteration_4 --seeds 2-4" in error.text


def test_a_failing_gate_replaces_its_files_whole(tmp_path: Path) -> None:
    """Files of an earlier gate are replaced, and nothing else is left in the folder."""
    job = make_workspace(tmp_path, make_runs(range(2), final=LUCKY))
    out = job.folder / "out"
    out.mkdir()
    (out / "gate.xml").write_text("old")

    code = gate(
        job, "--junit", "out/gate.xml", "--json", "out/gate.json", "--badge", "out/gate.svg"
    )

    assert code == 1
    assert sorted(path.name for path in out.iterdir()) == ["gate.json", "gate.svg", "gate.xml"]
    assert "✗ FAILS (0/2 seeds)" in (out / "gate.svg").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A folder in the file's place is an error with what to do, exit code 2."""
    job = make_workspace(tmp_path, make_runs(range(33)))
    (job.folder / "file").write_text("")

    assert gate(job, "--json", "file/gate.json") == 2
