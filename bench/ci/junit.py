"""The gate as JUnit XML: a suite an iteration, a test case a check.

A check that fails is a failure, one that is undecided an error, since it could not be made; what
there was nothing to check of is skipped. Both schemas in common use take the document: that of
Apache Ant, and that of Jenkins.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bench.figures import make_printable
from bench.gate import Gated, Outcome
from bench.records import Answer

PACKAGE = "bench.gate"
_ELEMENTS = {Answer.FAILS: "failure", Answer.UNDECIDED: "error"}


def write_junit(gated: Iterable[Gated], moment: datetime) -> bytes:
    """Return the document; `moment` is when the gate was run."""
    root = Element("testsuites")
    for place, each in enumerate(gated):
        root.append(_write_suite(each, place, moment))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _write_suite(gated: Gated, place: int, moment: datetime) -> Element:
    name = make_printable(gated.verdict.iteration)
    answers = [outcome.answer for outcome in gated.outcomes]
    suite = Element(
        "testsuite",
        {
            "name": name,
            "package": PACKAGE,
            "id": str(place),
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": "localhost",
            "tests": str(len(answers)),
            "failures": str(answers.count(Answer.FAILS)),
            "errors": str(answers.count(Answer.UNDECIDED)),
            "skipped": str(answers.count(None)),
            "time": "0",
        },
    )
    _write_properties(suite, gated)
    for outcome in gated.outcomes:
        _write_case(suite, name, outcome)
    SubElement(suite, "system-out").text = make_printable(
        f"{gated.answer} {name}: {gated.verdict.why}"
    )
    SubElement(suite, "system-err").text = ""
    return suite


def _write_properties(suite: Element, gated: Gated) -> None:
    properties = SubElement(suite, "properties")
    conditions = gated.verdict.evidence.conditions if gated.verdict.evidence else None
    values = {
        "answer": gated.answer,
        "fingerprint": gated.iteration.fingerprint,
        "conditions": conditions or "none",
    }
    for name, value in values.items():
        SubElement(properties, "property", {"name": name, "value": make_printable(str(value))})


def _write_case(suite: Element, name: str, outcome: Outcome) -> None:
    case = SubElement(
        suite,
        "testcase",
        {"name": outcome.check, "classname": f"{PACKAGE}.{name}", "time": "0"},
    )
    text = make_printable(outcome.text)
    if outcome.answer is None:
        SubElement(case, "skipped", {"message": text})
    elif outcome.answer in _ELEMENTS:
        run = f"\nrun: {make_printable(outcome.command)}" if outcome.command else ""
        element = SubElement(
            case, _ELEMENTS[outcome.answer], {"message": text, "type": outcome.check}
        )
        element.text = f"{text}{run}"
