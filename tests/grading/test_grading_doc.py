"""What docs/grading.md says is what the code does."""

from __future__ import annotations

from pathlib import Path

from bench.anatomy import NEAR_THE_OUTPUT, TIERS
from bench.figures import format_count
from bench.grading.claims import COLUMNS, read_claims
from bench.grading.ranking import RULE

DOC = (Path(__file__).parent.parent.parent / "docs" / "grading.md").read_text(encoding="utf-8")


def test_the_ranking_rule_is_the_one_on_the_page():
    """Word for word, whatever the line breaks."""
    stated = DOC.partition("<!-- ranking")[2].partition("-->")[2].partition("<!-- /ranking")[0]

    assert " ".join(stated.split()) == RULE


def test_every_column_has_its_line():
    """And no other has one."""
    table = DOC.partition("| column | holds |")[2].partition("\n\n")[0]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]

    assert named == list(COLUMNS)


def test_the_tables_of_claims_are_read(tmp_path: Path):
    """Both examples, as they stand there, say the same of Anna."""
    claims = []
    for kind in ("csv", "toml"):
        path = tmp_path / f"claims.{kind}"
        path.write_text(DOC.partition(f"```{kind}\n")[2].partition("```")[0], encoding="utf-8")
        claims.append(read_claims(path)[0])
    first, second = claims

    assert (first.file, first.network, first.arguments) == (
        second.file, second.network, second.arguments,
    )  # fmt: skip
    assert (first.accuracy, first.epoch) == (second.accuracy, second.epoch)
    assert first.parameters is not None
    assert first.parameters.fits(7924)


def test_tiers_and_thresholds_are_those_of_the_code():
    """10,000 and 8,000; fewer than two convolutions."""
    assert " and ".join(map(format_count, TIERS)) in DOC
    assert NEAR_THE_OUTPUT == 2
    assert "fewer than two convolutions" in DOC
