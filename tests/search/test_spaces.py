"""A space is read with everything in it, and a mistake in one is a line that names the place."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from spaces_for_tests import RATES, read, read_family

from bench.errors import SearchError
from bench.searching.spaces import GRID, Choices, Range, read_space
from models.recipe import EMA, Affine, OneCycle, Pipeline, RandomErasing


def first(_where: str, field: Range | Choices) -> int:
    return field.ends[0]


def last(_where: str, field: Range | Choices) -> int:
    return field.ends[-1]


def test_the_template_is_a_space_of_every_kind_of_field() -> None:
    """What `--template` prints can be searched as it is."""
    text = files("bench.searching").joinpath("template.toml").read_text("utf-8")
    family = read_family(text)
    assert set(family.fields) == {
        "recipe.augmentation.degrees",
        "recipe.averaging",
        "recipe.averaging[1].decay",
        "recipe.batch_size",
        "recipe.label_smoothing",
        "recipe.optimizer.weight_decay",
        "recipe.schedule.peak",
        "recipe.schedule.warmup",
    }
    lowest, highest = family.configure(first).recipe, family.configure(last).recipe
    assert (lowest.averaging, highest.averaging) == (None, EMA(decay=0.999))
    assert lowest.augmentation == Affine(degrees=4)
    assert highest.schedule == OneCycle(peak=0.3, warmup=0.4, momentum=(0.85, 0.95))
    assert lowest.epochs == highest.epochs == 15


def test_a_table_without_a_kind_changes_a_part_and_one_with_it_takes_the_place() -> None:
    part = read_family(RATES).configure(last).recipe
    assert (part.schedule.rate, part.schedule.milestones) == (0.2, (10,))  # type: ignore[union-attr]
    text = RATES.replace("schedule.rate =", 'schedule.kind = "Constant"\nschedule.rate =')
    whole = read_family(text).configure(first).recipe
    assert type(whole.schedule).__name__ == "Constant"


def test_entries_of_a_pipeline_have_ranges() -> None:
    erasing = '[{ kind = "RandomErasing", p = { from = 0.0, to = 0.5 } }]'
    family = read_family(
        f"{RATES}augmentation.tensors = {erasing}\naugmentation.kind = 'Pipeline'\n"
    )
    assert "recipe.augmentation.tensors[0].p" in family.fields
    recipe = family.configure(last).recipe
    assert recipe.augmentation == Pipeline(tensors=(RandomErasing(p=0.5),))


def test_a_configuration_is_named_by_its_code() -> None:
    """Two that are drawn alike are one; the base is none of them."""
    family = read_family(RATES)
    one, other = family.configure(first), family.configure(last)
    assert one == family.recall(dict.fromkeys(family.fields, 0))
    assert one.name == f"iteration_4-{one.fingerprint[:16]}"
    assert len({one.fingerprint, other.fingerprint, family.base.fingerprint}) == 3


def test_the_base_alone_has_the_fingerprint_of_its_iteration() -> None:
    """A recipe that is varied to what it was is the recipe: its runs would be the same."""
    text = 'model = "iteration_4"\n[recipe]\nbatch_size = { choices = [128, 64] }\n'
    family = read_family(text)
    assert family.configure(first).fingerprint == family.base.fingerprint


def test_seeds_are_tuning_seeds_and_rungs_multiply() -> None:
    space = read(f"seeds = 10\nfirst = 2\nkeep = 2\n{RATES}")
    assert space.seeds == tuple(range(1_000_000, 1_000_010))
    assert space.rungs == (2, 4, 8, 10)
    assert read(f"seeds = 2\nfirst = 5\n{RATES}").rungs == (2,)


@pytest.mark.parametrize("seed", [-1, 0, 999_999])
def test_claim_seeds_are_refused(seed: int) -> None:
    with pytest.raises(SearchError, match=r"space\.toml: first_seed: .* is a claim seed"):
        read(f"first_seed = {seed}\n{RATES}")


def test_fractions_are_steps_between_the_ends() -> None:
    even = Range(low=0.0, high=0.5, whole=False)
    log = Range(low=1e-4, high=1e-1, whole=False, log=True)
    assert [even.at(place) for place in (0, 1, GRID // 2, GRID)] == [0.0, 0.0005, 0.25, 0.5]
    assert log.at(GRID // 3) == pytest.approx(1e-3, rel=0.01)
    assert Range(low=4, high=16, whole=True).ends == (4, 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 3", r"Expected `str`.*\$\.model"),
        ("", r"`model`"),
        (f"sedes = 3\n{RATES}", r"unknown field `sedes`"),
        (f"seeds = 0\n{RATES}", r"\$\.seeds"),
        (RATES.replace("from = 0.02", "from = 0.3"), r"recipe\.schedule\.rate: from 0\.3 to 0\.2"),
        (RATES.replace("from = 0.02, ", ""), r"recipe\.schedule\.rate\.from: missing"),
        (RATES.replace("from = 0.02", "from = 0"), r"rate\.from: 0 has no logarithm"),
        (RATES.replace("from = 0.02", "from = nan"), r"rate\.from: nan is no number"),
        (RATES.replace("0.02, to = 0.2", "1e-300, to = 1e9"), r"schedule\.rate: .* no 1,000 steps"),
        (RATES.replace("0.02", "0.19999999999999998"), r"schedule\.rate: .* no 1,000 steps"),
        (
            RATES.replace("0.02, to = 0.2, log = true", "0.0, to = 5e-324"),
            r"schedule\.rate: .* no 1,000 steps",
        ),
        (RATES.replace("log = true", "log = 3"), r"rate\.log: 3; write true or false"),
        (RATES.replace("log = true", "steps = 3"), r"rate\.steps: no such key"),
        (RATES.replace("log = true", "step = 0.1"), r"rate\.step: only of whole numbers"),
        (RATES.replace("[32, 64, 128]", "[32]"), r"batch_size\.choices: .* single"),
        (RATES.replace("[32, 64, 128]", "[32, 64, 32]"), r"batch_size\.choices: .* twice"),
        (f"{RATES}epochs = {{ from = 2, to = 9, step = 2 }}", r"epochs\.step: 2 does not lead"),
        (f"{RATES}epochs = 1999-01-01", r"recipe\.epochs: .* is no value"),
        ("[", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_by_its_place(text: str, message: str) -> None:
    with pytest.raises(SearchError, match=rf"^space\.toml: .*{message}"):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RATES.replace("schedule.rate", "schedule.rat"), r"schedule\.rat: no such field .*rate"),
        (RATES.replace("schedule.rate", "sedule.rate"), r"sedule: no such field"),
        (RATES.replace("from = 0.02, to = 0.2, log = true", "from = -1.0, to = 0.2"), r"schedule"),
        (RATES.replace("[32, 64, 128]", '["all", 64]'), r"batch_size: 'all' is not a value"),
        (RATES.replace("[32, 64, 128]", "[64, 0]"), r"batch_size=0"),
        (f"{RATES}averaging.decay = {{ from = 0.9, to = 0.99 }}", r"averaging\.kind: missing"),
        ('model = "iteration_4"', r"nothing varies"),
        (f"{RATES}[arguments]\nwidth = 3", r"arguments: iteration_4 takes none"),
        (RATES.replace("iteration_4", "iteration_9"), r"model: iteration_9: no such iteration"),
        (f'base_recipe = "no.toml"\n{RATES}', r"base_recipe: no\.toml: cannot be read"),
    ],
)
def test_a_field_that_does_not_do_is_found_before_training(text: str, message: str) -> None:
    """Also at the far end of a range."""
    with pytest.raises(SearchError, match=rf"^space\.toml: .*{message}"):
        read_family(text)


def test_the_page_has_every_key_and_its_default() -> None:
    """docs/search.md, against what a space that says nothing is read as."""
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    table = page.partition("## Every key")[2].partition("\n\nIn ")[0]
    told = dict(re.findall(r"^\| `\[?(\w+)\]?` \| (.+?) \|", table, flags=re.MULTILINE))
    written = read('model = "m"').written
    assert set(told) == set(written)
    for key, text in told.items():
        if text.startswith("`"):
            assert tomllib.loads(f"x = {text.strip('`')}")["x"] == written[key], key
        else:
            assert written[key] in (None, {}, "m"), key


def test_a_space_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"none\.toml: cannot be read .*--template"):
        read_space(tmp_path / "none.toml")
