"""One run: a pure function of its seed, and honest when it diverges."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from bench.augmentation import draw_affine
from bench.datasets import load_embedded_digits
from bench.iterations import list_iterations
from bench.records import Status
from bench.training.loop import ResidentImages, Training, evaluate, place_dataset, train
from bench.training.optimizers import WeightAverage, build_optimizer
from bench.training.runs import network_builder
from bench.training.streams import derive_seed, make_generator
from models.recipe import EMA, SGD, SWA, Adam, AdamW, Affine, Constant, MultiStep, Recipe
from models.skeleton import Skeleton

ITERATIONS = {iteration.name: iteration for iteration in list_iterations()}
GOLDEN = Path(__file__).parent.parent / "golden" / "engine.json"
CPU = torch.device("cpu")
GOLDEN_RECIPE = Recipe(
    optimizer=SGD(momentum=0.9),
    schedule=MultiStep(rate=0.05, milestones=(1,)),
    batch_size=128,
    epochs=2,
    augmentation=Affine(degrees=7.0),
)


@pytest.fixture(scope="module")
def digits() -> tuple[ResidentImages, ResidentImages]:
    torch.set_num_threads(1)
    return place_dataset(load_embedded_digits(), CPU)


def train_iteration(
    name: str, digits: tuple[ResidentImages, ResidentImages], *, seed: int, **changes: object
) -> Training:
    iteration = ITERATIONS[name]
    recipe = dataclasses.replace(iteration.recipe, **{"epochs": 2, **changes})
    training, validation = digits
    return train(
        network_builder(iteration),
        recipe,
        training=training,
        validation=validation,
        seed=seed,
        window=3,
    )


def results(training: Training) -> list[tuple[int, float, int, float]]:
    return [
        (e.training_correct, e.training_loss, e.validation_correct, e.validation_loss)
        for e in training.epochs
    ]


@pytest.mark.parametrize("name", list(ITERATIONS))
def test_one_seed_gives_one_result_bit_for_bit(
    name: str, digits: tuple[ResidentImages, ResidentImages]
) -> None:
    """Losses are equal to the last bit, whatever was drawn from torch's generator before."""
    first = train_iteration(name, digits, seed=3)
    torch.rand(17)
    train_iteration("iteration_1", digits, seed=99)
    again = train_iteration(name, digits, seed=3)
    assert results(first) == results(again)
    assert first.mistakes == again.mistakes


