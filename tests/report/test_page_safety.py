"""Nothing recorded or written can run: planted scripts are text, and a policy forbids the rest."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from builders import (
    CONDITIONS,
    COST,
    MACHINE,
    SHAKY,
    STEADY,
    make_iteration,
    make_run,
    make_verdict,
)
from markupsafe import Markup
from msgspec.structs import replace as replace_fields
from page_reader import Element, find_charts, read_data, read_page

import bench.report.page
import bench.report.view
from bench.challenges import MNIST
from bench.iterations import Iteration
from bench.records import LayerCost, UncountedOperator
from bench.report.document import PageData
from bench.report.page import TEMPLATES, render_page
from bench.report.scripts import VENDOR, read_scripts
from bench.verdict import Verdict
from models.recipe import Claim, Narrative, Statement

PLANTED = (
    """</script></style></title></pre>"'><script>alert("planted")</script>"""
    "<img src=x onerror=alert(1)>"
)
"""Ends whatever element or attribute it may stand in, and then would run."""


def mark(place: str) -> str:
    """Return the planted text with the name of its place, so that each can be found again."""
    return f"[{place}]{PLANTED}"


def plant_everywhere() -> tuple[Verdict, Iteration]:
    """Return a verdict and its iteration with a script in every text that they have."""
    conditions = replace_fields(
        CONDITIONS, device=mark("kind"), engine=mark("engine"), torch=mark("version")
    )
    machine = replace_fields(
        MACHINE,
        device=mark("device"),
        driver=mark("driver"),
        processor=mark("processor"),
        system=mark("system"),
        torch=mark("torch"),
        python=mark("python"),
        commit=PLANTED,
    )
    layer = LayerCost(
        name=mark("layer"), kind=mark("layer kind"), output_shape=(8, 26, 26), parameters=72,
        macs=48_672, receptive_field=3,
    )  # fmt: skip
    cost = replace_fields(
        COST,
        layers=(layer,),
        uncounted=(UncountedOperator(operator=mark("operator"), calls=1),),
    )
    plain = make_iteration(name=mark("name"))
    iteration = Iteration(
        name=plain.name,
        path=Path("planted.py"),
        narrative=Narrative(
            title=mark("title"),
            target=(mark("target"),),
            claim=Claim(
                parameters=mark("claimed"), training_accuracy=99.1, validation_accuracy=99.4
            ),
            analysis=(
                mark("analysis"),
                Statement(text=mark("statement"), says="is consistent"),
            ),
        ),
        recipe=plain.recipe,
        fingerprint=plain.fingerprint,
    )
    runs = [
        make_run(
            seed=seed,
            validation_correct=counts,
            iteration=iteration.name,
            conditions=conditions,
            machine=machine,
            cost=cost,
        )
        for seed, counts in enumerate((STEADY, SHAKY))
    ]
    return make_verdict(runs, iteration), iteration


SHOWN = (
    "kind", "engine", "version", "device", "driver", "processor", "system", "torch", "python",
    "layer", "layer kind", "operator", "title", "target", "claimed", "analysis", "statement",
)  # fmt: skip
"""Places whose text the page shows whole."""


def render_planted() -> str:
    verdict, iteration = plant_everywhere()
    return render_page([verdict], [iteration], MNIST)


def list_attributes(document: Element) -> set[str]:
    return {name for element in document.find_all() for name in element.attributes}


def check_nothing_planted_runs(html: str) -> None:
    """Fail unless the page's scripts are its own and what was planted is text, to the letter."""
    document = read_page(html)
    data, *scripts = document.find_all("script")
    assert data.attributes == {"type": "application/json", "id": "data"}
    assert [script.body for script in scripts] == list(read_scripts())
    assert all(script.attributes == {} for script in scripts)
    assert not [e.tag for e in document.find_all() if e.tag in ("img", "iframe", "object", "embed")]
    strange = list_attributes(document) - list_attributes(read_page(render_usual()))
    assert not strange, f"broken out of an attribute: {strange}"
    assert [e.text for e in document.find_all("title")][:1] == [
        "Drilldown: is it consistent on MNIST?"
    ]
    for place in SHOWN:
        assert " ".join(mark(place).split()) in document.text, place
    (section,) = read_data(html)["sections"]
    assert section["iteration"] == mark("name")
    assert mark("engine") in section["conditions"]
    (description,) = {c.attributes["data-section"] for c in find_charts(document, "accuracy")}
    assert description == mark("name")


