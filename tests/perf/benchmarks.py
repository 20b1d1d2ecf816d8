"""The benchmarks: training, augmenting, evaluating, judging, the page, and starting up.

Not named `test_*.py`, so that the tests do not collect it: `python tests/perf` does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.augmentation import apply_affine, draw_affine
from bench.challenges import MNIST
from bench.commands.judge import judge_each
from bench.commands.options import read_selection
from bench.datasets import load_mnist
from bench.foreign import change_epochs
from bench.iterations import MODELS, Iteration, list_iterations, read_iteration
from bench.report.page import render_page
from bench.training.engines import ENGINES
from bench.training.loop import ResidentImages, evaluate, place_dataset
from bench.training.plain import LOADER_WORKERS
from bench.training.runs import network_builder
from bench.verdict import judge_all
from models.recipe import Affine
from perf.conftest import Repeat, cpu_seconds
from perf.engines import CPU_ENGINES, find_refusal
from perf.measure_judge import plant_ledger, plant_models

ITERATION = read_iteration(MODELS / "iteration_4.py")
BATCH = 128
CLOCK_ROUNDS = 10
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.benchmark(timer=cpu_seconds, warmup=False, disable_gc=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A folder with models and a ledger of runs that nobody trained."""

    folder: Path
    iterations: tuple[Iteration, ...]


@pytest.fixture(scope="module")
def mnist(mnist_folder: Path) -> tuple[ResidentImages, ResidentImages]:
    return place_dataset(load_mnist(mnist_folder), torch.device("cpu"))


@pytest.fixture(scope="module", params=[1_000, 10_000], ids="{:,}".format)
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("small"), 1_000)


def plant(folder: Path, runs: int) -> Planted:
    plant_models(folder / "models")
    iterations = tuple(list_iterations(folder / "models"))
    plant_ledger(folder, iterations, runs)
    return Planted(folder=folder, iterations=iterations)


def take(images: ResidentImages, count: int) -> ResidentImages:
    return ResidentImages(
        images=images.images[:count],
        labels=images.labels[:count],
        mean=images.mean,
        deviation=images.deviation,
    )


def train_epoch(engine: str, *, training: ResidentImages, validation: ResidentImages) -> Any:
    """Train iteration 4 for an epoch of these images."""
    return ENGINES[engine].train(
        network_builder(ITERATION),
        change_epochs(ITERATION, epochs=1).recipe,
        training=training,
        validation=validation,
        seeds=(0,),
        width=1,
        window=1,
        report=None,
    )


@pytest.fixture(params=CPU_ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an engine's name; processor time is that of one process, so it loads its images."""
    monkeypatch.setenv(LOADER_WORKERS, "0")
    refusal = find_refusal(request.param, ITERATION)
    if refusal is not None:
        pytest.skip(refusal)
    return str(request.param)


def test_ten_training_steps(
    repeat: Repeat, mnist: tuple[ResidentImages, ResidentImages], engine: str
) -> None:
    """Ten batches of 128 images, with building the network and scoring one image."""
    training, validation = take(mnist[0], 10 * BATCH), take(mnist[1], 1)
    repeat(lambda: train_epoch(engine, training=training, validation=validation), 10)


def test_tenth_of_an_epoch(
    repeat: Repeat, mnist: tuple[ResidentImages, ResidentImages], engine: str
) -> None:
    """6,000 images of MNIST for training and 1,000 for validation."""
    training, validation = take(mnist[0], 6_000), take(mnist[1], 1_000)
    repeat(lambda: train_epoch(engine, training=training, validation=validation), 4)


def test_augmentation(repeat: Repeat, mnist: tuple[ResidentImages, ResidentImages]) -> None:
    """Rotate a batch of 128 images, each by an angle of its own; 20 times."""
    pixels = mnist[0].pixels(slice(BATCH))
    affine = ITERATION.recipe.augmentation or Affine()
    generator = torch.Generator().manual_seed(0)

    def augment() -> None:
        for _ in range(20):
            draw = draw_affine(affine, count=BATCH, side=28, generator=generator)
            apply_affine(pixels, draw, interpolation=affine.interpolation)

    repeat(augment, 60)


def test_evaluation(repeat: Repeat, mnist: tuple[ResidentImages, ResidentImages]) -> None:
    """Score 10,000 images with the network of iteration 4."""
    network = network_builder(ITERATION)().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    repeat(lambda: evaluate(network, mnist[1], precision="fp32"), 6)


def test_judge(repeat: Repeat, planted: Planted) -> None:
    """Read and judge a ledger of ten iterations."""

    def judge() -> None:
        for _ in judge_each(planted.iterations, planted.folder / "ledger", MNIST):
            pass

    repeat(judge, 24)


def test_page(repeat: Repeat, small: Planted) -> None:
    """Read a ledger of 1,000 runs, judge it and render its page."""

    def render() -> str:
        verdicts = [
            verdict
            for iteration in small.iterations
            for verdict in judge_all(
                read_selection(small.folder / "ledger", MNIST, iteration), iteration, MNIST
            )
        ]
        return render_page(verdicts, small.iterations, MNIST)

    repeat(render, 4)


def test_start_up_of_help(repeat: Repeat, benchmark: BenchmarkFixture) -> None:
    """`bench --help` as a process of its own."""
    repeat(lambda: run_python("-m", "bench", "--help"), 20)
    benchmark.extra_info["clock_seconds"] = min(
        run_python("-m", "bench", "--help") for _ in range(CLOCK_ROUNDS)
    )


def test_start_up_of_gate(repeat: Repeat, benchmark: BenchmarkFixture, small: Planted) -> None:
    """`bench gate` on a ledger of 1,000 runs, as a process of its own.

    The reference is a process too, one that imports of scipy what judging needs: that is most of
    it, and a busy machine slows it more than arithmetic.
    """
    arguments = ("-m", "bench", "gate", "--ledger", str(small.folder / "ledger"))
    repeat(lambda: run_python(*arguments), 8, lambda: run_python("-c", "import scipy.special"))
    benchmark.extra_info["clock_seconds"] = min(run_python(*arguments) for _ in range(CLOCK_ROUNDS))


def run_python(*arguments: str) -> float:
    """Run a process whose exit code may be a verdict's; return its seconds by the clock."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1, 3), done.stderr
    return time.perf_counter() - begun