def test_another_seed_gives_another_result(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """Two seeds do not share their numbers."""
    losses = {results(train_iteration("iteration_4", digits, seed=s))[-1][1] for s in range(3)}
    assert len(losses) == 3


def test_training_leaves_the_callers_random_numbers_alone(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """The global generator goes on as if nothing had been trained."""
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    train_iteration("iteration_4", digits, seed=1)
    assert torch.equal(torch.rand(4), expected)


def test_a_run_that_diverges_keeps_the_epochs_before(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """A loss that is not finite ends the run as diverged, with no epoch made up."""
    result = train_iteration("iteration_1", digits, seed=0, schedule=Constant(rate=1e9))
    assert result.status is Status.DIVERGED
    assert len(result.epochs) < 2


def test_mistakes_are_the_images_counted_wrong(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """As many indices as errors, ascending, for the window's epochs alone."""
    result = train_iteration("iteration_2", digits, seed=0, epochs=4)
    assert len(result.mistakes) == 3
    labels = digits[1].labels.tolist()
    for epoch, mistakes in zip(result.epochs[-3:], result.mistakes, strict=True):
        assert len(mistakes) == epoch.validation_total - epoch.validation_correct
        indices = [mistake.index for mistake in mistakes]
        assert indices == sorted(set(indices))
        assert all(labels[m.index] == m.label != m.predicted for m in mistakes)


def test_an_epoch_shows_every_image_once(digits: tuple[ResidentImages, ResidentImages]) -> None:
    """The running accuracy counts all 1,438 training images, the partial last batch included."""
    result = train_iteration("iteration_1", digits, seed=0, batch_size=1000)
    assert {epoch.training_total for epoch in result.epochs} == {1438}


def test_evaluation_equals_one_pass_over_all_images(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """Batched evaluation gives what one batch of all images gives."""
    torch.manual_seed(0)
    network = network_builder(ITERATIONS["iteration_4"])()
    validation = digits[1]
    network.eval()
    with torch.no_grad():
        pixels = (validation.images.float() / 255 - validation.mean) / validation.deviation
        scores = network(pixels)
    expected = nn.functional.cross_entropy(scores, validation.labels)
    found = evaluate(network.train(), validation, precision="fp32")
    assert found.correct == int((scores.argmax(1) == validation.labels).sum())
    assert found.loss == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "recipe",
    [
        SGD(momentum=0.9, nesterov=True, weight_decay=1e-3),
        Adam(beta1=0.8, weight_decay=1e-3),
        AdamW(weight_decay=1e-2),
    ],
)
def test_optimizers_step_as_torchs_unfused_ones(recipe: SGD | Adam | AdamW) -> None:
    """Ten steps on a quadratic end where torch's plain loop over parameters ends."""

    def descend(*, fused: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.linspace(-1, 1, 50))
        optimizer = build_optimizer(recipe, [weight], rate=0.01)
        if not fused:
            settings = {
                key: value
                for key, value in optimizer.param_groups[0].items()
                if key not in ("params", "fused", "foreach", "decoupled_weight_decay")
            }
            optimizer = type(optimizer)([weight], **settings, foreach=False)
        for _ in range(10):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
        return weight.detach()

    torch.testing.assert_close(descend(fused=True), descend(fused=False))


def make_walk() -> list[nn.Module]:
    """Return the same layer after each of five steps."""
    layers = []
    for step in range(5):
        layer = nn.Linear(2, 1)
        with torch.no_grad():
            layer.weight.fill_(float(step))
            layer.bias.fill_(float(step**2))
        layers.append(layer)
    return layers


def test_swa_is_the_plain_mean_from_its_epoch_on() -> None:
    """Steps of epochs before `start` do not count; before any counted, the network is itself."""
    layers = make_walk()
    average = WeightAverage(layers[0], SWA(start=3))
    assert average.network(layers[0]) is layers[0]
    for epoch, layer in enumerate(layers, start=1):
        average.update(layer, epoch=epoch)
    network = average.network(layers[-1])
    assert network.weight.flatten().tolist() == pytest.approx([3.0, 3.0])  # mean of 2, 3, 4
    assert network.bias.tolist() == pytest.approx([(4 + 9 + 16) / 3])


def test_ema_equals_torchs_parameter_by_parameter() -> None:
    """The fused average is torch's own, computed one parameter at a time."""
    layers = make_walk()
    average = WeightAverage(layers[0], EMA(decay=0.8))
    reference = AveragedModel(layers[0], avg_fn=get_ema_avg_fn(0.8), use_buffers=True)
    for layer in layers:
        average.update(layer, epoch=1)
        reference.update_parameters(layer)
    assert torch.allclose(average.network(layers[-1]).weight, reference.module.weight)


@pytest.mark.parametrize("averaging", [EMA(decay=0.9), SWA(start=2)])
def test_a_recipe_with_every_feature_trains(
    digits: tuple[ResidentImages, ResidentImages], averaging: EMA | SWA
) -> None:
    """Averaging, label smoothing, bf16 and a full affine together give finite scores."""
    result = train_iteration(
        "iteration_4",
        digits,
        seed=0,
        averaging=averaging,
        label_smoothing=0.1,
        precision="bf16",
        augmentation=Affine(
            degrees=10.0, translate=0.1, scale=(0.9, 1.1), shear=5.0, interpolation="bilinear"
        ),
    )
    assert result.status is Status.FINISHED
    assert result.epochs[-1].validation_correct > 36  # better than guessing


def test_streams_of_a_seed_are_independent() -> None:
    """Streams and seeds have numbers of their own, the same on every machine."""
    streams = ("initialisation", "shuffling", "augmentation", "dropout")
    seeds = {derive_seed(seed, stream) for seed in range(100) for stream in streams}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "shuffling") == 4716574524114731952


def test_a_golden_run_pins_the_engines_numbers(
    digits: tuple[ResidentImages, ResidentImages],
) -> None:
    """If this fails, TRAINING_SEMANTICS must change and the evidence be measured again.

    Order and streams are exact; losses may differ in their last digits between processors.
    Update with the command in tests/golden/README.md.
    """
    golden = json.loads(GOLDEN.read_text())
    assert measure_engine(digits) == {
        "order": golden["order"],
        "augmentation": pytest.approx(golden["augmentation"], abs=1e-6),
        "losses": pytest.approx(golden["losses"], rel=2e-3),
    }


def measure_engine(digits: tuple[ResidentImages, ResidentImages]) -> dict[str, object]:
    """Return what the golden file holds."""
    training, validation = digits
    run = train(
        lambda: Skeleton(dropout=0.1),
        GOLDEN_RECIPE,
        training=training,
        validation=validation,
        seed=0,
        window=3,
    )
    order = torch.randperm(1000, generator=make_generator(0, "shuffling", CPU))
    draw = draw_affine(
        Affine(degrees=10.0, translate=0.1, scale=(0.9, 1.1), shear=5.0),
        count=2,
        side=28,
        generator=make_generator(0, "augmentation", CPU),
    )
    return {
        "order": order[:20].tolist(),
        "augmentation": [
            *draw.angle.tolist(),
            *draw.shift.flatten().tolist(),
            *draw.scale.tolist(),
            *draw.shear.tolist(),
        ],
        "losses": [
            loss
            for _, training_loss, _, validation_loss in results(run)
            for loss in (training_loss, validation_loss)
        ],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    measured = measure_engine(place_dataset(load_embedded_digits(), CPU))
    GOLDEN.write_text(json.dumps(measured, indent=1) + "\n")