def test_a_script_planted_anywhere_is_shown_as_text():
    """Conditions, machine, commit, layers, operators, name, narrative and claim: all at once."""
    check_nothing_planted_runs(render_planted())


def test_the_check_fails_without_escaping_in_templates(monkeypatch: pytest.MonkeyPatch):
    """The same page from the same templates, with Jinja's autoescape off, is caught."""
    make = bench.report.page._make_environment

    def make_careless():
        environment = make()
        environment.autoescape = False
        return environment

    monkeypatch.setattr(bench.report.page, "_make_environment", make_careless)
    with pytest.raises(AssertionError):
        check_nothing_planted_runs(render_planted())


def test_the_check_fails_without_escaping_in_the_data(monkeypatch: pytest.MonkeyPatch):
    """The same document as plain JSON, in which `</script>` ends the element, is caught."""

    def write_carelessly(data: PageData) -> Markup:
        return Markup(msgspec.json.encode(data).decode())  # noqa: S704

    monkeypatch.setattr(bench.report.view, "write_data", write_carelessly)
    with pytest.raises(AssertionError):
        check_nothing_planted_runs(render_planted())


@pytest.mark.parametrize(
    "text",
    [
        "</script>",
        "</SCRIPT >",
        "<!--<script>",
        "]]>",
        "&lt;/script&gt;",
        "\u2028\u2029",
        "\\u003c",
    ],
)
def test_the_document_ends_at_its_own_end_whatever_is_in_it(text: str):
    """What could end the element, or a line of script, comes back to the letter."""
    conditions = replace_fields(CONDITIONS, engine=text)
    html = render_page([make_verdict([make_run(conditions=conditions)])], [make_iteration()], MNIST)

    (section,) = read_data(html)["sections"]
    assert section["conditions"] == str(conditions)
    (data,) = [s for s in read_page(html).find_all("script") if s.attributes.get("id") == "data"]
    assert not set("<>&\u2028\u2029") & set(data.body)


def test_backticks_in_a_reason_make_code_and_nothing_else():
    """A name inside backticks is escaped like any other text."""
    name = "`<b>`"
    iteration = make_iteration(name=name)
    document = read_page(render_page([make_verdict([], iteration)], [iteration], MNIST))

    assert not document.find_all("b")
    assert "<b>" in document.text


def render_usual() -> str:
    runs = [make_run(seed=0), make_run(seed=1, validation_correct=SHAKY)]
    return render_page([make_verdict(runs)], [make_iteration()], MNIST)


@pytest.fixture(scope="module")
def usual() -> str:
    """Return a page with runs and nothing odd in it."""
    return render_usual()


def read_policy(document: Element) -> dict[str, list[str]]:
    """Return the page's policy: the sources of each directive."""
    (meta,) = [m for m in document.find_all("meta") if "http-equiv" in m.attributes]
    assert meta.attributes["http-equiv"] == "Content-Security-Policy"
    directives = [part.split() for part in meta.attributes["content"].split(";")]
    assert len({name for name, *_ in directives}) == len(directives), "the first of two would count"
    return {name: sources for name, *sources in directives}


