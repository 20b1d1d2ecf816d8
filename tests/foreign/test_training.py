"""Model files from the command line to the ledger, and what adapters do to numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.adaptation import Adaptation
from bench.challenges import DIGITS
from bench.datasets import load_dataset
from bench.errors import IterationError
from bench.foreign import find_iterations
from bench.iterations import Iteration
from bench.ledger import read_ledger
from bench.training.adapting import adapt, pad
from bench.training.loop import place_dataset, train
from bench.training.runs import _check_batches, network_builder

MODELS = Path(__file__).parent / "models"
PLAIN = Adaptation(shape=(1, 28, 28), classes=10)


def find(name: str, **adapted: object) -> Iteration:
    (found,) = find_iterations([str(MODELS / name)], recipe="iteration_1", root=MODELS)
    return replace(found, adaptation=replace(PLAIN, **adapted))  # type: ignore[arg-type]


def build(iteration: Iteration, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network_builder(iteration)()


def test_every_network_has_objects_of_its_own() -> None:
    """A layer of the file, not of the class, starts anew for each run, from the run's seed."""
    iteration = find("shared_layer.py", extracted=True)
    first, again, other = (build(iteration, seed) for seed in (0, 0, 1))
    assert first.fc is not again.fc
    assert torch.equal(first.fc.weight, again.fc.weight)
    assert not torch.equal(first.fc.weight, other.fc.weight)


def test_a_constructor_cannot_choose_the_seed() -> None:
    """Runs of a file that seeds torch differ all the same."""
    iteration = find("seeds_itself.py")
    assert not torch.equal(build(iteration, 0).fc.weight, build(iteration, 1).fc.weight)


def test_a_file_leaves_nothing_behind() -> None:
    """Neither its modules nor its folder nor torch's settings are seen by the next file."""
    before = set(sys.modules), sys.path[:], torch.get_rng_state()
    build(find("star_imports.py", extracted=True, stand_ins=True), 0)
    assert not {"blocks", "star_imports", "torchsummary_that_is_not_here"} & set(sys.modules)
    assert sys.path == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_probabilities_are_trained_as_the_logits_behind_them() -> None:
    """log(softmax(x)) and x have one cross-entropy and one gradient, up to rounding."""
    logits = torch.randn(5, 10, requires_grad=True)
    labels = torch.arange(5)
    expected = nn.functional.cross_entropy(logits, labels)
    adapted = adapt(nn.Softmax(dim=1), replace(PLAIN, training="probabilities"))
    scores = adapted.train()(logits)
    loss = nn.functional.cross_entropy(scores, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    (ours,) = torch.autograd.grad(loss, logits)
    (theirs,) = torch.autograd.grad(expected, logits)
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_images_are_padded_with_their_background() -> None:
    """The image in the middle, bit for bit, in its lowest value."""
    images = torch.rand(3, 1, 28, 28) - 0.4
    padded = pad(images, 32)
    assert padded.shape == (3, 1, 32, 32)
    assert torch.equal(padded[:, :, 2:30, 2:30], images)
    lowest = images.amin(dim=(1, 2, 3))
    assert torch.equal(padded[:, 0, 0, 0], lowest)
    assert torch.equal(padded[:, 0, 31, 31], lowest)


def test_a_single_image_is_refused_where_a_network_cannot_train_on_it() -> None:
    """1,281 images in batches of 64 leave one; 1,280 leave none."""
    iteration = find("norm_of_points.py", least_batch=2)
    iteration = replace(iteration, recipe=replace(iteration.recipe, batch_size=64))
    _check_batches(iteration, 1_280)
    with pytest.raises(IterationError, match="1,281 images in batches of 64 leave one"):
        _check_batches(iteration, 1_281)


def test_a_batch_of_one_image_is_trained_where_squeeze_would_drop_it() -> None:
    """Without its hook the scores of one image have no axis of images."""
    iteration = find("squeezes.py", reshaped=True)
    training, validation = place_dataset(load_dataset(DIGITS, None), torch.device("cpu"))
    few = replace(training, images=training.images[:5], labels=training.labels[:5])
    recipe = replace(iteration.recipe, batch_size=4, epochs=1)
    done = train(network_builder(iteration), recipe, training=few, validation=few, seed=0, window=1)
    assert done.epochs[0].training_total == 5
    assert len(validation.labels) > 0


def run_bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(MODELS.parent.parent.parent)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_a_folder_of_the_users_may_have_modules_named_as_ours(tmp_path: Path) -> None:
    """`models.py` and `bench.py` beside a file are its own; the harness keeps its own."""
    (tmp_path / "models.py").write_text((MODELS / "several.py").read_text())
    (tmp_path / "bench.py").write_text("raise SystemExit")
    (tmp_path / "net.py").write_text("from models import Small\n\n\nclass Net(Small): pass\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", "cost", "net.py:Net"], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(MODELS.parent.parent.parent)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "50 parameters" in done.stdout


@pytest.mark.trainings
def test_files_of_all_kinds_are_trained_judged_and_verified(tmp_path: Path) -> None:
    """Trained by two workers, written on the page, and identical when they are trained again."""
    names = [
        f"{MODELS / name}"
        for name in ("combined.py", "notebook.ipynb", "overrides_call.py", "star_imports.py")
    ]
    common = ["--recipe", "iteration_1", "--dataset", "digits", "--ledger", "ledger"]
    ran = run_bench(
        tmp_path, "run", *names, *common, "--seeds", "2", "--epochs", "2", "--device", "cpu",
        "--page", "page.html",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "models-combined-Net: returns probabilities" in ran.stderr
    assert "models-combined-Net: 14,200 parameters, 14,188 reached by a gradient" in ran.stderr
    assert "trained with --epochs 2: no evidence for the recipe" in ran.stderr
    assert "to judge" not in ran.stderr
    page = (tmp_path / "page.html").read_text()
    assert "models-notebook-Net" in page
    assert "iteration_1" not in page.replace("--recipe iteration_1", "").replace(
        "trained by iteration_1", ""
    )
    runs = read_ledger(tmp_path / "ledger" / "digits" / "models-combined-Net.jsonl").runs
    assert [run.cost.reached_parameters for run in runs] == [14_188, 14_188]

    again = run_bench(tmp_path, "verify", *names, *common, "--sample", "4", "--epochs", "2")
    assert again.returncode == 0, again.stderr
    assert "4 identical, 0 compatible, 0 contradicted, 0 unverified" in again.stdout
