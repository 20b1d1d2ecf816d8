"""Recipes as public answers to the MNIST challenge write them, read from TOML and trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from planted_runs import LATEST
from torch import Tensor, nn

from bench.augmentation import augment, count_uniform
from bench.datasets import load_embedded_digits
from bench.errors import EngineError, RecipeError
from bench.fitting import explain_misfit
from bench.recipe_text import write_recipe
from bench.recipes import parse_recipe
from bench.records import Status
from bench.session import check_recipes
from bench.training import plain, stacked
from bench.training.compositions import compose
from bench.training.engines import choose_engine
from bench.training.loop import ResidentImages, Training, place_dataset, train
from bench.training.native import engine as native
from bench.training.optimizers import make_optimizer
from bench.training.stacked.cycling import CyclingOptimizer
from bench.training.streams import derive_seed, make_generator
from models.recipe import (
    SGD,
    Adam,
    AdamW,
    CenterCrop,
    ColorJitter,
    Cosine,
    GaussianBlur,
    OneCycle,
    Pipeline,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Recipe,
    Resize,
)

Data = tuple[ResidentImages, ResidentImages]
CPU = torch.device("cpu")

SGD_ONE_CYCLE = """
batch_size = 128
epochs = 1
[optimizer]
kind = "SGD"
momentum = 0.9
[schedule]
kind = "OneCycleLR"
max_lr = 0.1
pct_start = 0.2
"""

ADAMS = [
    '[optimizer]\nkind = "Adam"\nlr = 0.01\nbetas = [0.9, 0.98]\neps = 1e-7\namsgrad = true\n',
    '[optimizer]\nkind = "AdamW"\nlr = 0.01\n',
    '[optimizer]\nkind = "SGD"\nlr = 0.1\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-4\n',
    '[optimizer]\nkind = "SGD"\nlr = 0.1\nmomentum = 0.9\ndampening = 0.1\n',
    '[optimizer]\nkind = "RMSprop"\nlr = 0.001\nmomentum = 0.9\ncentered = true\n',
    '[optimizer]\nkind = "Adagrad"\nlr = 0.05\nlr_decay = 1e-4\n',
    '[optimizer]\nkind = "Adadelta"\nlr = 1.0\n',
]
SCHEDULES = [
    'kind = "StepLR"\nstep_size = 1\ngamma = 0.7\n',
    'kind = "MultiStepLR"\nmilestones = [1, 2]\n',
    'kind = "ExponentialLR"\ngamma = 0.9\nper = "batch"\n',
    'kind = "CosineAnnealingLR"\nT_max = 5\neta_min = 1e-4\n',
]
PIPELINES = [
    """
[[augmentation.pictures]]
kind = "RandomApply"
p = 0.1
transforms = [{ kind = "CenterCrop", size = 22 }, { kind = "Resize", size = [28, 28] }]
[[augmentation.pictures]]
kind = "RandomRotation"
degrees = [-15, 15]
fill = 0
""",
    """
[[augmentation.pictures]]
kind = "ColorJitter"
brightness = 0.1
contrast = 0.1
saturation = 0.1
hue = 0.1
[[augmentation.pictures]]
kind = "RandomRotation"
degrees = [-7, 7]
fill = [1]
""",
    """
[[augmentation.tensors]]
kind = "RandomAffine"
degrees = 10
translate = [0.1, 0.1]
scale = [0.9, 1.1]
shear = [-5, 5, -5, 5]
[[augmentation.normalised]]
kind = "RandomRotation"
degrees = 7
[[augmentation.normalised]]
kind = "RandomErasing"
p = 0.5
scale = [0.02, 0.20]
ratio = [0.3, 3.3]
value = 0
""",
    """