@pytest.mark.parametrize("render", [render_usual, render_planted], ids=["usual", "planted"])
def test_the_policy_allows_the_digest_of_each_script_and_nothing_else(render: Callable[[], str]):
    """SHA-256 of each script element's text to the letter, as a browser computes it."""
    document = read_page(render())
    policy = read_policy(document)
    bodies = [s.body for s in document.find_all("script") if "type" not in s.attributes]
    digests = [b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]

    assert len(bodies) == 4
    assert policy == {
        "default-src": ["'none'"],
        "script-src": [f"'sha256-{digest}'" for digest in digests],
        "style-src": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_the_policy_stands_before_everything_that_it_must_hold_for(usual: str):
    """Before any script, style or link: a policy in a meta element holds from there on."""
    (head,) = read_page(usual).find_all("head")
    tags = [(e.tag, "http-equiv" in e.attributes) for e in head.find_all()]

    assert ("meta", True) in tags
    assert {tag for tag, _ in tags[: tags.index(("meta", True))]} <= {"meta"}


def test_no_element_loads_anything_from_elsewhere(usual: str):
    """Scripts have no source; links, images and forms name the page itself or data in it."""
    document = read_page(usual)
    loading = {
        (element.tag, element.attributes[name])
        for element in document.find_all()
        for name in (
            "src",
            "srcset",
            "href",
            "xlink:href",
            "action",
            "poster",
            "data",
            "formaction",
        )
        if name in element.attributes and element.tag != "a"
    }

    assert loading == {("link", "data:,")}
    assert all(a.attributes["href"].startswith("#") for a in document.find_all("a"))


def test_no_element_carries_a_handler_or_a_style_with_an_address(usual: str):
    """No `on...` attribute runs a script, and no rule of the CSS fetches anything."""
    document = read_page(usual)
    css = "".join(style.body for style in document.find_all("style"))
    addresses = re.findall(r"url\(\s*[\"']?([^)]*)", css, flags=re.IGNORECASE)

    assert not {name for name in list_attributes(document) if name.startswith("on")}
    assert css
    assert [address for address in addresses if not address.startswith("data:")] == []
    assert "@import" not in css
    assert css.strip() == (TEMPLATES / "page.css").read_text(encoding="utf-8").strip()


LIBRARIES = {
    "d3.js": ("D3 7.9.2", "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1"),
    "plot.js": (
        "Observable Plot 0.6.17",
        "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    ),
    "datatables.js": (
        "DataTables 3.1.5",
        "38017a5586acd9c6eb6bbfe8b6938e1a25bdc717c5acfcb07e0c9d663282c59d",
    ),
}
"""SHA-256 of the files as npm has them, by `npm pack d3@7.9.2 @observablehq/plot@0.6.17
datatables.net@3.1.5`, unpacked, then `sha256sum` of `d3/dist/d3.min.js`,
`plot/dist/plot.umd.min.js` and `datatables.net/js/dataTables.min.js`."""


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_what_its_authors_published(name: str):
    """Byte for byte the file of the npm package, so that nobody need read it again."""
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == LIBRARIES[name][1]


def test_the_libraries_are_all_there_are_and_each_has_its_licence(usual: str):
    """No other script is vendored; name, version and copyright stand in the file and the page."""
    licences = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")

    assert {path.name for path in VENDOR.glob("*.js")} == set(LIBRARIES)
    for version, _ in LIBRARIES.values():
        assert licences.count(f"{version}, ") == 1
    assert licences.count("Copyright") >= len(LIBRARIES)
    (shown,) = read_page(usual).find_all("footer")
    assert " ".join(licences.split()) in shown.text


def test_a_planted_page_has_the_elements_of_an_honest_one():
    """Two iterations alike in all but their texts: the same elements in the same order."""
    planted, iteration = plant_everywhere()
    honest_iteration = make_iteration(
        claim=Claim(parameters="7,924", training_accuracy=99.1, validation_accuracy=99.4),
        analysis=("A.", Statement(text="B.", says="is consistent")),
    )
    layers = (replace_fields(COST.layers[0]),)
    cost = replace_fields(COST, layers=layers)
    runs = [
        make_run(seed=seed, validation_correct=counts, cost=cost)
        for seed, counts in enumerate((STEADY, SHAKY))
    ]
    honest = make_verdict(runs, honest_iteration)
    pages = [
        render_page([planted], [iteration], MNIST),
        render_page([honest], [honest_iteration], MNIST),
    ]
    tags = [[e.tag for e in read_page(page).find_all("main")[0].find_all()] for page in pages]

    assert tags[0] == tags[1]
