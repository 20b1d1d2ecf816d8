"""Structural facts against hand counts, published receptive fields, and gradients."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bench.anatomy import TIERS, Cropping, Dropout, find_tier, list_remarks
from bench.iterations import MODELS, read_iteration
from bench.structure import Structure, describe_structure, explain
from bench.training.runs import build_network
from bench.vision import functional as _torchvision  # noqa: F401  (makes it importable)

published = importlib.import_module("torchvision.models")


class Written(nn.Module):
    """A network of modules and a forward pass of the test's own."""

    def __init__(self, forward: Callable[..., Tensor], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, images: Tensor) -> Tensor:
        return self._forward(self, images)


def pool_globally(net: nn.Module, images: Tensor) -> Tensor:
    """Go through 3 x 3, 3 x 3, half the side, 3 x 3 and a mean, with all written as functions."""
    maps = functional.max_pool2d(net.two(torch.relu(net.one(images))), 2)
    maps = functional.dropout(net.norm(net.three(maps)), 0.1, net.training)
    return functional.log_softmax(net.four(maps.mean((2, 3))), dim=1)


def add_branches(net: nn.Module, images: Tensor) -> Tensor:
    """Add a narrow and a wide branch, then 3 x 3."""
    return net.out(net.narrow(images) + net.wide(images)).mean((-1, -2))


FUNCTIONS = Written(
    pool_globally,
    one=nn.Conv2d(1, 4, 3),
    two=nn.Conv2d(4, 6, 3, bias=False),
    three=nn.Conv2d(6, 8, 3),
    norm=nn.BatchNorm2d(8),
    four=nn.Linear(8, 10),
)
BRANCHES = Written(
    add_branches,
    narrow=nn.Conv2d(1, 4, 3, padding=1),
    wide=nn.Conv2d(1, 4, 5, padding=2),
    out=nn.Conv2d(4, 10, 3),
)
CROPPED = nn.Sequential(  # 28, 26, 13, 11, 9, then 8 of 9
    nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU(),
    nn.Conv2d(8, 10, 3), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.LogSoftmax(1),
)  # fmt: skip
WIDE = nn.Sequential(  # dilated and strided: 9 of step 2, then 13; the last one sees all 8 x 8
    nn.Conv2d(1, 4, 5, stride=2, dilation=2), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 10, 8), nn.Flatten(),
)  # fmt: skip
DENSE = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)
)
FACTORS = nn.Sequential(  # rows and columns of their own
    nn.Conv2d(1, 4, (1, 5)), nn.Conv2d(4, 10, (3, 1)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        # 1 +2 = 3, +2 = 5, +1 = 6 in steps of 2, +2*2 = 10; the mean of 10 x 10: + 9*2 = 28
        (
            FUNCTIONS,
            {
                "receptive_field": (28, 28), "local_field": (10, 10), "depth": 4,
                "parameters": 40 + 216 + 440 + 16 + 90, "convolutions": 3, "batch_norms": 1,
                "normalised": 1, "normalised_before": 1, "head": "global average pooling",
                "dense_layers": 1, "dense_parameters": 90, "idle_biases": ("three",),
                "idle_parameters": 8, "after_max_pooling": 1, "score_activation": None,
                "dropouts": (Dropout(after="three", rate=0.1, always=False),),
            },
        ),
        # max(3, 5) + 2 = 7; the mean of 26 x 26: + 25 = 32
        (
            BRANCHES,
            {
                "receptive_field": (32, 32), "local_field": (7, 7), "depth": 2, "dropouts": (),
                "convolutions": 3, "batch_norms": 0, "dense_layers": 0, "after_max_pooling": None,
            },
        ),
        # 3, 4 of step 2, 8, 12; 8 positions of step 2: + 14 = 26, and the last row is left out
        (
            CROPPED,
            {
                "receptive_field": (26, 26), "local_field": (12, 12), "after_max_pooling": 2,
                "cropping": (
                    Cropping(
                        kind="Average pooling", side=(9, 9), kernel=(8, 8), covered=(8, 8)
                    ),
                ),
                "score_activation": "relu", "head": "global average pooling",
            },
        ),
        # 1 + 4*2 = 9 of step 2, 13, + 7*2 = 27
        (
            WIDE,
            {
                "receptive_field": (27, 27), "local_field": (13, 13), "depth": 3,
                "head": "convolution over the whole map",
            },
        ),
        (
            DENSE,
            {
                "receptive_field": (28, 28), "local_field": (1, 1), "head": "dense", "depth": 2,
                "dense_parameters": 784 * 12 + 12 + 120 + 10, "batch_norms": 1, "normalised": 0,
            },
        ),
        # columns 5 + 23, rows 3 + 25
        (FACTORS, {"receptive_field": (28, 28), "local_field": (3, 5)}),
    ],
    ids=["functions", "branches", "cropped", "wide", "dense", "factors"],
)  # fmt: skip
def test_a_network_is_described_as_by_hand(network: nn.Module, expected: dict[str, object]):
    """Each figure is worked out in a comment, by equation 2 of Araujo et al."""
    structure = describe_structure(network)

    assert {name: getattr(structure, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 5, 6/2, 10/2, 12/4; dense over 5 x 5: + 4*4
        (
            "iteration_1",
            {
                "receptive_field": (28, 28), "local_field": (12, 12), "head": "dense",
                "dense_parameters": 24 * 25 * 892 + 892 + 8_920 + 10, "parameters": 546_982,
                "tier": None, "depth": 4, "after_max_pooling": 0, "batch_norms": 0,
            },
        ),
        # 3, 5, 6/2, 6, 10, 14, 18; the mean of 6 x 6: + 5*2
        *(
            (
                f"iteration_{number}",
                {
                    "receptive_field": (28, 28), "local_field": (18, 18), "depth": 7,
                    "head": "global average pooling", "dense_layers": 0, "parameters": 7_924,
                    "tier": 8_000, "batch_norms": 6, "normalised": 6, "normalised_before": 0,
                    "pointwise_convolutions": 2, "after_max_pooling": 3, "idle_biases": (),
                },
            )
            for number in (2, 3, 4)
        ),
    ],
)  # fmt: skip
def test_the_iterations_are_described_as_by_hand(name: str, expected: dict[str, object]):
    """Counted in models/skeleton.py and models/iteration_1.py."""
    structure = describe_structure(build_network(read_iteration(MODELS / f"{name}.py")))

    assert {name: getattr(structure, name) for name in expected} == expected
    assert sum(layer.parameters for layer in structure.layers) == structure.parameters