[[augmentation.pictures]]
kind = "RandomPerspective"
distortion_scale = 0.2
[[augmentation.pictures]]
kind = "RandomCrop"
size = 28
padding = 2
[[augmentation.tensors]]
kind = "RandomResizedCrop"
size = 28
scale = [0.8, 1.0]
[[augmentation.tensors]]
kind = "GaussianBlur"
kernel_size = 3
""",
]


class Small(nn.Module):
    """Four channels, and nothing random."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 5, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.classes = nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.norm(self.first(images)))
        return self.classes(maps.mean((2, 3)))


@pytest.fixture(scope="module")
def digits() -> Data:
    torch.set_num_threads(1)
    training, validation = place_dataset(load_embedded_digits(), CPU)
    return first(training, 300), first(validation, 100)


def first(data: ResidentImages, count: int) -> ResidentImages:
    return dataclasses.replace(data, images=data.images[:count], labels=data.labels[:count])


def read(text: str) -> Recipe:
    """Return the recipe of a text, which is also what it is written as and read again."""
    recipe = parse_recipe(text, origin="recipe.toml")
    assert parse_recipe(write_recipe(recipe), origin="written") == recipe
    return recipe


def run(engine: Any, recipe: Recipe, digits: Data, *, seed: int = 1) -> Training:
    training, validation = digits
    result: Training = engine(
        Small, recipe, training=training, validation=validation, seed=seed, window=1
    )
    assert result.status is Status.FINISHED
    return result


@pytest.mark.parametrize("optimizer", ADAMS)
def test_optimisers(optimizer: str, digits: Data) -> None:
    """With a constant rate, in batches of 32."""
    recipe = read(f"batch_size = 32\nepochs = 2\n{optimizer}")
    losses = [epoch.training_loss for epoch in run(train, recipe, digits).epochs]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule: str, digits: Data) -> None:
    """With the rate where torch has it, in the optimiser."""
    recipe = read(
        f'batch_size = 64\nepochs = 2\n[optimizer]\nkind = "SGD"\nlr = 0.1\n[schedule]\n{schedule}'
    )
    assert recipe.rates(steps_per_epoch=5)[0] == 0.1
    run(train, recipe, digits)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("engine", [train, plain.train, native.train])
def test_augmentation(engine: Any, pipeline: str, digits: Data) -> None:
    """Before `ToTensor`, after it and after `Normalize`, in one batch of 1,024."""
    run(engine, read(f"{SGD_ONE_CYCLE.replace('128', '1024')}{pipeline}"), digits)


def test_a_file_gives_torchs_defaults() -> None:
    """What is left out is torch's: the momentum cycles, and AdamW's weights decay."""
    recipe = read(SGD_ONE_CYCLE)
    assert recipe.schedule == OneCycle(peak=0.1, warmup=0.2, momentum=(0.85, 0.95))
    own = SGD_ONE_CYCLE.replace("OneCycleLR", "OneCycle").replace("max_lr", "peak")
    assert read(own.replace("pct_start", "warmup")) == recipe
    still = read(f"{SGD_ONE_CYCLE}cycle_momentum = false")
    assert still.schedule == OneCycle(peak=0.1, warmup=0.2)
    adam = read('batch_size = 1\nepochs = 1\n[optimizer]\nkind = "AdamW"\nlr = 1')
    assert (
        adam.optimizer.weight_decay == torch.optim.AdamW([torch.zeros(1)]).defaults["weight_decay"]
    )


def test_a_cosine_of_torchs_name_is_stepped_once_an_epoch() -> None:
    recipe = read(
        'batch_size = 1\nepochs = 9\n[optimizer]\nkind = "SGD"\nlr = 1\n'
        '[schedule]\nkind = "CosineAnnealingLR"\nT_max = 9'
    )
    assert recipe.schedule == Cosine(rate=1, period=9, per="epoch")


