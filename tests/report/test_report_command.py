"""`bench report`: pictures where the images are at hand, and none where not."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from page_reader import Element, read_page
from planted_runs import CLEAN, MISTAKES, make_epoch, make_runs, plant_ledger

import bench
from bench.challenges import DIGITS_DIGEST, MNIST_DIGEST
from bench.cli import main

ROOT = Path(bench.__file__).parent.parent
REFUSED = ("torch", "torchvision", "fvcore", "sklearn", "PIL")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no data named in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    return tmp_path


def plant(folder: Path, dataset: str = MNIST_DIGEST) -> None:
    """Write a ledger of three seeds that get the same two images wrong in the last epoch."""
    plant_ledger(folder / "reports" / "ledger", make_runs(range(3), final=CLEAN, dataset=dataset))


def report(folder: Path, *arguments: str) -> Element:
    """Run `bench report` and return the page that it wrote."""
    assert main(["report", *arguments]) == 0
    return read_page((folder / "reports" / "index.html").read_text(encoding="utf-8"))


def list_entries(document: Element) -> list[Element]:
    return [entry for each in document.find_all("ul", "pictures") for entry in each.find_all("li")]


def test_hard_digits_are_shown_where_mnist_is_at_hand(folder: Path, mnist_folder: Path):
    """One picture an image that most seeds get wrong, each a PNG inside the page."""
    plant(folder)

    entries = list_entries(report(folder, "--data", str(mnist_folder)))

    assert [entry.text for entry in entries] == [
        f"{m.label}, taken for {m.predicted} image {m.index}, wrong in 3 of 3" for m in MISTAKES[1:]
    ]
    for entry in entries:
        (image,) = entry.find_all("img")
        kind, _, content = image.attributes["src"].partition(";base64,")
        assert kind == "data:image/png"
        assert b64decode(content, validate=True).startswith(b"\x89PNG\r\n\x1a\n")
        assert image.attributes["alt"] == "", "the words beside it say what it is"


def test_pictures_are_found_by_the_environment_as_well(
    folder: Path, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """`BENCH_DATA` names the folder for every command; no option is needed."""
    plant(folder)
    monkeypatch.setenv("BENCH_DATA", str(mnist_folder))

    assert len(report(folder).find_all("img")) == 2


@pytest.mark.parametrize("arguments", [[], ["--data", "nowhere"]], ids=" ".join)
def test_without_the_images_the_page_names_them(folder: Path, arguments: list[str]):
    """The same entries in words, no picture, and nothing else amiss."""
    plant(folder)

    entries = list_entries(report(folder, *arguments))

    assert [entry.text.split(" image")[0] for entry in entries] == [
        f"{m.label}, taken for {m.predicted}" for m in MISTAKES[1:]
    ]
    assert all(entry.has_class("bare") and not entry.find_all("img") for entry in entries)


def test_images_of_another_dataset_are_never_shown(folder: Path, mnist_folder: Path):
    """Runs that were scored on other images than those at hand get none of them."""
    plant(folder, dataset="e" * 64)

    assert not report(folder, "--data", str(mnist_folder)).find_all("img")


def test_the_embedded_digits_are_found_without_any_folder(folder: Path):
    """They lie in scikit-learn's package, which is read as a file and never imported."""
    epochs = tuple(make_epoch(350, total=359) for _ in range(15))
    runs = make_runs(range(3), epochs=epochs, dataset=DIGITS_DIGEST, challenge="digits")
    plant_ledger(folder / "reports" / "ledger", runs)

    assert len(report(folder, "--dataset", "digits").find_all("img")) == 2


def test_pictures_need_none_of_the_packages_that_training_needs(folder: Path, mnist_folder: Path):
    """In a fresh interpreter that refuses torch, scikit-learn and Pillow they are shown too."""
    plant(folder)
    program = f"""
import sys
for name in {REFUSED}:
    sys.modules[name] = None
from bench.cli import main
sys.exit(main(["report", "--data", {str(mnist_folder)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    page = (folder / "reports" / "index.html").read_text(encoding="utf-8")
    assert len(read_page(page).find_all("img")) == 2
