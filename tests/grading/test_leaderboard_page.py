"""The leaderboard: its rows and figures, and nothing that a student wrote can run."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
from grades import make_grade, make_screened, make_submission
from page_reader import Element, read_page

import bench.grading.page
from bench.challenges import DIGITS, MNIST
from bench.grading.marks import Grade, Mark
from bench.grading.page import render_page
from bench.grading.ranking import RULE, rank
from bench.report.page import write_page

PLANTED = (
    """</script></style></title></td>"'><script>alert("planted")</script><img src=x>{{ 7*7 }}"""
)


def render(*grades: Grade) -> str:
    return render_page(rank(grades), MNIST, dataset="MNIST")


def render_planted() -> str:
    return render(
        make_grade(
            submission=make_submission(PLANTED, student=PLANTED),
            screened=make_screened(network=PLANTED, notes=(PLANTED,)),
            why=PLANTED,
        )
    )


def check_nothing_runs(html: str) -> None:
    document = read_page(html)
    usual = read_page(render(make_grade(screened=make_screened(notes=("Fine.",)))))
    assert [s.body for s in document.find_all("script")] == [
        s.body for s in usual.find_all("script")
    ]
    assert {e.tag for e in document.find_all()} == {e.tag for e in usual.find_all()}
    attributes = [{n for e in page.find_all() for n in e.attributes} for page in (document, usual)]
    assert attributes[0] == attributes[1]
    assert document.text.count(" ".join(PLANTED.split())) >= 4


def test_a_script_planted_in_names_claims_notes_and_reasons_is_text():
    """To the letter, wherever it stands."""
    check_nothing_runs(render_planted())


def test_the_check_fails_without_escaping(monkeypatch: pytest.MonkeyPatch):
    """The same page with Jinja's autoescape off is caught."""
    make = bench.grading.page._make_environment

    def make_careless():
        environment = make()
        environment.autoescape = False
        return environment

    monkeypatch.setattr(bench.grading.page, "_make_environment", make_careless)
    with pytest.raises(AssertionError):
        check_nothing_runs(render_planted())


def test_the_policy_allows_the_pages_script_alone_and_stands_before_it():
    """By its SHA-256, as a browser computes it; no request goes anywhere."""
    document = read_page(render_planted())
    (script,) = document.find_all("script")
    digest = b64encode(hashlib.sha256(script.body.encode()).digest()).decode()
    (head,) = document.find_all("head")
    metas = [meta for meta in head.find_all("meta") if "http-equiv" in meta.attributes]

    assert metas[0].attributes["content"] == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert head.find_all().index(metas[0]) < 2
    assert not [e for e in document.find_all() if "src" in e.attributes]


def list_cells(html: str) -> list[list[Element]]:
    (table,) = read_page(html).find_all("table")
    (body,) = table.find_all("tbody")
    return [[c for c in row.children if isinstance(c, Element)] for row in body.find_all("tr")]


def test_a_row_has_the_claim_beside_what_was_measured():
    """Cut and not rounded: a mean of 99.39999 % is not shown at the target."""
    (cells,) = list_cells(
        render(make_grade(screened=make_screened(parameters=7_930, reached=7_924)))
    )
    texts = [cell.text for cell in cells]

    assert texts[:4] == ["1", "anna.py Net", "✓ HOLDS", "33 of 33 seeds hold"]
    assert texts[4] == "7,930 7,924 reached claimed 7,924 ✗"
    assert texts[5] == (
        "99.39 % (99.30 % to 99.50 %) claimed 99.42 % (epoch 14) in an epoch of 2 of 10 seeds"
    )
    assert texts[6] == "9 of 10 best epoch 0.01 points higher"
    assert texts[7:] == [
        "1 of 2 convolutions", "1 × 0.1", "global average pooling nothing dense",
        "28 x 28 8 x 8 locally", "below 8,000 3 remarks",
    ]  # fmt: skip


def test_rows_stand_by_rank_and_each_can_be_sorted_by():
    """Every cell but the reason has what it is sorted by; what has no figure has nothing."""
    rows = list_cells(
        render(
            make_grade(Mark.BROKEN, file="z.py", parameters=None, lower=None),
            make_grade(Mark.HOLDS, file="a.py"),
            make_grade(Mark.BROKEN, file="b.py", parameters=None, lower=None),
        )
    )

    assert [cells[0].text for cells in rows] == ["1", "2", "2"]
    assert [cells[1].attributes["data-sort"] for cells in rows] == ["a.py", "b.py", "z.py"]
    assert all("data-sort" in c.attributes for cells in rows for c in [*cells[:3], *cells[4:]])
    assert rows[1][4].attributes["data-sort"] == ""


def test_the_page_states_its_rule_and_asks_the_challenges_question():
    """97 % on the digits is not 99.4 % on MNIST."""
    text = read_page(render_page(rank([make_grade()]), DIGITS, dataset="the embedded digits")).text

    assert RULE in text
    assert "97 % on the embedded digits in every one of the last 3 epochs" in text
    assert "1 ✓ HOLDS" in text
    assert "They say nothing about MNIST." in text
    assert "say nothing about MNIST" not in read_page(render(make_grade())).text


def test_a_page_without_any_sound_submission_is_a_page():
    """All broken: as many rows, and no section on what they are made of."""
    html = render(*(make_grade(Mark.BROKEN, file=f, parameters=None, lower=None) for f in "abc"))

    assert len(list_cells(html)) == 3
    assert "What they are made of" not in html


def test_a_character_that_no_file_can_hold_costs_no_leaderboard(tmp_path: Path):
    """A name that is not UTF-8 may be in a note or a reason, after hours of training."""
    path = tmp_path / "leaderboard.html"
    write_page(path, render(make_grade(why="cannot read caf\udce9.py")))

    assert "cannot read caf?.py" in path.read_text(encoding="utf-8")