def test_the_length_of_a_cycle_is_torchs() -> None:
    """`total_steps`, or epochs times steps of each; nothing is the whole run."""
    for length in ("total_steps = 60", "epochs = 6\nsteps_per_epoch = 10"):
        schedule = read(f"{SGD_ONE_CYCLE}{length}").schedule
        assert isinstance(schedule, OneCycle)
        assert schedule.steps == 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SGD_ONE_CYCLE.replace("OneCycleLR", "ReduceLROnPlateau"),
            r"schedule\.kind: 'ReduceLROnPlateau' steps on validation results, and training never",
        ),
        (SGD_ONE_CYCLE.replace("OneCycleLR", "OneCycelLR"), r"did you mean OneCycleLR"),
        (f"{SGD_ONE_CYCLE}epochs = 15", r"schedule\.steps_per_epoch: missing beside epochs"),
        (f"{SGD_ONE_CYCLE}total_steps = 1\nepochs = 1", r"schedule\.total_steps: said twice"),
        (f"{SGD_ONE_CYCLE}total_steps = 0", r"schedule: steps=0: must be at least 1"),
        (f"{SGD_ONE_CYCLE}base_momentum = '1'", r"schedule\.base_momentum: '1' is not a value"),
        (
            f"{SGD_ONE_CYCLE}base_momentum = 0.8\ncycle_momentum = false",
            r"schedule\.base_momentum: has no effect",
        ),
        (f"{SGD_ONE_CYCLE}peak = 0.2", r"schedule\.peak: said twice, by max_lr too"),
        (f"{SGD_ONE_CYCLE}max_momentun = 1", r"max_momentun: no such .* mean max_momentum"),
        (SGD_ONE_CYCLE.replace('"SGD"', '"SGD"\nlr = 1'), r"optimizer\.lr: has no effect"),
        (SGD_ONE_CYCLE.replace('"SGD"', '"Sgd"'), r"did you mean SGD"),
        (SGD_ONE_CYCLE.replace("128", "100_000"), r"batch_size: 100000 has a size"),
        (SGD_ONE_CYCLE.replace("0.9", "-0.9"), r"optimizer: momentum=-0.9: must not be negative"),
        (f"{SGD_ONE_CYCLE.split('[schedule]')[0]}", r"schedule: missing; .* lr to \[optimizer\]"),
        (
            f'{SGD_ONE_CYCLE.split("[schedule]")[0]}[schedule]\nkind = "StepLR"\nstep_size = 1',
            r"schedule\.lr: missing",
        ),
        (
            f'{SGD_ONE_CYCLE}[augmentation]\nkind = "RandomRotation"\ndegrees = 1',
            r"augmentation\.kind: RandomRotation is a transform .*\[\[augmentation\.pictures\]\]",
        ),
        (
            f'{SGD_ONE_CYCLE}[[augmentation.pictures]]\nkind = "RandomRotaton"',
            r"augmentation\.pictures\[0\]\.kind: .* mean RandomRotation",
        ),
        (
            f'{SGD_ONE_CYCLE}[[augmentation.tensors]]\nkind = "RandomErasing"\np = 2',
            r"augmentation\.tensors\[0\]: p=2: must be from 0 to 1",
        ),
        (
            f'{SGD_ONE_CYCLE}[[augmentation.pictures]]\nkind = "RandomErasing"',
            r"augmentation: pictures: RandomErasing works on tensors",
        ),
        (
            f'{SGD_ONE_CYCLE}[[augmentation.pictures]]\nkind = "RandomRotation"\n'
            "degrees = 1\nfill = 0.5",
            r"augmentation: pictures: fill=0.5: .* whole numbers from 0 to 255",
        ),
    ],
)
def test_what_is_wrong_is_said_by_the_name_in_the_file(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(text, origin="recipe.toml")
    assert "\n" not in str(caught.value)


def test_a_cycle_that_ends_before_the_run_is_refused(digits: Data) -> None:
    """As torch does, with an error, once the number of steps is known."""
    recipe = read(f"{SGD_ONE_CYCLE}total_steps = 2")
    assert explain_misfit(recipe, images=256, side=28) is None
    with pytest.raises(RecipeError, match="steps=2: the run has 3 of them"):
        run(train, recipe, digits)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ((CenterCrop(size=22),), "28 pixels a side come out with 22"),
        ((RandomApply(transforms=(CenterCrop(size=22),)), Resize(size=28)), "put the Resize"),
        ((RandomCrop(size=30),), "RandomCrop of 30 from 28"),
        ((Resize(size=2), GaussianBlur(kernel_size=5), Resize(size=28)), "kernel_size=5"),
    ],
)
def test_a_pipeline_that_changes_the_size_is_refused(
    transforms: tuple[Any, ...], message: str
) -> None:
    recipe = dataclasses.replace(read(SGD_ONE_CYCLE), augmentation=Pipeline(pictures=transforms))
    assert message in (explain_misfit(recipe, images=100, side=28) or "")


