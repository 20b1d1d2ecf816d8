"""Challenges on images of one's own, from the pictures to the gate, by the commands of a user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from challenges.samples import CLASSES, write_idx, write_pictures
from page_reader import read_data, read_page

import bench

ROOT = Path(bench.__file__).parent.parent
CHALLENGE = f"""
[tool.bench]
challenge = "clothes"

[tool.bench.challenges.clothes]
dataset = "idx"
folder = "images"
classes = {json.dumps(list(CLASSES))}
target = "0.6"
epochs = 3
window = 2
"""
CLASSES_OF_PICTURES = ("a <b>circle", "square", "triangle")


def run_bench(
    folder: Path, *arguments: str, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, as a user does who installed this harness elsewhere."""
    done = subprocess.run(
        [sys.executable, "-c", "from bench.cli import run_as_script; run_as_script()", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def shorten_recipe(project: Path) -> None:
    """Train three epochs, which fit into the challenge."""
    file = project / "models" / "iteration_1.py"
    source, changes = re.subn(r"epochs=15", "epochs=3", file.read_text())
    assert changes == 1
    file.write_text(source)


@pytest.fixture(scope="module")
def clothes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project on files of FashionMNIST's shape, two seeds of it trained."""
    project = tmp_path_factory.mktemp("user") / "clothes"
    run_bench(project.parent, "init", "clothes")
    (project / "pyproject.toml").write_text(CHALLENGE)
    write_idx(project / "images", training=600, validation=150)
    shorten_recipe(project)
    run_bench(project, "run", "--seeds", "2", "--engine", "eager", "--workers", "1")
    return project


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project on a folder of pictures, as `bench init` makes it, two seeds trained."""
    folder = tmp_path_factory.mktemp("user")
    write_pictures(folder / "pictures", classes=CLASSES_OF_PICTURES)
    run_bench(folder, "init", "shapes", "--pictures", "pictures")
    shorten_recipe(folder / "shapes")
    # two networks at once of two workers: the numbers do not depend on it
    run_bench(folder / "shapes", "run", "--seeds", "2", "--workers", "2")
    return folder / "shapes"


def read_runs(project: Path) -> list[dict]:
    (file,) = (project / "reports" / "ledger").rglob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_runs_are_recorded_under_the_challenges_name(clothes: Path):
    """Two finished runs, each scored on the 150 validation images that the test made."""
    runs = read_runs(clothes)
    assert [(run["challenge"], run["seed"]) for run in runs] == [("clothes", 0), ("clothes", 1)]
    assert {epoch["validation_total"] for run in runs for epoch in run["epochs"]} == {150}
    assert {epoch["training_total"] for run in runs for epoch in run["epochs"]} == {600}
    assert len({run["dataset"] for run in runs}) == 1


def test_the_verdict_is_of_the_challenges_own_numbers(clothes: Path):
    """Each command takes the project's challenge; the document says what it asked."""
    document = json.loads(run_bench(clothes, "judge", "--format", "json").stdout)
    assert (document["challenge"]["name"], document["challenge"]["window"]) == ("clothes", 2)
    assert document["challenge"]["classes"] == list(CLASSES)
    (verdict,) = document["verdicts"]
    assert (verdict["seeds"], verdict["stale"]) == (2, 0)
    needed = 90  # 60 % of 150
    holding = sum(
        all(epoch["validation_correct"] >= needed for epoch in run["epochs"][-2:])
        for run in read_runs(clothes)
    )
    assert verdict["reliable"]["holding"] == holding


def test_the_gate_judges_the_projects_challenge(clothes: Path):
    """Two seeds decide nothing but a failure: exit 1 when neither holds, else 3."""
    document = json.loads(run_bench(clothes, "judge", "--format", "json").stdout)
    expected = {"UNDECIDED": 3, "FAILS": 1}[document["verdicts"][0]["answer"]]
    done = run_bench(clothes, "gate", code=expected)
    assert done.stdout.startswith(document["verdicts"][0]["answer"])


def test_the_page_speaks_of_the_projects_images(clothes: Path):
    """Names of classes, no digits, nothing of MNIST: neither claims nor a comparison."""
    run_bench(clothes, "report")
    text = (clothes / "reports" / "index.html").read_text(encoding="utf-8")
    page = read_page(text)
    assert "60 % on clothes in every one of the last 2 epochs" in page.text
    assert "MNIST" not in page.text
    assert "digit" not in page.text.lower()
    assert "Images that most seeds get wrong" in page.text
    data = read_data(text)
    assert data["classes"] == list(CLASSES)
    assert data["claims"] == []
    wrong = {m[1] for run in read_runs(clothes) for m in run["mistakes"][-1]}
    assert all(CLASSES[label] in page.text for label in wrong)


def test_reading_never_opens_the_images(clothes: Path):
    """Judge, gate and report say the same where the folder of images is a trap."""
    before = run_bench(clothes, "judge").stdout
    images = clothes / "images"
    images.rename(clothes / "elsewhere")
    images.symlink_to("/dev/zero")
    try:
        assert run_bench(clothes, "judge").stdout == before
        run_bench(clothes, "gate", code=None)
        run_bench(clothes, "report")
    finally:
        images.unlink()
        (clothes / "elsewhere").rename(images)


@pytest.mark.trainings
def test_tuning_seeds_see_the_training_images_alone(clothes: Path):
    """A sixth of the 600 is validation, and nothing of it is evidence."""
    run_bench(
        clothes, "run", "--seeds", "1000000-1000000", "--engine", "eager", "--ledger", "tuning"
    )
    (file,) = (clothes / "tuning").rglob("*.jsonl")
    (epoch, *_) = json.loads(file.read_text())["epochs"]
    assert (epoch["training_total"], epoch["validation_total"]) == (500, 100)


@pytest.mark.trainings
def test_runs_on_own_images_can_be_verified(clothes: Path):
    """A recorded run, trained again, is the same to the last bit."""
    done = run_bench(clothes, "verify", "--sample", "1", "--random-seed", "1")
    assert "1 identical" in done.stdout


def test_pictures_in_colour_are_learnt(shapes: Path):
    """Three classes of pictures, resized from 20 x 14 to 32 x 32 pixels in three channels."""
    runs = read_runs(shapes)
    assert [run["challenge"] for run in runs] == ["shapes"] * 2
    assert {epoch["validation_total"] for run in runs for epoch in run["epochs"]} == {36}
    best = max(epoch["training_correct"] for run in runs for epoch in run["epochs"])
    assert best > 60  # of 120, and a third by guessing
    first = runs[0]["cost"]["layers"][0]
    assert first["output_shape"] == [8, 32, 32]
    assert first["parameters"] == 3 * 8 * 9


def test_the_page_shows_the_folders_names_as_text(shapes: Path):
    """What is in a folder's name is no part of the page's structure."""
    text = (shapes / "reports" / "index.html").read_text(encoding="utf-8")
    assert read_data(text)["classes"] == list(CLASSES_OF_PICTURES)
    assert "on shapes in every one of the last 3 epochs" in read_page(text).text


def test_a_project_is_looked_through_without_its_pictures(shapes: Path):
    """The gate of a clone that has only what git has: ledger, models, pyproject.toml."""
    (shapes.parent / "pictures").rename(shapes.parent / "gone")
    try:
        done = run_bench(shapes, "gate", code=None)
        assert done.returncode in (1, 3)
        assert "iteration_1" in done.stdout
        missing = run_bench(shapes, "run", "--seeds", "3", code=2)
        assert re.search(r"error: .*pictures.*no such folder.*--data", missing.stderr)
    finally:
        (shapes.parent / "gone").rename(shapes.parent / "pictures")


def test_a_bundle_holds_the_projects_challenge_and_models(clothes: Path):
    """Its verdicts are those of the project's own table, checked where the project is not."""
    done = run_bench(clothes, "bundle", "b.zip")
    assert re.search(r"(FAILS|UNDECIDED) +iteration_1 .* of 2 seeds hold", done.stdout)
    checked = run_bench(clothes.parent, "verify", "clothes/b.zip")
    assert "the ledger and the verdicts agree" in checked.stdout


@pytest.mark.trainings
def test_a_bundle_of_a_project_can_be_trained_again(clothes: Path):
    """With its own models and challenge, on images that are named here."""
    run_bench(clothes, "bundle", "again.zip")
    done = run_bench(
        clothes.parent, "verify", "clothes/again.zip", "--sample", "1", "--execute",
        "--data", "clothes/images",
    )  # fmt: skip
    assert "1 identical" in done.stdout
