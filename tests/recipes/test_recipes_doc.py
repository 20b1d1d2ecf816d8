"""docs/recipes.md: every example is read, every field of every type has its row."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from bench.errors import RecipeError
from bench.recipe_text import write_recipe
from bench.recipes import list_kinds, parse_recipe
from bench.torch_names import VOCABULARIES
from models import recipe as types
from models.recipe import Averaging, Optimizer, Recipe, Schedule
from models.recipe.transforms import Augmentation, Transform

DOC = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(<!-- refused -->\n)?```toml\n(.*?)```", DOC, re.DOTALL)
KINDS = {
    name: kind
    for union in (Optimizer, Schedule, Averaging, Augmentation, Transform)
    for name, kind in list_kinds(union).items()
}


def read_rows(kind: str) -> dict[str, list[str]]:
    """Return the cells of a type's table by field."""
    heading = "## A recipe" if kind == "Recipe" else f"### {kind}"
    section = DOC.split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("`"): cells for cells in lines}


def test_every_example_is_a_recipe_or_refused() -> None:
    """And what it is written as is the same recipe."""
    assert [bool(refused) for refused, _ in BLOCKS] == [False, False, True]
    for refused, text in BLOCKS:
        if refused:
            with pytest.raises(RecipeError, match="never sees a validation image"):
                parse_recipe(text, origin="docs")
        else:
            recipe = parse_recipe(text, origin="docs")
            assert parse_recipe(write_recipe(recipe), origin="written") == recipe


@pytest.mark.parametrize("kind", [Recipe, *KINDS.values()], ids=lambda kind: kind.__name__)
def test_every_field_has_a_row_with_its_default_and_torchs_name(kind: type) -> None:
    """The default of a file, which is torch's, and all names that torch has for a field."""
    rows = read_rows(kind.__name__)
    assert list(rows) == [field.name for field in dataclasses.fields(kind)]
    words = [each for each in VOCABULARIES.values() if each.kind == kind.__name__]
    own = VOCABULARIES.get(kind.__name__)
    for field in dataclasses.fields(kind):
        cells = rows[field.name]
        default = own.defaults.get(field.name, field.default) if own else field.default
        if default is dataclasses.MISSING:
            assert cells[1] == "*needed*"
        elif default is None:
            assert cells[1] == "none"
        else:
            assert cells[1] == f"`{write_default(default)}`"
        names = {each.name(field.name) for each in words} - {field.name}
        assert names <= set(re.findall(r"`(\w+)`", cells[-1]))


def write_default(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(write_default, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def test_every_kind_of_torchs_is_in_the_table_of_schedules() -> None:
    schedules = {name for name, words in VOCABULARIES.items() if words.kind in list_kinds(Schedule)}
    for name in schedules:
        assert f"`{name}`" in DOC


def test_every_type_is_exported_where_iteration_files_import_it() -> None:
    for name, kind in KINDS.items():
        assert getattr(types, name) is kind