def test_a_misfit_is_told_before_anything_is_trained() -> None:
    """With the name of the iteration, and no worker to fail first."""
    wrong = dataclasses.replace(
        LATEST.recipe, augmentation=Pipeline(pictures=(CenterCrop(size=22),))
    )

    check_recipes([LATEST], load_embedded_digits())
    with pytest.raises(RecipeError, match="iteration_4: augmentation: images of 28 pixels"):
        check_recipes([dataclasses.replace(LATEST, recipe=wrong)], load_embedded_digits())


def test_the_momentum_of_every_step_is_torchs_schedulers(digits: Data) -> None:
    """The eager engine ends with the weights of a loop with `OneCycleLR` itself."""
    recipe = dataclasses.replace(read(SGD_ONE_CYCLE), epochs=2, batch_size=50)
    training, _ = digits
    trained: list[nn.Module] = []

    def build() -> nn.Module:
        trained.append(Small())
        return trained[-1]

    train(build, recipe, training=training, validation=digits[1], seed=4, window=1)

    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(4, "initialisation"))
        network = Small().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=12, pct_start=0.2)
    shuffling = make_generator(4, "shuffling", CPU)
    for _ in range(2):
        for index in torch.randperm(300, generator=shuffling).split(50):
            images = training.normalise(training.pixels(index))
            optimizer.zero_grad()
            F.cross_entropy(network(images), training.labels[index]).backward()
            optimizer.step()
            scheduler.step()
    for mine, expected in zip(trained[0].parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_all_engines_take_the_same_draws(pipeline: str, digits: Data) -> None:
    """Eager, native and stacked transform the same images by the same numbers: nearly one loss."""
    recipe = read(f"{SGD_ONE_CYCLE}{pipeline}")
    training, validation = digits
    losses = [
        run(engine, recipe, digits).epochs[0].training_loss for engine in (train, native.train)
    ]
    (block,) = stacked.train_block(
        Small, recipe, training=training, validation=validation, seeds=(1,), width=1, window=1
    )
    losses.append(block.epochs[0].training_loss)
    assert losses == pytest.approx([losses[0]] * 3, rel=2e-3)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(momentum=0.9, weight_decay=1e-3),
        SGD(momentum=0.9, nesterov=True),
        Adam(weight_decay=1e-3),
        Adam(amsgrad=True),
        AdamW(weight_decay=0.1),
    ],
)
def test_a_cycling_momentum_moves_a_vector_as_torch_does(optimizer: SGD | Adam | AdamW) -> None:
    """50 steps of the stacked engine's own step beside torch's optimiser and scheduler."""
    generator = torch.Generator().manual_seed(1)
    mine, theirs = (nn.Parameter(torch.linspace(-1, 1, 40)) for _ in range(2))
    rate, momentum = torch.zeros(()), torch.zeros(())
    cycling = CyclingOptimizer(optimizer, mine, rate=rate, momentum=momentum)
    expected = make_optimizer(optimizer, [theirs], rate=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(expected, 0.1, total_steps=50)
    cycle = OneCycle(peak=0.1, momentum=(0.85, 0.95))
    momenta = cycle.momenta(epochs=1, steps_per_epoch=50)
    assert momenta is not None
    for values in zip(cycle.table(epochs=1, steps_per_epoch=50), momenta, strict=True):
        rate.fill_(values[0])
        momentum.fill_(values[1])
        mine.grad = torch.randn(40, generator=generator)
        theirs.grad = mine.grad.clone()
        cycling.step()
        expected.step()
        scheduler.step()
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert not torch.equal(mine, torch.linspace(-1, 1, 40))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ('batch_size = 1\nepochs = 1\n[optimizer]\nkind = "Adadelta"\nlr = 1', "by Adadelta"),
        (f"batch_size = 1\nepochs = 1\n{ADAMS[3]}", "no dampening"),
    ],
)
def test_the_stacked_engine_says_what_it_cannot(recipe: str, message: str) -> None:
    arguments: dict[str, Any] = {
        "iteration": "iteration_9", "network": Small(), "recipe": read(recipe), "device": CPU,
    }  # fmt: skip
    with pytest.raises(EngineError, match=message):
        choose_engine("stacked", None, **arguments)
    assert choose_engine("eager", None, **arguments).notice is None