@pytest.mark.parametrize(
    ("build", "side"),
    [
        (lambda: published.alexnet().features, 195),
        (lambda: published.vgg.make_layers(published.vgg.cfgs["D"]), 212),
        # not in the table, and by its formula: 11 of step 4, + 4 * 8, + 8 + 3 * 16, + 16 + 3 * 32,
        # + 32 + 3 * 64, where the first 3 x 3 of each stage has its stride
        (lambda: nn.Sequential(*list(published.resnet18().children())[:-2]), 435),
    ],
    ids=["AlexNet", "VGG-16", "ResNet-18"],
)
def test_receptive_fields_are_the_published_ones(build: Callable[[], nn.Module], side: int):
    """Araujo, Norris and Sim, Distill 2019, table of receptive fields; torchvision's networks."""
    with torch.device("meta"):
        network = build()
    network = network.to_empty(device="cpu").eval()

    assert describe_structure(network, (3, 96, 96)).local_field == (side, side)


layers = st.lists(
    st.sampled_from(
        [
            lambda: nn.Conv2d(2, 2, 3),
            lambda: nn.Conv2d(2, 2, 3, padding=1),
            lambda: nn.Conv2d(2, 2, 5, padding=2, dilation=1),
            lambda: nn.Conv2d(2, 2, 3, dilation=2),
            lambda: nn.Conv2d(2, 2, 3, stride=2),
            lambda: nn.Conv2d(2, 2, 1),
            lambda: nn.Conv2d(2, 2, (1, 3)),
            lambda: nn.AvgPool2d(2),
            lambda: nn.AvgPool2d(3, stride=2),
            lambda: nn.ReLU(),
            lambda: nn.BatchNorm2d(2),
            lambda: Residual(),
        ]
    ),
    min_size=1,
    max_size=4,
)


