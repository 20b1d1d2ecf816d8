"""The native engine computes what torch computes, from gradients to whole runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from networks import NETWORKS, make_network
from torch import nn

from bench.augmentation import apply_affine, draw_affine, invert_affine
from bench.datasets import load_embedded_digits
from bench.iterations import list_iterations
from bench.records import Status
from bench.training import loop
from bench.training.loop import ResidentImages, Training, place_dataset
from bench.training.native import engine, library
from bench.training.native.engine import NativeLearner, explain_refusal
from bench.training.native.stages import explain_unkerneled
from bench.training.runs import network_builder
from bench.training.tracing import trace_program
from models.recipe import EMA, SGD, SWA, Adam, AdamW, Affine, Constant, Cosine, Recipe
from models.skeleton import Skeleton

ITERATIONS = {iteration.name: iteration for iteration in list_iterations()}
GOLDEN = Path(__file__).parent.parent / "golden" / "native.json"
CPU = torch.device("cpu")
PLAIN = Recipe(optimizer=SGD(), schedule=Constant(rate=0.02), batch_size=128, epochs=2)

pytestmark = pytest.mark.skipif(
    library.find_compiler() is None, reason="no C++ compiler on this machine"
)


@pytest.fixture(scope="module")
def digits() -> tuple[ResidentImages, ResidentImages]:
    torch.set_num_threads(1)
    return place_dataset(load_embedded_digits(), CPU)


def make_noise(count: int) -> ResidentImages:
    """Return images without equal pixels side by side, whose maxima and zeros are unambiguous."""
    generator = torch.Generator().manual_seed(2)
    return ResidentImages(
        images=torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=generator),
        labels=torch.randint(0, 10, (count,), generator=generator),
        mean=0.5,
        deviation=0.29,
    )


class Perceptron(nn.Sequential):
    """Dense layers on the pixels themselves."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 21), nn.ReLU(), nn.Linear(21, 10))


@pytest.mark.parametrize("images", [128, 33, 2], ids="{} images".format)
@pytest.mark.parametrize(
    "kind", [*NETWORKS, Skeleton, Perceptron, network_builder(ITERATIONS["iteration_1"])]
)
def test_one_step_from_one_state_has_the_gradients_of_double_precision(
    kind: type[nn.Module], images: int
) -> None:
    """Scores, gradients of all parameters and running statistics, with a partial block of lanes."""
    network, exact = make_network(kind), make_network(kind).double()
    noise = make_noise(images)
    index, labels = torch.arange(images), noise.labels
    learner = NativeLearner(network, PLAIN, training=noise, seed=0)
    scores, _ = learner.accumulate(index, labels)
    (flat,) = learner.parameters()
    expected = exact(noise.normalise(noise.pixels(index)).double())
    F.cross_entropy(expected, labels).backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in exact.parameters() if p.grad is not None])
    if kind.__name__ == "Forked":  # whose log_softmax is not in the program
        scores = F.log_softmax(scores, dim=1)
    torch.testing.assert_close(scores.double(), expected.detach(), rtol=1e-5, atol=1e-5)
    assert flat.grad is not None
    # one value within rounding of ReLU's kink moves the gradient by some 1e-4 of its length
    assert float((flat.grad - gradient).norm() / gradient.norm()) < 5e-4
    for (name, value), (_, other) in zip(
        exact.named_buffers(), network.named_buffers(), strict=True
    ):
        if value.is_floating_point():
            torch.testing.assert_close(other.double(), value, rtol=1e-6, atol=1e-6, msg=name)


