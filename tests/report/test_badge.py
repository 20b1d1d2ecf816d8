"""The badge for a README, as an XML parser reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from builders import SHAKY, STEADY, make_iteration, make_run, make_verdict
from page_reader import read_page

from bench.challenges import MNIST
from bench.report.badge import describe_badge, draw_badge
from bench.report.page import render_page

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = """</text><script>"&'<!-- ]]>"""


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314


def read_texts(svg: str) -> list[str | None]:
    return [text.text for text in parse(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("counts", "answer", "colour"),
    [
        ([STEADY] * 33, "✓ HOLDS (33/33 seeds)", "#00609c"),
        ([SHAKY] * 2, "✗ FAILS (0/2 seeds)", "#a83e00"),
        ([STEADY, SHAKY], "? UNDECIDED (1/2 seeds)", "#5b5f66"),
        ([], "? UNDECIDED", "#5b5f66"),
    ],
)
def test_a_badge_says_question_and_answer(counts: list[tuple[int, ...]], answer: str, colour: str):
    """Symbol, word and count beside the colour; in words the same as drawn."""
    runs = [make_run(seed=s, validation_correct=c) for s, c in enumerate(counts)]
    verdict = make_verdict(runs)
    svg = draw_badge(verdict, "Iteration 4")

    assert read_texts(svg) == ["Iteration 4: 99.4 % consistently", answer]
    assert describe_badge(verdict, "Iteration 4") == f"Iteration 4: 99.4 % consistently {answer}"
    root = parse(svg)
    assert root.get("aria-label") == describe_badge(verdict, "Iteration 4")
    assert root.findtext(f"{SVG}title") == describe_badge(verdict, "Iteration 4")
    assert colour in {rect.get("fill") for rect in root.iter(f"{SVG}rect")}


def test_a_hostile_name_is_text_of_well_formed_xml():
    """Nothing in a name ends an element or an attribute."""
    svg = draw_badge(make_verdict([]), HOSTILE)

    assert read_texts(svg)[0] == f"{HOSTILE}: 99.4 % consistently"
    assert {element.tag for element in parse(svg).iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "g", "text")
    }


def test_a_longer_name_makes_a_wider_badge_up_to_forty_letters():
    """Both boxes add up to the whole; what is longer than forty letters is cut."""
    widths = []
    for letters in (5, 20, 40, 41, 1_000):
        root = parse(draw_badge(make_verdict([]), "x" * letters))
        boxes = [int(rect.get("width", "0")) for rect in root.iter(f"{SVG}rect")]
        assert sum(boxes) == int(root.get("width", "0"))
        widths.append(sum(boxes))

    assert widths[0] < widths[1] < widths[2]
    assert widths[2] == widths[3] == widths[4]
    assert (
        read_texts(draw_badge(make_verdict([]), "x" * 41))[0] == "x" * 39 + "…: 99.4 % consistently"
    )


def test_what_the_button_downloads_is_the_badge_as_it_is_shown():
    """The attribute holds the whole file, to the letter, for a hostile name as well."""
    iteration = make_iteration(name=HOSTILE)
    run = make_run(iteration=HOSTILE)
    html = render_page([make_verdict([run], iteration)], [iteration], MNIST)
    document = read_page(html)
    (button,) = [
        b for b in document.find_all("button") if b.attributes.get("data-download") == "badge"
    ]

    assert read_texts(button.attributes["data-content"])[1] == "? UNDECIDED (1/1 seeds)"
    (shown,) = document.find_all("svg")
    assert [text.text for text in shown.find_all("text")] == [
        " ".join((text or "").split()) for text in read_texts(button.attributes["data-content"])
    ]