class Residual(nn.Module):
    """Two ways of unlike width, added."""

    def __init__(self) -> None:
        super().__init__()
        self.way = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.way(torch.relu(self.way(maps)))


@settings(max_examples=30)
@given(layers)
def test_a_receptive_field_is_where_gradients_come_from(made: list[Callable[[], nn.Module]]):
    """With positive weights, every pixel that one inner position sees has a gradient."""
    network = nn.Sequential(*(make() for make in made)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.1)
    images = torch.ones(1, 2, 64, 64, requires_grad=True)
    maps = network(images)
    maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
    assert images.grad is not None
    seen = images.grad[0].sum(0) != 0
    sides = tuple(
        int(positions[-1] - positions[0]) + 1 for positions in map(_where, (seen, seen.T))
    )

    assert describe_structure(network, (2, 64, 64)).local_field == sides


def _where(seen: Tensor) -> Tensor:
    return torch.nonzero(seen.any(1)).flatten()


def view_then_average(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.conv(images)
    return maps.view(maps.shape[0], 10, -1).mean(-1)


def gate_channels(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.conv(images)
    gate = torch.sigmoid(net.gate(functional.adaptive_avg_pool2d(maps, 1)))
    return functional.avg_pool2d(maps * gate, kernel_size=maps.shape[2:]).squeeze()


@pytest.mark.parametrize(
    ("network", "head", "field"),
    [
        (Written(view_then_average, conv=nn.Conv2d(1, 10, 3)), "global average pooling", (28, 28)),
        (
            Written(gate_channels, conv=nn.Conv2d(1, 10, 3), gate=nn.Conv2d(10, 10, 1)),
            "global average pooling",
            # the gate's 3 + 25, then a mean over 26 positions of what each of them sees
            (53, 53),
        ),
        (
            Written(lambda n, x: n.conv(x).amax((2, 3)), conv=nn.Conv2d(1, 10, 3)),
            "global max pooling",
            (28, 28),
        ),
        (
            Written(
                lambda n, x: n.conv(x.view(-1, 784, 1, 1)).flatten(1), conv=nn.Conv2d(784, 10, 1)
            ),
            "dense",
            (28, 28),
        ),
        (
            Written(lambda n, x: torch.einsum("nchw->nc", n.conv(x)), conv=nn.Conv2d(1, 10, 3)),
            "unknown",
            None,
        ),
    ],
    ids=["view", "gate", "amax", "dense in disguise", "einsum"],
)
def test_heads_are_recognised_however_they_are_written(network, head, field):
    """What brings the last map down to one position, and what the scores see through it."""
    structure = describe_structure(network)

    assert (structure.head, structure.receptive_field) == (head, field)
    assert (structure.unclear is None) == (field is not None)


def test_dropout_that_stays_on_is_told_apart():
    """`F.dropout(x)` without `training` is on in evaluation; a module is not."""
    network = Written(
        lambda n, x: functional.dropout(n.drop(n.conv(x)), 0.25).mean((2, 3)),
        conv=nn.Conv2d(1, 10, 3),
        drop=nn.Dropout2d(0.1),
    )
    structure = describe_structure(network)

    assert structure.dropouts == (
        Dropout(after="conv", rate=0.1, always=False),
        Dropout(after="conv", rate=0.25, always=True),
    )
    assert any("on in evaluation" in remark for remark in list_remarks(structure))


def test_dropout_that_only_training_reaches_is_seen():
    """`if self.training:` hides it from an evaluation."""
    network = Written(
        lambda n, x: (functional.dropout(n.conv(x), 0.2) if n.training else n.conv(x)).mean((2, 3)),
        conv=nn.Conv2d(1, 10, 3),
    )

    assert describe_structure(network).dropouts == (Dropout(after="conv", rate=0.2, always=False),)


def test_modules_that_are_never_called_are_named():
    """A module whose weights a function uses is called; so is one whose `forward` is."""
    network = Written(
        lambda n, x: n.relu.forward(
            functional.conv2d(x, n.weights.weight) + n.same(n.same(x)).sum() * 0
        ).mean((2, 3)),
        weights=nn.Conv2d(1, 10, 3, bias=False),
        same=nn.Conv2d(1, 1, 1),
        relu=nn.ReLU(),
        forgotten=nn.Conv2d(1, 4, 3),
        drop=nn.Dropout(0.5),
    )
    structure = describe_structure(network)

    assert [(layer.name, layer.parameters) for layer in structure.uncalled] == [
        ("forgotten", 40),
        ("drop", 0),
    ]
    assert structure.convolutions == 3
    assert structure.parameters == 90 + 2 + 40


def test_biases_are_idle_only_straight_before_batch_normalisation():
    """Behind an activation a bias moves what is normalised."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 5, 3), nn.ReLU(), nn.BatchNorm2d(5),
        nn.Conv2d(5, 6, 3), nn.MaxPool2d(2), nn.BatchNorm2d(6),
        nn.Conv2d(6, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    structure = describe_structure(network)

    assert structure.idle_biases == ("0", "6")
    assert structure.idle_parameters == 10
    assert (structure.normalised, structure.normalised_before) == (3, 2)


def test_the_network_is_left_as_it_was():
    """Weights, batch statistics, mode and random numbers."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.get_rng_state()
    describe_structure(network)

    assert torch.equal(drawn, torch.get_rng_state())
    assert network.training
    assert "forward" not in vars(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_hooks_do_around_a_network_is_not_the_network():
    """Images are padded before, and probabilities become logarithms behind."""
    plain = nn.Sequential(nn.Conv2d(1, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))
    network = nn.Sequential(*plain)
    network.register_forward_pre_hook(lambda _, given: torch.fft.fft2(given[0]).abs())
    network.register_forward_hook(lambda _, given, scores: functional.relu(scores.flip(1)))

    assert describe_structure(network) == describe_structure(plain)


def test_an_image_that_comes_as_a_vector_has_its_sides_all_the_same():
    """A hook flattens it before the network sees it."""
    network = nn.Sequential(nn.Linear(784, 10))
    network.register_forward_pre_hook(lambda _, given: given[0].flatten(1))
    structure = describe_structure(network)

    assert (structure.input_side, structure.receptive_field) == ((28, 28), (28, 28))


@pytest.mark.parametrize("place", [0, 1])
def test_scores_are_told_from_the_features_beside_them(place: int):
    """Some networks return both, in either order."""

    def score(net: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        maps = net.conv(images)
        return (maps.mean((2, 3)), maps)[:: 1 if place == 0 else -1]

    structure = describe_structure(Written(score, conv=nn.Conv2d(1, 10, 3)))

    assert (structure.head, structure.local_field) == ("global average pooling", (3, 3))


def test_a_network_that_cannot_score_raises_its_own_error():
    """It is for the caller to say what that means."""
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        describe_structure(nn.Sequential(nn.Flatten(), nn.Linear(10, 10)))


@pytest.mark.parametrize(
    ("parameters", "tier"), [(7_999, 8_000), (8_000, 10_000), (9_999, 10_000), (10_000, None)]
)
def test_a_tier_is_strictly_below_its_limit(parameters: int, tier: int | None):
    """Fewer than 10,000 means fewer."""
    assert find_tier(parameters, TIERS) == tier


def test_every_fact_has_a_sentence_and_every_mistake_a_remark():
    """The sentences have the figures of the structure."""
    structure: Structure = describe_structure(CROPPED)
    text = " ".join(explain(structure))

    assert "26 x 26 pixels of 28 x 28" in text
    assert "12 x 12" in text
    assert "Average pooling of 8 x 8 crops its map of 9 x 9 to 8 x 8." in explain(structure)
    assert list_remarks(structure)[0].startswith("relu on the scores")
    assert list_remarks(describe_structure(FACTORS)) == ()