def test_a_gradient_through_dropout_is_the_loss_s_own(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """Backward redraws the mask of forward: the loss falls along the gradient as it promises."""
    network = make_network(lambda: Skeleton(dropout=0.3))  # type: ignore[arg-type]
    learner = NativeLearner(network, PLAIN, training=digits[0], seed=0)
    index = torch.arange(64)
    labels = digits[0].labels[index]
    (flat,) = learner.parameters()
    learner.accumulate(index, labels)
    assert flat.grad is not None
    gradient, start, width = flat.grad.clone(), flat.detach().clone(), 1e-3
    losses = []
    for sign in (1, -1):
        learner._step = 0  # the same draws again
        flat.data.copy_(start + sign * width * gradient / gradient.norm())
        losses.append(float(learner.accumulate(index, labels)[1]))
    slope = (losses[0] - losses[1]) / (2 * width)
    assert slope == pytest.approx(float(gradient.norm()), rel=2e-2)


def pixels_after(*layers: nn.Module, maps: int = 1, data: ResidentImages) -> NativeLearner:
    """Return a learner whose scores are its images' pixels after `layers`, in `maps` copies."""
    spread = nn.Conv2d(1, maps, 1, bias=False)
    nn.init.ones_(spread.weight)
    network = nn.Sequential(spread, *layers, nn.Flatten()).train()
    return NativeLearner(network, PLAIN, training=data, seed=5)


@pytest.mark.parametrize("whole_maps", [False, True])
def test_dropout_drops_as_often_as_asked_and_scales_up(
    whole_maps: bool, digits: tuple[ResidentImages, ResidentImages]
) -> None:
    """Rates within five standard errors; images and steps are independent of each other."""
    probability, images, maps = 0.3, 100, 16
    white = ResidentImages(
        images=torch.full_like(digits[0].images, 255),
        labels=torch.zeros_like(digits[0].labels),
        mean=0.0,
        deviation=1.0,
    )
    kind = nn.Dropout2d if whole_maps else nn.Dropout
    learner = pixels_after(kind(probability), maps=maps, data=white)
    index = torch.arange(images)
    scores = [learner.accumulate(index, white.labels[index])[0] for _ in range(2)]
    for values in scores:
        assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])
    masks = torch.stack([(values > 0).float() for values in scores]).view(2, images, maps, -1)
    if whole_maps:
        assert torch.equal(masks.amax(3), masks.amin(3))
        masks = masks[..., :1]
    spread = (probability * (1 - probability)) ** 0.5
    assert float(masks.mean()) == pytest.approx(0.7, abs=5 * spread / masks.numel() ** 0.5)
    both = 0.7**2 + 0.3**2
    for first, second in ((masks[0], masks[1]), (masks[0, :-1], masks[0, 1:])):
        error = (both * (1 - both) / first.numel()) ** 0.5
        assert float((first == second).float().mean()) == pytest.approx(both, abs=5 * error)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_images_are_moved_as_torch_moves_them(
    interpolation: str, digits: tuple[ResidentImages, ResidentImages]
) -> None:
    """But for pixels whose source lies on the border between two, at most one in a thousand."""
    affine = Affine(degrees=20.0, translate=0.1, scale=(0.8, 1.2), shear=10.0)
    index = torch.arange(70)
    draw = draw_affine(affine, count=70, side=28, generator=torch.Generator().manual_seed(1))
    moved = apply_affine(digits[0].pixels(index), draw, interpolation=interpolation)
    learner = pixels_after(data=digits[0])
    theta = invert_affine(draw, side=28)
    learner._kernels.place(digits[0], index, theta, bilinear=interpolation == "bilinear")
    (flat,) = learner.parameters()
    found = learner._kernels.forward(70, flat, learner._buffers, stream=None)
    unlike = ~torch.isclose(found, digits[0].normalise(moved).flatten(1), atol=1e-3)
    assert float(unlike.float().mean()) < 1e-3


def train(
    name: str, digits: tuple[ResidentImages, ResidentImages], *, seed: int, **changes: object
) -> Training:
    iteration = ITERATIONS[name]
    return engine.train(
        network_builder(iteration),
        dataclasses.replace(iteration.recipe, **{"epochs": 2, **changes}),  # type: ignore[arg-type]
        training=digits[0],
        validation=digits[1],
        seed=seed,
        window=3,
    )


def results(training: Training) -> list[tuple[int, float, int, float]]:
    return [
        (e.training_correct, e.training_loss, e.validation_correct, e.validation_loss)
        for e in training.epochs
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": Adam(), "schedule": Cosine(rate=1e-3), "batch_size": 100},
        {"optimizer": AdamW(weight_decay=0.1), "schedule": Constant(rate=1e-3)},
        {"averaging": EMA(decay=0.9), "label_smoothing": 0.1},
        {"averaging": SWA(start=2), "optimizer": SGD(momentum=0.9, nesterov=True)},
        {"augmentation": Affine(degrees=10, interpolation="bilinear"), "batch_size": 1000},
    ],
    ids=str,
)
def test_whole_runs_are_the_eager_engines_where_nothing_is_dropped(
    changes: dict[str, object], digits: tuple[ResidentImages, ResidentImages]
) -> None:
    """Every optimiser, schedule, average and batch size: losses to 2 %, after two epochs."""
    iteration = ITERATIONS["iteration_2"]
    recipe = dataclasses.replace(iteration.recipe, **{"epochs": 2, **changes})  # type: ignore[arg-type]
    expected = loop.train(
        network_builder(iteration),
        recipe,
        training=digits[0],
        validation=digits[1],
        seed=3,
        window=3,
    )
    found = train("iteration_2", digits, seed=3, **changes)
    for one, other in zip(found.epochs, expected.epochs, strict=True):
        assert one.training_loss == pytest.approx(other.training_loss, rel=2e-2)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=2e-2)


