"""Many seeds in one stack: each trains as if it were alone, in every strategy."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Repeated
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.augmentation import apply_affine, draw_affine
from bench.cost import INPUT_SHAPE
from bench.datasets import load_embedded_digits
from bench.iterations import list_iterations
from bench.records import EpochScore, Status
from bench.training.loop import ResidentImages, Training, place_dataset, train
from bench.training.runs import network_builder
from bench.training.stacked import Method, explain_refusal, train_block
from bench.training.stacked.block import forget_blocks, prepare_block
from bench.training.stacked.draws import EpochDraws
from bench.training.stacked.forwards import FORWARDS
from bench.training.stacked.graphs import WARM_UPS, Body, Recorder
from bench.training.stacked.masks import Masks, _mix
from bench.training.stacked.stack import Stack, float32_products
from bench.training.stacked.state import State, lay_out
from bench.training.streams import derive_seed, make_generator
from bench.training.tracing import UnsupportedNetworkError, trace_program
from models.recipe import (
    EMA,
    SGD,
    SWA,
    Adam,
    AdamW,
    Affine,
    CenterCrop,
    ColorJitter,
    Constant,
    Cosine,
    GaussianBlur,
    MultiStep,
    OneCycle,
    Pipeline,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    Recipe,
    Resize,
)

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
Images = tuple[ResidentImages, ResidentImages]
METHODS = {name: Method(forward=name) for name in FORWARDS} | {
    "one a lane": Method(forward="grouped", lane=1),
    "two a lane": Method(forward="unfolded", lane=2),
}
PLAIN = Recipe(optimizer=SGD(momentum=0.9), schedule=Constant(rate=0.02), batch_size=64, epochs=2)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


class Everything(nn.Module):
    """Every operator of a program, on small maps."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.entry = nn.Conv2d(1, 8, 4, stride=3)  # 9 x 9
        self.norm1 = nn.BatchNorm2d(8, momentum=0.3)
        self.maps = nn.Dropout2d(dropout)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.norm2 = nn.BatchNorm2d(8, affine=False)
        self.narrow = nn.Conv2d(8, 8, (3, 2), padding=(0, 1), bias=False)
        self.pool = nn.MaxPool2d(2)
        self.mean = nn.AvgPool2d((1, 2))
        self.drop = nn.Dropout(dropout)
        self.hidden = nn.Linear(48, 16)
        self.classes = nn.Linear(16, 10, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.maps(F.relu(self.norm1(self.entry(images))))
        maps = maps + self.norm2(self.pointwise(self.depthwise(maps)))
        maps = self.mean(self.pool(F.relu(self.narrow(maps))))
        features = self.drop(maps.flatten(1))
        return F.log_softmax(self.classes(F.relu(self.hidden(features))), dim=1)


class Global(nn.Module):
    """Global pooling and a 1 x 1 convolution at the end, as in the iterations."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Conv2d(1, 6, 5, stride=4, bias=False), nn.ReLU())
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classes = nn.Conv2d(6, 10, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.classes(self.pool(self.drop(self.norm(self.entry(images))))).flatten(1)


def cut(images: ResidentImages, count: int) -> ResidentImages:
    return dataclasses.replace(images, images=images.images[:count], labels=images.labels[:count])


@pytest.fixture(scope="module")
def digits() -> Images:
    """Return 160 digits to train on, in batches of 64, 64 and 32, and 60 to validate.

    With these sizes each seed's operands begin at a multiple of 64 bytes: a CPU's matrix product
    may round differently at other addresses.
    """
    torch.set_num_threads(1)
    training, validation = place_dataset(load_embedded_digits(), CPU)
    return cut(training, 160), cut(validation, 60)


def train_seeds(
    digits: Images,
    seeds: list[int],
    *,
    build: Callable[[], nn.Module] = Everything,
    recipe: Recipe = PLAIN,
    width: int = 4,
    method: str = "grouped",
) -> list[Training]:
    training, validation = digits
    return train_block(
        build,
        recipe,
        training=training,
        validation=validation,
        seeds=seeds,
        width=width,
        window=2,
        method=METHODS[method],
    )


def train_alone(
    digits: Images,
    seed: int,
    *,
    build: Callable[[], nn.Module] = Everything,
    recipe: Recipe = PLAIN,
) -> Training:
    training, validation = digits
    return train(build, recipe, training=training, validation=validation, seed=seed, window=2)


def without_seconds(training: Training) -> Training:
    epochs = tuple(set_seconds(epoch) for epoch in training.epochs)
    return dataclasses.replace(training, epochs=epochs)


def set_seconds(epoch: EpochScore) -> EpochScore:
    fields = {name: getattr(epoch, name) for name in epoch.__struct_fields__}
    return EpochScore(**{**fields, "seconds": 0.0})


def losses(training: Training) -> list[float]:
    return [loss for e in training.epochs for loss in (e.training_loss, e.validation_loss)]


def no_masks(program_length: int, width: int) -> Masks:
    zero = torch.zeros(width, dtype=torch.int64)
    return Masks(zero, torch.zeros(1, dtype=torch.int64), operations=program_length)


@pytest.mark.parametrize("kind", [Everything, Repeated])
@pytest.mark.parametrize("forward", FORWARDS)
@pytest.mark.parametrize("batch", [16, 7])
def test_a_step_is_each_networks_own(
    kind: type[nn.Module], forward: str, batch: int, digits: Images
) -> None:
    """Gradients equal a float64 network's, running statistics those torch's layers keep."""
    torch.manual_seed(batch)  # not near where a pooling or a ReLU turns, which float32 may miss
    networks = [network.train() for network in (kind(), kind(), kind())]
    exact = [copy.deepcopy(network).double() for network in networks]
    program = trace_program(networks[0], INPUT_SHAPE)
    state = State(lay_out(program, networks[0]), width=3, device=CPU)
    state.load([network.state_dict() for network in networks])
    images = digits[0].normalise(digits[0].pixels(slice(0, 3 * batch))).view(3, batch, 1, 28, 28)
    labels = digits[0].labels[: 3 * batch].view(3, batch)

    leaves = state.leaves()
    scores = FORWARDS[forward](program, width=3)(
        images, state.views | leaves, no_masks(len(program.operations), 3)
    )
    loss = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="sum") / batch
    gradients = torch.autograd.grad(loss, list(leaves.values()))

    for seat, network in enumerate(exact):
        F.cross_entropy(network(images[seat].double()), labels[seat]).backward()
        expected = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert set(expected) == set(leaves)
        for name, gradient in zip(leaves, gradients, strict=True):
            torch.testing.assert_close(
                gradient[seat].double(), expected[name], rtol=1e-3, atol=2e-6
            )
        for name, _ in lay_out(program, network).statistics:
            torch.testing.assert_close(
                state.views[name][seat].double(), network.state_dict()[name], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("forward", FORWARDS)
def test_evaluation_is_each_networks_own(forward: str, digits: Images) -> None:
    """Running statistics are used and left alone, nothing is dropped."""
    networks = [Everything(dropout=0.5).eval() for _ in range(2)]
    for network in networks:
        nn.init.uniform_(network.norm1.running_mean)
    program = trace_program(networks[0].train(), INPUT_SHAPE)
    state = State(lay_out(program, networks[0].eval()), width=2, device=CPU)
    state.load([network.state_dict() for network in networks])
    before = state.flat.clone()
    images = digits[0].normalise(digits[0].pixels(slice(0, 20)))
    with torch.no_grad():
        scores = FORWARDS[forward](program, width=2)(
            images.expand(2, -1, -1, -1, -1), state.views, None
        )
        for seat, network in enumerate(networks):
            found = F.log_softmax(scores[seat], dim=1)
            torch.testing.assert_close(found, network(images), rtol=1e-4, atol=1e-5)
    assert torch.equal(state.flat, before)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": SGD(), "schedule": MultiStep(rate=0.05, milestones=(1,))},
        {"optimizer": SGD(momentum=0.9, nesterov=True, weight_decay=1e-2)},
        {"optimizer": Adam(beta1=0.8, weight_decay=1e-2), "schedule": Cosine(rate=1e-3)},
        {"optimizer": AdamW(weight_decay=0.1), "schedule": OneCycle(peak=1e-3)},
        {"averaging": EMA(decay=0.8)},
        {"averaging": SWA(start=2)},
        {"label_smoothing": 0.2, "batch_size": 160},
        {"batch_size": 1000},
        {"batch_size": 75, "augmentation": Affine(degrees=20.0, translate=0.1)},
        {
            "augmentation": Affine(
                degrees=10.0, translate=0.1, scale=(0.9, 1.1), shear=5.0, interpolation="bilinear"
            )
        },
    ],
    ids=lambda changes: " ".join(changes),
)
def test_a_seed_trains_as_in_the_eager_loop(changes: dict[str, object], digits: Images) -> None:
    """Same first weights, order and augmentation; same optimiser, schedule, averages, scores."""
    recipe = dataclasses.replace(PLAIN, **changes)
    together = train_seeds(digits, [0, 1], recipe=recipe)
    for seed, found in enumerate(together):
        expected = train_alone(digits, seed, recipe=recipe)
        assert found.status is expected.status
        assert losses(found) == pytest.approx(losses(expected), rel=1e-3)
        for ours, theirs in zip(found.epochs, expected.epochs, strict=True):
            assert ours.training_total == theirs.training_total
            assert abs(ours.training_correct - theirs.training_correct) <= 2
            assert abs(ours.validation_correct - theirs.validation_correct) <= 2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_the_same_networks(method: str, digits: Images) -> None:
    """Lanes and strategies differ by rounding alone where nothing is dropped."""
    found = train_seeds(digits, [3, 4], method=method, width=3)
    expected = [train_alone(digits, seed) for seed in (3, 4)]
    assert [losses(t) for t in found] == [pytest.approx(losses(t), rel=1e-3) for t in expected]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_seed_does_not_depend_on_its_neighbours(
    method: str, precision: str, digits: Images
) -> None:
    """Bit for bit the same in another seat, with other seeds or copies of itself beside it."""
    recipe = dataclasses.replace(
        PLAIN, augmentation=Affine(degrees=9.0), precision=precision, averaging=EMA(decay=0.9)
    )

    def run(seeds: list[int]) -> list[Training]:
        build = lambda: Everything(dropout=0.2)  # noqa: E731
        found = train_seeds(digits, seeds, build=build, recipe=recipe, method=method)
        return [without_seconds(training) for training in found]

    full, part, alone = run([5, 6, 7, 8]), run([9, 7]), run([7])
    assert full[2] == part[1] == alone[0]
    assert all(math.isfinite(loss) for training in full for loss in losses(training))
    assert len({tuple(losses(training)) for training in full}) == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_that_diverges_takes_nobody_along(method: str, digits: Images) -> None:
    """Its run ends with no epoch made up; the others are what they are without it."""

    def plant() -> nn.Module:
        network = Everything(dropout=0.1)
        if torch.initial_seed() == derive_seed(2, "initialisation"):
            nn.init.constant_(network.entry.bias, math.nan)
        return network

    healthy = train_seeds(digits, [1, 2, 3], build=lambda: Everything(dropout=0.1), method=method)
    planted = train_seeds(digits, [1, 2, 3], build=plant, method=method)
    assert planted[1] == Training(status=Status.DIVERGED, epochs=(), mistakes=())
    for seat in (0, 2):
        assert without_seconds(planted[seat]) == without_seconds(healthy[seat])


def test_runs_diverge_where_the_eager_loop_says_so(digits: Images) -> None:
    """The epochs before a loss stopped being finite are kept."""
    recipe = dataclasses.replace(
        PLAIN, schedule=MultiStep(rate=0.01, milestones=(1,), factor=1e30), epochs=3
    )
    reports: list[tuple[int, int]] = []
    training, validation = digits
    found = train_block(
        Everything,
        recipe,
        training=training,
        validation=validation,
        seeds=[0, 1],
        width=2,
        window=2,
        report=lambda seed, epoch, _score: reports.append((seed, epoch)),
        method=METHODS["grouped"],
    )
    expected = [train_alone(digits, seed, recipe=recipe) for seed in (0, 1)]
    assert [t.status for t in found] == [t.status for t in expected] == [Status.DIVERGED] * 2
    assert [len(t.epochs) for t in found] == [len(t.epochs) for t in expected] == [1, 1]
    assert reports == [(0, 1), (1, 1)]


def test_a_block_is_loaded_again_as_if_it_were_new(digits: Images) -> None:
    """Moments, averages, step and statistics of the seeds before leave no trace."""
    recipe = dataclasses.replace(PLAIN, optimizer=Adam(), averaging=EMA(decay=0.9))
    first = train_seeds(digits, [11], recipe=recipe, build=Global)
    train_seeds(digits, [12, 13], recipe=recipe, build=Global)
    again = train_seeds(digits, [11], recipe=recipe, build=Global)
    assert without_seconds(first[0]) == without_seconds(again[0])


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), SGD(), Adam()])
def test_the_trial_runs_of_a_recording_leave_no_trace(
    optimizer: SGD | Adam, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU's recorder runs each body first, more often than a short training has steps."""
    recipe = dataclasses.replace(
        PLAIN, optimizer=optimizer, batch_size=96, epochs=1, averaging=EMA(decay=0.9)
    )
    expected = train_seeds(digits, [1, 2], recipe=recipe)

    def record(_recorder: Recorder, body: Body) -> Body:
        for _ in range(WARM_UPS):
            body()
        return body

    forget_blocks()
    monkeypatch.setattr(Recorder, "record", record)
    found = train_seeds(digits, [1, 2], recipe=recipe)
    forget_blocks()
    assert [without_seconds(t) for t in found] == [without_seconds(t) for t in expected]


def test_mistakes_are_those_of_the_window(digits: Images) -> None:
    """As many as errors, oldest epoch first, true digit beside the predicted one."""
    recipe = dataclasses.replace(PLAIN, epochs=3)
    (found,) = train_seeds(digits, [1], recipe=recipe, build=Global)
    labels = digits[1].labels.tolist()
    assert len(found.mistakes) == 2
    for epoch, mistakes in zip(found.epochs[-2:], found.mistakes, strict=True):
        assert len(mistakes) == epoch.validation_total - epoch.validation_correct
        assert all(labels[m.index] == m.label != m.predicted for m in mistakes)


def test_the_callers_state_is_left_alone(digits: Images) -> None:
    """Random numbers go on, and float32 products round as before."""
    settings_before = torch.backends.cuda.matmul.fp32_precision
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    train_seeds(digits, [1], build=Global)
    assert torch.equal(torch.rand(4), expected)
    assert torch.backends.cuda.matmul.fp32_precision == settings_before
    with float32_products(tf32=False):
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"


@pytest.mark.parametrize("seeds", [[], [1, 2, 3]])
def test_a_block_has_a_width(seeds: list[int], digits: Images) -> None:
    """No seed at all, or more seeds than seats, is an error."""
    with pytest.raises(ValueError, match="seeds for a block of 2"):
        train_seeds(digits, seeds, build=Global, width=2)


@pytest.mark.parametrize("iteration", list_iterations(), ids=lambda iteration: iteration.name)
def test_every_iteration_can_be_stacked(iteration) -> None:
    """The engine refuses none of ours."""
    network = network_builder(iteration)()
    assert explain_refusal(network, iteration.recipe, CPU) is None


def test_a_refusal_says_why(digits: Images) -> None:
    """What cannot be followed, shared weights, frozen weights, and devices without CUDA."""
    frozen, shared = Global(), Everything()
    frozen.classes.weight.requires_grad_(False)
    shared.pointwise.weight = nn.Parameter(torch.zeros(8, 8, 1, 1))
    twin = nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.Linear(784, 784), nn.Linear(784, 10))
    twin[2].weight = twin[1].weight
    other = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.GELU())
    assert explain_refusal(shared, PLAIN, CPU) is None
    assert "share" in str(explain_refusal(twin, PLAIN, CPU))
    assert "not trained" in str(explain_refusal(frozen, PLAIN, CPU))
    assert "GELU" in str(explain_refusal(other, PLAIN, CPU))
    assert "mps" in str(explain_refusal(Global(), PLAIN, torch.device("mps")))
    with pytest.raises(UnsupportedNetworkError, match="GELU"):
        train_seeds(digits, [1], build=lambda: other)


