"""A program says what the network computes, or names what it has no word for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from networks import NETWORKS, make_network
from torch import Tensor, nn

from bench.iterations import list_iterations
from bench.training.programs import (
    AveragePooling,
    BatchNormalisation,
    Convolution,
    Dense,
    Dropout,
    Flattening,
    MaxPooling,
    Operation,
    Program,
    Rectification,
    Sum,
)
from bench.training.runs import network_builder
from bench.training.tracing import UnsupportedNetworkError, trace_program

IMAGES = (1, 28, 28)


def interpret(program: Program, network: nn.Module, images: Tensor) -> Tensor:
    """Compute a program in evaluation mode with torch's functions."""
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    values = [images]
    for operation in program.operations:
        values.append(apply(operation, [values[i] for i in operation.inputs], tensors))
        assert tuple(values[-1].shape[1:]) in (operation.shape, operation.shape[:1])
    return values[-1].flatten(1)


def apply(  # noqa: C901  (one case for each operator)
    operation: Operation, inputs: list[Tensor], tensors: dict[str, Tensor]
) -> Tensor:
    x, operator = inputs[0], operation.operator

    def find(name: str | None) -> Tensor | None:
        return tensors[name] if name else None

    match operator:
        case Convolution():
            return F.conv2d(
                x,
                tensors[operator.weight],
                find(operator.bias),
                operator.stride,
                operator.padding,
                groups=operator.groups,
            )
        case Dense():
            return F.linear(x, tensors[operator.weight], find(operator.bias))
        case BatchNormalisation():
            return F.batch_norm(
                x,
                tensors[operator.running_mean],
                tensors[operator.running_variance],
                find(operator.weight),
                find(operator.bias),
                eps=operator.epsilon,
            )
        case Rectification():
            return F.relu(x)
        case MaxPooling():
            return F.max_pool2d(x, operator.kernel, operator.stride)
        case AveragePooling():
            return F.avg_pool2d(x, operator.kernel, operator.stride)
        case Dropout():
            return x
        case Flattening():
            return x.flatten(1)
        case Sum():
            return inputs[0] + inputs[1]


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_program_computes_what_the_network_computes(kind: type[nn.Module]) -> None:
    network = make_network(kind)
    before = {name: value.clone() for name, value in network.named_buffers()}
    program = trace_program(network, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    images = torch.randn(5, *IMAGES)
    network.eval()
    expected = network(images)
    found = interpret(program, network, images)
    if kind.__name__ == "Forked":  # whose log_softmax is not in the program
        found = F.log_softmax(found, dim=1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("iteration", list_iterations(), ids=lambda iteration: iteration.name)
def test_every_iteration_has_a_program(iteration: object) -> None:
    network = network_builder(iteration)()  # type: ignore[arg-type]
    program = trace_program(network, IMAGES)
    names = {
        name
        for operation in program.operations
        for name in (getattr(operation.operator, "weight", None),)
        if name
    }
    weights = {name for name, _ in network.named_parameters() if name.endswith("weight")}
    assert names == weights


class _Modules(nn.Module):
    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 10, 28), *modules, nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class _Calls(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 10, 28)
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.layer(images)).flatten(1)  # type: ignore[operator]


class _Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.BatchNorm2d(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.layer(images)).mean((2, 3))


class _Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 10, 28)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer(images).flatten(1)
        return maps if maps.sum() > 0 else -maps


class _Differs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 10, 28)

    def forward(self, images: Tensor) -> Tensor:
        scores = self.layer(images).flatten(1)
        return scores if self.training else F.relu(scores)


def tie_weights() -> nn.Module:
    network = _Modules(nn.Conv2d(10, 10, 1), nn.Conv2d(10, 10, 1))
    network.layers[2].weight = network.layers[1].weight
    return network


def freeze_weights() -> nn.Module:
    network = _Modules(nn.Conv2d(10, 10, 1))
    network.layers[1].weight.requires_grad_(False)
    return network


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (_Modules(nn.GELU()), "layers.1: nn.GELU"),
        (_Modules(nn.BatchNorm2d(10, track_running_stats=False)), "layers.1: BatchNorm2d"),
        (_Modules(nn.Conv2d(10, 10, 1, padding_mode="circular", padding=1)), "layers.1: Conv2d"),
        (_Calls(torch.sigmoid), "sigmoid()"),
        (_Calls(lambda maps: F.dropout(maps, 0.1)), "dropout()"),
        (_Calls(lambda maps: maps + 1.0), "a sum other than of two values"),
        (_Calls(lambda maps: F.log_softmax(maps, 1)), "log_softmax() before the end"),
        (_Shared(), "layer, which is called more than once"),
        (_Decides(), "its forward, which cannot be traced"),
        (tie_weights(), "layers that share a parameter"),
        (freeze_weights(), "layers.1.weight, which is not float32 or not trained"),
        (_Modules(nn.Conv2d(10, 10, 1)).double(), "its forward, which cannot be traced"),
        (_Differs(), "a forward that differs between training and evaluation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_program_cannot_say_is_named(network: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedNetworkError) as error:
        trace_program(network, IMAGES)
    assert message in str(error.value)
