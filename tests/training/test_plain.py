"""The plain loop learns, depends on its seed alone, and computes what the eager loop computes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from bench.datasets import load_embedded_digits
from bench.equivalence.gradients import (
    compute_exact_gradients,
    largest_difference,
    measure_gradients,
)
from bench.errors import BenchError
from bench.iterations import select_iterations
from bench.records import FIRST_TUNING_SEED, Status
from bench.training import plain
from bench.training.compositions import make_transform
from bench.training.engines import ENGINES
from bench.training.loop import ResidentImages, Training, place_dataset
from bench.training.optimizers import make_optimizer
from bench.training.plain import (
    Pictures,
    PlainTrainer,
    choose_loader_workers,
)
from bench.training.runs import network_builder
from bench.training.streams import derive_seed
from bench.vision import functional
from models.recipe import EMA, SGD, SWA, Adam, AdamW, Affine, Constant, MultiStep

(FOURTH,) = select_iterations(("iteration_4",))
CPU = torch.device("cpu")
EVERYTHING = Affine(
    degrees=10.0, translate=0.1, scale=(0.9, 1.1), shear=5.0, interpolation="bilinear"
)

Data = tuple[ResidentImages, ResidentImages]


@pytest.fixture(scope="module")
def digits() -> Data:
    torch.set_num_threads(1)
    return place_dataset(load_embedded_digits(), CPU)


def first(data: ResidentImages, count: int) -> ResidentImages:
    return dataclasses.replace(data, images=data.images[:count], labels=data.labels[:count])


def train_plain(
    digits: Data, *, seed: int = 0, loader_workers: int = 0, **changes: object
) -> Training:
    training, validation = digits
    return plain.train(
        network_builder(FOURTH),
        dataclasses.replace(FOURTH.recipe, **{"epochs": 2, **changes}),
        training=training,
        validation=validation,
        seed=seed,
        window=3,
        loader_workers=loader_workers,
    )


def without_seconds(training: Training) -> Training:
    epochs = tuple(
        type(epoch)(**{f: getattr(epoch, f) for f in epoch.__struct_fields__} | {"seconds": 0.0})
        for epoch in training.epochs
    )
    return dataclasses.replace(training, epochs=epochs)


def without_normalisation() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(200, 10),
    )  # fmt: skip


def test_one_step_is_the_eager_engines(digits: Data) -> None:
    """From the same weights, on the same images in another order, the gradients are the same."""
    mine, eager = (
        measure_gradients(ENGINES[name], without_normalisation, digits[0])
        for name in ("plain", "eager")
    )
    assert mine is not None
    assert eager is not None
    assert largest_difference(eager, mine) < 1e-5


def test_one_step_is_what_float64_says(digits: Data) -> None:
    """Of iteration 4's network too, to the rounding of float32.

    The eager engine is farther off: in channels-last layout, torch adds up a batch's statistics in
    float32 one by one.
    """
    build = network_builder(FOURTH)
    mine, eager = (
        measure_gradients(ENGINES[name], build, digits[0]) for name in ("plain", "eager")
    )
    seed = derive_seed(FIRST_TUNING_SEED, "initialisation")
    exact = compute_exact_gradients(build, digits[0], seed=seed)
    assert mine is not None
    assert eager is not None
    assert largest_difference(mine, exact) < 2e-3
    assert largest_difference(eager, exact) < 0.2


def test_it_learns_the_digits(digits: Data) -> None:
    """Iteration 4's network gets nine tenths of the digits right in five epochs."""
    result = train_plain(
        digits, epochs=5, schedule=MultiStep(rate=0.05, milestones=(3,)), augmentation=None
    )
    assert result.status is Status.FINISHED
    assert result.epochs[-1].validation_correct > 0.9 * 359
    assert {epoch.training_total for epoch in result.epochs} == {1438}


def test_no_number_depends_on_the_loader_workers(digits: Data) -> None:
    """None, one and two give one result, bit for bit; another seed gives another."""
    alone = without_seconds(train_plain(digits, seed=3))
    for loader_workers in (0, 1, 2):
        torch.rand(5)
        again = train_plain(digits, seed=3, loader_workers=loader_workers)
        assert without_seconds(again) == alone
    assert without_seconds(train_plain(digits, seed=4)) != alone