def test_an_epochs_draws_are_the_eager_loops() -> None:
    """Order from the seed's stream `shuffling`, affine draws batch by batch from `augmentation`."""
    draws = EpochDraws(width=2, images=150, batch=64, uniform=5, device=CPU)
    draws.start([4, 5])
    shuffling = make_generator(5, "shuffling", CPU)
    augmentation = make_generator(5, "augmentation", CPU)
    for epoch in range(3):
        found = draws.take()
        assert torch.equal(found.order[1], torch.randperm(150, generator=shuffling))
        sizes = (64, 64, 22)
        expected = torch.cat([torch.rand(size, 5, generator=augmentation) for size in sizes])
        assert torch.equal(found.uniform[1], expected)
        if epoch < 2:
            draws.prepare()


def test_draws_by_affine_are_unchanged() -> None:
    """Splitting the draw from its scaling moved no number."""
    generator = torch.Generator().manual_seed(3)
    draw = draw_affine(Affine(degrees=10.0), count=4, side=28, generator=generator)
    image = apply_affine(torch.rand(4, 1, 28, 28), draw, interpolation="nearest")
    assert image.shape == (4, 1, 28, 28)
    uniform = torch.rand(4, 5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(draw.angle, torch.deg2rad(10.0 * (2.0 * uniform[:, 0] - 1.0)))


class Operations(TorchDispatchMode):
    """Writes down which operations torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("forward", FORWARDS)
def test_a_step_and_an_evaluation_read_nothing_back(forward: str, digits: Images) -> None:
    """No operation gives Python a number or a shape that depends on values: a graph could not."""
    recipe = dataclasses.replace(
        PLAIN,
        optimizer=AdamW(),
        augmentation=Affine(degrees=9.0),
        averaging=SWA(start=1),
        label_smoothing=0.1,
    )
    network = Everything(dropout=0.1)
    program = trace_program(network, INPUT_SHAPE)
    stack = Stack(
        program,
        lay_out(program, network),
        recipe,
        training=digits[0],
        validation=digits[1],
        width=2,
        method=Method(forward=forward),
    )
    stack._train_step(64)  # makes the optimiser's state
    with Operations() as operations:
        stack._train_step(64)
        stack._train_step(32)
        stack._evaluate_all()
    assert "aten::grid_sampler_2d" in operations.names
    assert not operations.names & {
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::masked_select",
        "aten::_unique2",
        "aten::equal",
        "aten::lift_fresh",
    }


def test_the_probe_measures_on_a_cpu_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    """A row for each method, with its figures or with the reason why it has none."""
    output = tmp_path / "probe.json"
    command = [sys.executable, str(ROOT / "tests" / "perf" / "gpu_probe.py"), "--device", "cpu"]
    command += ["--widths", "2", "--strategies", "nonsense,lanes", "--precision", "fp32"]
    command += ["--steps", "2", "--repeats", "1", "--batch", "8", "--validation-images", "20"]
    done = subprocess.run(
        [*command, "--output", str(output)], capture_output=True, text=True, check=True
    )
    failed, measured = json.loads(output.read_text())["rows"]
    assert failed["failure"] == "KeyError: 'nonsense'"
    assert measured["case"]["method"] == "lanes"
    assert measured["failure"] is None
    assert measured["runs_a_minute"] > 0
    assert done.stdout.count("\n|") == 4  # headings, their rule, two rows


# dropout masks


def make_masks(*seeds: int, step: int = 0) -> Masks:
    keys = torch.tensor([derive_seed(seed, "dropout") for seed in seeds])
    return Masks(keys, torch.tensor([step]), operations=20)


def keep(
    masks: Masks, probability: float = 0.5, *, operation: int = 3, count: int = 4096
) -> Tensor:
    return masks.keep(operation, probability, before=1, after=count, dtype=torch.float32)[0]


def test_the_hash_is_splitmix64() -> None:
    """The first outputs of the published generator for the state 0."""
    golden = 0x9E3779B97F4A7C15 - (1 << 64)
    outputs = _mix(torch.arange(1, 4) * golden)
    known = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)
    assert [output % (1 << 64) for output in outputs.tolist()] == list(known)


@given(
    seed=st.integers(0, 10**6),
    others=st.lists(st.integers(0, 10**6), max_size=4),
    seat=st.integers(0, 4),
    step=st.integers(0, 10**5),
    before=st.integers(1, 5),
    after=st.integers(1, 30),
)
@settings(max_examples=50)
def test_a_mask_depends_on_its_seed_alone(
    seed: int, others: list[int], seat: int, step: int, before: int, after: int
) -> None:
    """Whoever sits beside it, and wherever it sits."""
    seat = min(seat, len(others))
    seeds = [*others[:seat], seed, *others[seat:]]
    shape = {"before": before, "after": after, "dtype": torch.float32}
    together = make_masks(*seeds, step=step).keep(1, 0.5, **shape)
    alone = make_masks(seed, step=step).keep(1, 0.5, **shape)
    assert together.shape == (before, len(seeds), after)
    assert torch.equal(together[:, seat], alone[:, 0])


@given(probability=st.floats(0.01, 0.99), seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_masks_have_mean_one_and_the_right_rate(probability: float, seed: int) -> None:
    """The share of zeros is within six standard errors; what is kept is scaled up."""
    count = 20_000
    mask = keep(make_masks(seed), probability, count=count)[0]
    dropped = float((mask == 0).float().mean())
    assert dropped == pytest.approx(
        probability, abs=6 * math.sqrt(probability * (1 - probability) / count)
    )
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])


def test_masks_of_seeds_steps_and_operations_are_independent() -> None:
    """Correlations of masks that differ in one of them are those of independent ones."""
    count = 65_536
    masks = [
        *keep(make_masks(0, 1, 2), count=count),
        keep(make_masks(0, step=1), count=count)[0],
        keep(make_masks(0, step=7034), count=count)[0],
        keep(make_masks(0), operation=4, count=count)[0],
        keep(make_masks(0), count=count)[0].roll(1),
    ]
    correlations = torch.corrcoef(torch.stack(masks)) - torch.eye(len(masks))
    assert float(correlations.abs().max()) < 5 / math.sqrt(count)


def test_bits_of_a_mask_are_uniform() -> None:
    """A chi-squared test of 16-bit numbers in 256 bins does not reject at 1 in 10,000."""
    bits = make_masks(0, 1)._bits(2, before=1, after=400_000).flatten().long()
    counts = torch.bincount((bits + 32768) // 256, minlength=256)
    assert chisquare(counts.numpy()).pvalue > 1e-4


@pytest.mark.parametrize("forward", FORWARDS)
def test_whole_maps_are_dropped_as_such(forward: str) -> None:
    """`nn.Dropout2d` zeroes every pixel of a map or none, `nn.Dropout` single ones."""

    class Maps(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(images).flatten(1)

    images = torch.ones(3, 64, 2, 6, 6)
    for layer, is_whole in ((nn.Dropout2d(0.3), True), (nn.Dropout(0.3), False)):
        program = trace_program(Maps(layer), (2, 6, 6))
        masks = make_masks(1, 2, 3)
        dropped = FORWARDS[forward](program, width=3)(images, {}, masks)
        shares = dropped.view(3, 64, 2, 36).eq(0).float().mean(dim=3)
        assert bool(((shares == 0) | (shares == 1)).all()) is is_whole
        assert float(shares.mean()) == pytest.approx(0.3, abs=0.1)
        assert not torch.equal(shares[0], shares[1])


# on a GPU


@pytest.fixture(scope="module")
def gpu_digits() -> Images:
    return place_dataset(load_embedded_digits(), torch.device("cuda", torch.cuda.current_device()))


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("forward", FORWARDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_graph_gives_the_numbers_of_its_step(
    forward: str, precision: str, gpu_digits: Images
) -> None:
    """Recorded or launched kernel by kernel, in lanes or not: the same bits."""
    iteration = list_iterations()[-1]
    recipe = dataclasses.replace(iteration.recipe, epochs=2, precision=precision)
    recorded, launched = (
        train_block(
            network_builder(iteration),
            recipe,
            training=gpu_digits[0],
            validation=gpu_digits[1],
            seeds=[0, 1, 2],
            width=4,
            window=2,
            method=Method(forward=forward, graphs=graphs),
        )
        for graphs in (True, False)
    )
    assert [without_seconds(t) for t in recorded] == [without_seconds(t) for t in launched]


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam()])
def test_a_graph_repeats_transforms_and_a_cycling_momentum(
    optimizer: SGD | Adam, gpu_digits: Images
) -> None:
    """Every transform of a pipeline can be recorded, and follows each replay's own draws."""
    iteration = list_iterations()[-1]
    pipeline = Pipeline(
        pictures=(
            RandomApply(transforms=(CenterCrop(size=22), Resize(size=28)), p=0.3),
            RandomRotation(degrees=15, fill=1),
            ColorJitter(brightness=0.2, contrast=0.2),
            RandomPerspective(distortion_scale=0.2),
        ),
        tensors=(
            RandomAffine(degrees=5, translate=(0.1, 0.1), shear=(-3, 3, -3, 3)),
            RandomCrop(size=28, padding=2),
            RandomResizedCrop(size=28, scale=(0.8, 1.0)),
            GaussianBlur(kernel_size=3),
        ),
        normalised=(RandomErasing(),),
    )
    recipe = dataclasses.replace(
        iteration.recipe,
        epochs=2,
        optimizer=optimizer,
        schedule=OneCycle(peak=0.01, momentum=(0.85, 0.95)),
        augmentation=pipeline,
    )
    recorded, launched = (
        train_block(
            network_builder(iteration),
            recipe,
            training=gpu_digits[0],
            validation=gpu_digits[1],
            seeds=[0, 1, 2],
            width=4,
            window=2,
            method=Method(graphs=graphs),
        )
        for graphs in (True, False)
    )
    assert [without_seconds(t) for t in recorded] == [without_seconds(t) for t in launched]


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu_a_seed_does_not_depend_on_its_neighbours(method: str, gpu_digits: Images) -> None:
    """Bit for bit, and beside a network of NaN as well: no kernel pads one group with another."""

    def plant() -> nn.Module:
        network = Everything(dropout=0.1)
        if torch.initial_seed() == derive_seed(2, "initialisation"):
            nn.init.constant_(network.entry.bias, math.nan)
        return network

    first = train_seeds(gpu_digits, [1, 2, 3], build=plant, method=method)
    again = train_seeds(gpu_digits, [3, 4], build=plant, method=method)
    assert first[1].status is Status.DIVERGED
    assert without_seconds(first[2]) == without_seconds(again[0])


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_trains_32_seeds_at_once(precision: str, gpu_digits: Images) -> None:
    """All of them learn the digits, and memory stays below 8 GiB."""
    iteration = list_iterations()[-1]
    torch.cuda.reset_peak_memory_stats()
    found = train_block(
        network_builder(iteration),
        dataclasses.replace(iteration.recipe, precision=precision),
        training=gpu_digits[0],
        validation=gpu_digits[1],
        seeds=range(32),
        width=32,
        window=3,
    )
    assert all(t.status is Status.FINISHED for t in found)
    assert min(t.epochs[-1].validation_correct for t in found) > 0.9 * 359
    assert len({tuple(losses(t)) for t in found}) == 32
    assert torch.cuda.max_memory_allocated() < 8 * 2**30


@pytest.mark.cuda
@needs_cuda
def test_on_a_gpu_a_seed_begins_as_in_the_eager_loop(gpu_digits: Images) -> None:
    """Same first weights, order and draws: the first epoch's loss is the same but for rounding."""
    recipe = dataclasses.replace(PLAIN, augmentation=Affine(degrees=9.0))
    (found,) = train_seeds(gpu_digits, [1], recipe=recipe)
    expected = train_alone(gpu_digits, 1, recipe=recipe)
    assert losses(found)[:1] == pytest.approx(losses(expected)[:1], rel=1e-2)


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("forward", ["grouped", "unfolded"])
def test_a_compiled_step_differs_by_rounding_alone(forward: str, gpu_digits: Images) -> None:
    """The compiler keeps the masks: the first epoch's losses agree."""
    compiled, plain = (
        train_block(
            lambda: Everything(dropout=0.2),
            PLAIN,
            training=gpu_digits[0],
            validation=gpu_digits[1],
            seeds=[0, 1],
            width=2,
            window=2,
            method=Method(forward=forward, compiled=compiled),
        )
        for compiled in (True, False)
    )
    for ours, theirs in zip(compiled, plain, strict=True):
        assert losses(ours)[:1] == pytest.approx(losses(theirs)[:1], rel=1e-2)


@pytest.mark.cuda
@needs_cuda
def test_recording_can_be_repeated(gpu_digits: Images) -> None:
    """A block for another recipe or width is recorded while earlier ones are kept."""
    for width in (1, 2, 3):
        prepare_block(
            Global,
            PLAIN,
            training=gpu_digits[0],
            validation=gpu_digits[1],
            width=width,
            method=Method(),
        )