def test_one_seed_gives_one_result_bit_for_bit(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    first = train("iteration_4", digits, seed=3)
    train("iteration_1", digits, seed=9)
    assert results(train("iteration_4", digits, seed=3)) == results(first)
    assert results(train("iteration_4", digits, seed=4)) != results(first)


@pytest.mark.parametrize("name", ["iteration_1", "iteration_2"])
def test_a_run_that_diverges_ends_as_diverged(
    name: str, digits: tuple[ResidentImages, ResidentImages]
) -> None:
    """NaN passes ReLU, pooling and normalisation, and is not taken for a finite loss."""
    result = train(name, digits, seed=0, schedule=Constant(rate=1e38))
    assert result.status is Status.DIVERGED
    assert len(result.epochs) < 2


def test_a_golden_run_pins_the_engines_numbers(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """If this fails, TRAINING_SEMANTICS must change and the evidence be measured again."""
    golden = json.loads(GOLDEN.read_text())
    losses = [epoch.training_loss for epoch in train("iteration_4", digits, seed=0).epochs]
    assert losses == pytest.approx(golden["losses"], rel=2e-3)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "drilldown"
    library.find_compiler.cache_clear()


SOURCE = 'extern "C" int answer() { return 42; }'


def test_a_source_is_compiled_once(own_cache: Path) -> None:
    assert library.load_library(SOURCE).answer() == 42
    (compiled,) = own_cache.iterdir()
    before = compiled.stat().st_mtime_ns
    assert library.load_library(SOURCE).answer() == 42
    assert [file.stat().st_mtime_ns for file in own_cache.iterdir()] == [before]


def test_a_source_that_does_not_compile_is_an_error_that_leaves_nothing(own_cache: Path) -> None:
    with pytest.raises(library.CompilationError, match="error"):
        library.load_library("this is not C++")
    assert list(own_cache.iterdir()) == []


def refuse(network: nn.Module, recipe: Recipe = PLAIN, device: str = "cpu") -> str | None:
    return explain_refusal(network, recipe, torch.device(device))


def test_without_a_compiler_the_engine_says_so(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    library.find_compiler.cache_clear()
    assert refuse(Skeleton()) == (
        "cannot compile it here: no C++ compiler on the path; install g++ or clang, or set CXX"
    )


def test_what_the_engine_cannot_train_is_named() -> None:
    assert refuse(Skeleton()) is None
    assert refuse(Skeleton(), device="meta") == "is made for CPUs"
    bf16 = dataclasses.replace(PLAIN, precision="bf16")
    assert refuse(Skeleton(), bf16) == "computes in fp32, the recipe in bf16"
    gelu = nn.Sequential(nn.Conv2d(1, 10, 28), nn.GELU(), nn.Flatten())
    assert refuse(gelu) == "has no kernel for 1: nn.GELU"


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4)), "a grouped convolution"),
        ((nn.Conv2d(1, 4, 3), nn.MaxPool2d(3, 2)), "max-pooling with overlapping windows"),
        ((nn.Conv2d(1, 4, 3, padding=3),), "padding as wide as the kernel"),
    ],
    ids=["grouped", "overlapping", "padded"],
)
def test_what_has_no_kernel_is_named(layers: tuple[nn.Module, ...], reason: str) -> None:
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    program = trace_program(network, (1, 28, 28))
    explained = explain_unkerneled(program)
    assert explained is not None
    assert reason in explained


if __name__ == "__main__":  # write the golden file
    torch.set_num_threads(1)
    placed = place_dataset(load_embedded_digits(), CPU)
    run = train("iteration_4", placed, seed=0)
    GOLDEN.write_text(
        json.dumps({"losses": [epoch.training_loss for epoch in run.epochs]}, indent=2) + "\n"
    )
