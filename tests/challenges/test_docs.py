"""docs/challenges.md has every field and every dataset there is."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import bench
from bench.challenge_tables import _FIELDS, build_challenge
from bench.challenges import DATASETS, FOLDER, IDX

PAGE = (Path(bench.__file__).parent.parent / "docs" / "challenges.md").read_text(encoding="utf-8")


def test_every_field_has_its_row() -> None:
    """And no row is of a field that is not taken."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    assert rows == list(_FIELDS)


def test_every_dataset_is_named() -> None:
    """In the row of the field that takes it."""
    (row,) = re.findall(r"^\| `dataset` \|.*", PAGE, re.M)
    assert set(re.findall(r"`([\w-]+)`", row)) == {"dataset", *DATASETS, FOLDER, IDX}


def test_the_example_is_a_challenge() -> None:
    """As it stands in the document."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    tables = tomllib.loads(block, parse_float=Decimal)["tool"]["bench"]
    challenge = build_challenge("clothes", tables["challenges"]["clothes"], where="challenges.md")
    assert (challenge.name, challenge.epochs) == (tables["challenge"], 15)