EVERY = (
    RandomRotation(degrees=20),
    RandomAffine(degrees=(-5, 10), translate=(0.1, 0.2), scale=(0.8, 1.2), shear=(-3, 3)),
    RandomPerspective(distortion_scale=0.4, p=0.8),
    RandomResizedCrop(size=28, scale=(0.5, 1.0)),
    RandomCrop(size=28, padding=3),
    RandomHorizontalFlip(),
    RandomVerticalFlip(),
    ColorJitter(brightness=0.3, contrast=0.4),
    GaussianBlur(kernel_size=3),
    RandomErasing(p=0.7),
    RandomApply(transforms=(CenterCrop(size=22), Resize(size=28)), p=0.4),
)


@pytest.mark.parametrize("transform", EVERY, ids=lambda each: type(each).__name__)
def test_the_distribution_of_images_is_torchvisions(transform: Any, digits: Data) -> None:
    """One image changed 3,000 times: mean of every pixel, and its spread, as torchvision's.

    Five standard errors are allowed, and a thousandth where nothing varies.
    """
    pixels = digits[0].pixels(slice(7, 8))
    count = 3000
    pipeline = Pipeline(tensors=(transform,))
    uniform = torch.rand(count, count_uniform(pipeline), generator=torch.Generator().manual_seed(3))
    mine = augment(pipeline, pixels.repeat(count, 1, 1, 1), uniform, normalise=lambda x: x)
    theirs = compose(transform)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        others = torch.stack([theirs(pixels[0]) for _ in range(count)])
    for moment in (lambda x: x, lambda x: x**2):
        difference = moment(mine).mean(0) - moment(others).mean(0)
        error = (moment(mine).var(0) / count + moment(others).var(0) / count).sqrt()
        assert (difference.abs() <= 5 * error + 1e-3).all()


def test_pictures_are_pillows_but_for_rounding(digits: Data) -> None:
    """The same rotation by Pillow and by the batch: most pixels within a part in fifty."""
    picture = Pipeline(pictures=(RandomRotation(degrees=(12, 12), interpolation="bilinear"),))
    data = first(digits[0], 40)
    mine = augment(picture, data.pixels(slice(40)), torch.zeros(40, 1), normalise=data.normalise)
    pictures = plain.Pictures(data, plain.make_transform(data, picture), seed=0)
    theirs = torch.stack([pictures[index][0] for index in range(40)])
    close = (mine - theirs).abs() * data.deviation < 0.02
    assert close.float().mean() > 0.95


def test_sgd_is_the_optimizer_of_the_first_example() -> None:
    assert read(SGD_ONE_CYCLE).optimizer == SGD(momentum=0.9)