def test_the_callers_random_numbers_are_left_alone(digits: Data) -> None:
    """The global generator goes on as if nothing had been trained."""
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    train_plain(digits, epochs=1)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("batch_size", [1, 128])
def test_transforms_are_drawn_anew_for_every_epoch_and_batch(digits: Data, batch_size: int) -> None:
    """The same images turn otherwise in another epoch, and otherwise in another batch."""
    data = first(digits[0], 4)
    pictures = Pictures(data, make_transform(data, Affine(degrees=90.0)), seed=1)
    images = []
    for epoch in (1, 2):
        pictures.epoch.fill_(epoch)
        images += [pictures.__getitems__([0])[0][0], pictures.__getitems__([1, 0])[1][0]]
    for one in range(4):
        for other in range(one):
            assert not torch.equal(images[one], images[other])


def test_an_image_without_augmentation_is_what_the_eager_engine_sees(digits: Data) -> None:
    """The same normalised pixels through PIL as on the device."""
    data = digits[1]
    pictures = Pictures(data, make_transform(data), seed=1)
    mine = torch.stack([pictures[index][0] for index in range(20)])
    torch.testing.assert_close(mine, data.normalise(data.pixels(slice(20))).contiguous())


def test_rotations_are_torchvisions(digits: Data) -> None:
    """With no room to draw from, an image is the one that torchvision turns."""
    data = digits[0]
    turned = make_transform(data, Affine(degrees=0.0, scale=(1.3, 1.3)))
    picture = functional.to_pil_image(data.images[3])
    expected = functional.to_tensor(
        functional.affine(picture, angle=0.0, translate=[0, 0], scale=1.3, shear=[0.0, 0.0])
    )
    torch.testing.assert_close(turned(picture), (expected - data.mean) / data.deviation)


def test_mistakes_are_the_images_counted_wrong(digits: Data) -> None:
    """As many as the epoch got wrong, by ascending index, with the true digit."""
    result = train_plain(digits)
    labels = digits[1].labels.tolist()
    for epoch, mistakes in zip(result.epochs, result.mistakes, strict=True):
        assert len(mistakes) == epoch.validation_total - epoch.validation_correct
        indices = [mistake.index for mistake in mistakes]
        assert indices == sorted(set(indices))
        assert all(labels[m.index] == m.label != m.predicted for m in mistakes)


def test_a_run_that_diverges_keeps_the_epochs_before(digits: Data) -> None:
    """A loss that is not finite ends the run, with no epoch made up."""
    result = train_plain(digits, schedule=Constant(rate=1e30))
    assert result.status is Status.DIVERGED
    assert len(result.epochs) < 2


@pytest.mark.parametrize("averaging", [EMA(decay=0.9), SWA(start=2)])
def test_a_recipe_with_every_feature_trains(digits: Data, averaging: EMA | SWA) -> None:
    """Averaging, label smoothing, bf16, Adam and a full affine together give finite scores."""
    result = train_plain(
        digits,
        optimizer=Adam(),
        schedule=Constant(rate=0.01),
        averaging=averaging,
        label_smoothing=0.1,
        precision="bf16",
        augmentation=EVERYTHING,
    )
    assert result.status is Status.FINISHED
    assert result.epochs[-1].validation_correct > 36  # better than guessing


@pytest.mark.parametrize(
    "recipe", [SGD(momentum=0.9, nesterov=True, weight_decay=1e-3), Adam(), AdamW()]
)
def test_optimizers_are_torchs_default_ones(recipe: SGD | Adam | AdamW) -> None:
    """Named as in the recipe, and not fused."""
    optimizer = make_optimizer(recipe, nn.Linear(2, 2).parameters(), rate=0.1)
    assert type(optimizer).__name__ == type(recipe).__name__
    assert not optimizer.param_groups[0]["fused"]
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_loader_workers_are_chosen_by_a_measurement(digits: Data) -> None:
    """The fastest of those that were timed, each of which took some time."""
    best, milliseconds = choose_loader_workers(
        network_builder(FOURTH), FOURTH.recipe, first(digits[0], 512), cores=2
    )
    assert set(milliseconds) == {0, 1, 2}
    assert milliseconds[best] == min(milliseconds.values()) > 0


def test_the_number_of_loader_workers_can_be_set(
    digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without measuring; a number that is none is an error of one line."""
    build, recipe = network_builder(FOURTH), FOURTH.recipe
    monkeypatch.setenv("BENCH_LOADER_WORKERS", "1")
    assert PlainTrainer._measure(build, recipe, digits[0]) == 1
    monkeypatch.setenv("BENCH_LOADER_WORKERS", "many")
    with pytest.raises(BenchError, match="BENCH_LOADER_WORKERS=many: not a number of processes"):
        PlainTrainer._measure(build, recipe, digits[0])
