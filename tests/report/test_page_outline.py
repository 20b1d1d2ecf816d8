"""The outline of the page for evidence of every kind, poor evidence above all.

Each case has a file in tests/golden/pages/; tests/golden/README.md says how to write it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from builders import (
    CONDITIONS,
    COST,
    MACHINE,
    SHAKY,
    STEADY,
    make_diverged,
    make_iteration,
    make_run,
)
from msgspec.structs import replace as replace_fields
from page_reader import Element, read_data, read_page

from bench.challenges import DIGITS, MNIST
from bench.evidence import select_evidence
from bench.iterations import Iteration
from bench.records import Challenge, Conditions, LayerCost, Run, UncountedOperator
from bench.report.page import render_page
from bench.verdict import judge_all
from models.recipe import Statement

GOLDEN = Path(__file__).parent.parent / "golden" / "pages"
SCRIPT = """</script><script>alert("x")</script><b onclick='y()'>A & B</b>"""
ENORMOUS = "x" * 1_000
GPU = Conditions(device="cuda sm_90", precision="fp32", engine="stacked", torch="2.11", block=16)


def render(
    iterations: Sequence[Iteration], runs: Sequence[Run], challenge: Challenge = MNIST
) -> str:
    """Return the page as `bench report` makes it of a ledger with these runs."""
    verdicts = []
    for iteration in iterations:
        own = [run for run in runs if run.iteration == iteration.name]
        verdicts += judge_all(select_evidence(own, iteration), iteration, challenge)
    return render_page(verdicts, iterations, challenge)


def render_empty_ledger() -> str:
    return render([make_iteration(name=f"iteration_{n}") for n in (1, 2)], [])


def render_one_run() -> str:
    return render([make_iteration()], [make_run()])


def render_one_seed_of_three_iterations() -> str:
    names = [f"iteration_{n}" for n in (1, 2, 3)]
    return render(
        [make_iteration(name=name) for name in names],
        [
            make_run(iteration=name, validation_correct=[count] * 15)
            for name, count in zip(names, (9_900, 9_939, 9_950), strict=True)
        ],
    )


def render_thousand_seeds() -> str:
    counts = [STEADY[-4:] if seed % 50 else SHAKY[-4:] for seed in range(1_000)]
    return render(
        [make_iteration(epochs=4)],
        [make_run(seed=s, validation_correct=c, mistakes=()) for s, c in enumerate(counts)],
    )


def render_all_diverged() -> str:
    return render([make_iteration()], [make_diverged(seed=seed) for seed in range(3)])


def render_diverged_after_some_epochs() -> str:
    return render([make_iteration()], [make_diverged(seed=s, epochs=s) for s in range(3)])


def render_bare_narrative() -> str:
    return render([make_iteration(claim=None, analysis=())], [make_run(), make_run(seed=1)])


def render_html_everywhere() -> str:
    return render_with(SCRIPT)


def render_enormous_names() -> str:
    return render_with(ENORMOUS)


def render_with(text: str) -> str:
    """Return a page with one text in the place of every other."""
    iteration = make_iteration(
        title=text, analysis=(text, Statement(text=text, says="is consistent")), name=text
    )
    layer = LayerCost(
        name=text, kind=text, output_shape=(8, 26, 26), parameters=72, macs=9, receptive_field=3
    )
    run = make_run(
        iteration=text,
        conditions=replace_fields(CONDITIONS, engine=text, device=text),
        machine=replace_fields(MACHINE, device=text, processor=text, system=text, commit=text),
        cost=replace_fields(
            COST, layers=(layer,), uncounted=(UncountedOperator(operator=text, calls=1),)
        ),
    )
    return render([iteration], [run])


def render_two_conditions() -> str:
    runs = [make_run(seed=0), make_run(seed=1), make_run(seed=0, conditions=GPU)]
    return render([make_iteration()], runs)


def render_demonstration() -> str:
    runs = [
        make_run(seed=seed, challenge=DIGITS, total=360, validation_correct=[count] * 15)
        for seed, count in enumerate((355, 351, 358))
    ]
    return render([make_iteration()], runs, DIGITS)


def render_unused_runs() -> str:
    runs = [make_run(seed=seed) for seed in (0, 1, 3)]
    stale = make_run(seed=0, fingerprint="0" * 64)
    return render([make_iteration()], [*runs, stale, make_run(seed=1_000_000)])


CASES = {
    function.__name__.removeprefix("render_"): function
    for function in (
        render_empty_ledger,
        render_one_run,
        render_one_seed_of_three_iterations,
        render_thousand_seeds,
        render_all_diverged,
        render_diverged_after_some_epochs,
        render_bare_narrative,
        render_html_everywhere,
        render_enormous_names,
        render_two_conditions,
        render_demonstration,
        render_unused_runs,
    )
}


def outline(html: str) -> str:
    """Return what the page says and has, a line a thing, indented as it is nested."""
    (body,) = read_page(html).find_all("body")
    lines = [line for line in _walk(body, 0) if line.strip()]
    sections = [_summarise(section) for section in read_data(html)["sections"]]
    return "\n".join([*lines, *sections, ""]).replace(ENORMOUS, "[1,000 letters x]")


LEAVES = {"h1", "h2", "h3", "p", "li", "summary", "dt", "dd", "button", "pre"}
NESTS = {"section", "article", "figure", "details", "table"}


def _walk(element: Element, depth: int) -> Iterator[str]:
    for child in element.children:
        if not isinstance(child, Element) or "unseen" in child.attributes.get("class", ""):
            continue
        if child.tag == "footer":
            continue
        indent = "  " * depth
        if child.tag == "table":
            yield indent + _describe_table(child)
        elif child.tag in LEAVES:
            yield f"{indent}{child.tag}: {child.text}"
        elif child.tag in NESTS:
            yield indent + _name(child)
            yield from _walk(child, depth + 1)
        elif child.tag not in ("script", "style", "svg"):
            yield from _walk(child, depth)


def _name(element: Element) -> str:
    kind = element.attributes.get("data-chart")
    anchor = element.attributes.get("data-section", "")
    if kind:
        return f"chart {kind}{f' of {anchor}' if anchor else ''}"
    style = element.attributes.get("class", "")
    name = element.attributes.get("id", "")
    return " ".join(part for part in (element.tag, style, name and f"#{name}") if part)


def _describe_table(table: Element) -> str:
    (head,), (body,) = table.find_all("thead"), table.find_all("tbody")
    headings = " | ".join(cell.text for cell in head.find_all("th"))
    rows = body.find_all("tr")
    first = " | ".join(cell.text for cell in rows[0].find_all() if cell.tag in ("th", "td"))
    return f"table of {len(rows)} rows: {headings} // {first}"


def _summarise(section: dict[str, object]) -> str:
    outcomes = section["outcomes"]
    assert isinstance(outcomes, list)
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in ("holds", "misses", "diverged"))
    return f"data of {section['anchor']}: {section['answer']}, {len(outcomes)} seeds: {counts}"


@pytest.mark.parametrize("case", CASES)
def test_the_page_has_the_outline_that_was_agreed_on(case: str, update_golden: bool):
    """Headings, badges, facts, captions, charts, columns and numbers of rows, all as reviewed."""
    path = GOLDEN / f"{case}.txt"
    found = outline(CASES[case]())
    if update_golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_every_golden_outline_belongs_to_a_case():
    """A file that nothing is compared with would only look like a test."""
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("case", ["html_everywhere", "enormous_names"])
def test_a_text_of_any_kind_changes_no_structure(case: str):
    """With all texts put back, the outline is that of one run with harmless texts."""
    text = {"html_everywhere": SCRIPT, "enormous_names": "[1,000 letters x]"}[case]
    harmless = "harmless"

    def skeleton(html: str) -> list[str]:
        return [line.split(":")[0].replace(text, harmless) for line in outline(html).splitlines()]

    assert skeleton(CASES[case]()) == skeleton(render_with(harmless))


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_every_page_is_whole_and_its_references_lead_somewhere(make: Callable[[], str]):
    """Elements are nested, ids unique, and each chart names a section of the data or none."""
    html = make()
    elements = read_page(html).find_all()
    ids = [e.attributes["id"] for e in elements if "id" in e.attributes]
    anchors = {section["anchor"] for section in read_data(html)["sections"]}
    charts = {e.attributes["data-section"] for e in elements if "data-section" in e.attributes}

    assert len(ids) == len(set(ids))
    assert charts - {""} <= anchors
    assert {
        e.attributes["data-copy-from"] for e in elements if "data-copy-from" in e.attributes
    } <= set(ids)
