"""A recipe is found by an iteration's name or read from a TOML file, and a fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import RecipeError
from bench.iterations import list_iterations
from bench.recipes import find_recipe, read_recipe
from models.recipe import EMA, SGD, Affine, MultiStep, Recipe

WHOLE = """
batch_size = 64
epochs = 3
label_smoothing = 0.1
precision = "bf16"

[optimizer]
kind = "SGD"
momentum = 0.9
nesterov = true
weight_decay = 5e-4

[schedule]
kind = "MultiStep"
rate = 0.1
milestones = [1, 2]

[augmentation]
kind = "Affine"
degrees = 7
scale = [0.9, 1.1]
interpolation = "bilinear"

[averaging]
kind = "EMA"
decay = 0.999
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_field_of_a_file_reaches_the_recipe(tmp_path: Path) -> None:
    assert read_recipe(write(tmp_path, WHOLE)) == Recipe(
        optimizer=SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=MultiStep(rate=0.1, milestones=(1, 2)),
        batch_size=64,
        epochs=3,
        augmentation=Affine(degrees=7, scale=(0.9, 1.1), interpolation="bilinear"),
        label_smoothing=0.1,
        averaging=EMA(decay=0.999),
        precision="bf16",
    )


def test_a_built_in_recipe_is_found_by_its_iterations_name() -> None:
    for iteration in list_iterations():
        assert find_recipe(iteration.name) == iteration.recipe
        assert find_recipe(str(iteration.path)) == iteration.recipe


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    file = write(tmp_path, WHOLE)
    assert find_recipe(str(file)) == read_recipe(file)


def test_a_name_that_is_none_lists_the_iterations() -> None:
    with pytest.raises(RecipeError, match=r"iteration_9: no such recipe; .*iteration_4"):
        find_recipe("iteration_9")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("momentum = 0.9", "momentun = 0.9", r"optimizer\.momentun: no such.* mean momentum"),
        ("epochs = 3", "epochs = 3.5", r"epochs: 3\.5 is not a value for it; write a whole number"),
        ("epochs = 3", "epochs = 100_000", r"epochs: 100000 has a size"),
        ("epochs = 3", "", r"epochs: missing; Recipe needs it: a whole number"),
        ("epochs = 3", "epochs = 0", r"epochs=0.*at least 1"),
        ('"bf16"', '"fp16"', r"precision: 'fp16' is not .*'fp32' or 'bf16'"),
        ('kind = "EMA"', "", r"averaging\.kind: missing; choose from EMA, SWA"),
        ('kind = "EMA"', 'kind = "MA"', r"averaging\.kind: 'MA' is not one; did you mean EMA\?"),
        ("[1, 2]", '["1"]', r"schedule\.milestones: .* a list of which each is a whole number"),
        ("[0.9, 1.1]", "[0.9]", r"augmentation\.scale: .* a list of 2, each a number"),
        ("rate = 0.1", "rate = nan", r"schedule\.rate: nan has a size"),
        ("epochs = 3", "epochs = ", r"not valid TOML"),
        ("epochs = 3", f"epochs = {'9' * 5000}", r"not valid TOML"),
    ],
)
def test_a_fault_is_named_with_its_file_its_field_and_what_would_do(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = write(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_is_missing_or_a_folder_is_an_error_of_the_users(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(RecipeError, match="cannot be read"):
            read_recipe(path)
