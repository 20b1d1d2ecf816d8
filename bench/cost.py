"""What a network costs: parameters and multiply-accumulates, counted by fvcore.

fvcore calls one multiply-accumulate one "flop"; here it is called a MAC, and FLOPs are 2 x MACs. It
traces an eval-mode copy on the CPU with one image, counts batch normalisation as in evaluation, and
skips some operators, which are listed and never silently left out.
"""

from __future__ import annotations

import copy
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import torch
from fvcore.nn import FlopCountAnalysis, parameter_count
from msgspec.structs import replace
from torch import Tensor, nn

from bench.records import Cost, LayerCost, Shape, UncountedOperator

INPUT_SHAPE: Shape = (1, 28, 28)
"""An image of MNIST."""


def count_cost(network: nn.Module, shape: Shape = INPUT_SHAPE) -> Cost:
    """Count a network for one image of a shape; the network itself is left as it was."""
    counted = copy.deepcopy(network).cpu().eval()
    image = torch.zeros(1, *shape)
    logging.getLogger("fvcore").setLevel(logging.ERROR)  # what it would log is in the result
    analysis = FlopCountAnalysis(counted, image).unsupported_ops_warnings(enabled=False)
    analysis.uncalled_modules_warnings(enabled=False)
    macs = analysis.by_module()
    return Cost(
        parameters=int(parameter_count(counted)[""]),
        reached_parameters=_count_reached(network, shape),
        macs=int(macs[""]),
        layers=_list_layers(counted, image, macs),
        uncounted=tuple(
            UncountedOperator(operator=operator.removeprefix("aten::"), calls=calls)
            for operator, calls in sorted(analysis.unsupported_ops().items())
        ),
    )


def _count_reached(network: nn.Module, shape: Shape) -> int:
    """Count the parameters that a gradient of the class scores reaches."""
    trained = copy.deepcopy(network).cpu().train()
    with torch.random.fork_rng(devices=[]):
        trained(torch.rand(2, *shape)).sum().backward()
    return sum(p.numel() for p in trained.parameters() if p.grad is not None)


def _list_layers(network: nn.Module, image: Tensor, macs: dict[str, int]) -> tuple[LayerCost, ...]:
    parameters = parameter_count(network)
    field = _ReceptiveField(image.shape[-1])
    layers: list[LayerCost] = []

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
            layers.append(
                LayerCost(
                    name=name,
                    kind=type(module).__name__,
                    output_shape=tuple(output.shape[1:]),
                    parameters=int(parameters[name]),
                    macs=int(macs[name]),
                    receptive_field=field.after(module, output),
                )
            )

        return hook

    leaves = [(n, m) for n, m in network.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(record(name)) for name, module in leaves]
    with torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    return tuple(_share_among_calls(layers))


def _share_among_calls(layers: Sequence[LayerCost]) -> Iterator[LayerCost]:
    """Yield the calls of layers so that they add up: each with its part of the layer's MACs.

    fvcore counts a module over all its calls, so its MACs are shared by the sizes of what the calls
    give (exact where each value given costs the same, as a convolution's do). Weights are in the
    first call alone.
    """
    sizes: Counter[str] = Counter()
    for layer in layers:
        sizes[layer.name] += math.prod(layer.output_shape)
    called: set[str] = set()
    for layer in layers:
        share = Fraction(math.prod(layer.output_shape), sizes[layer.name] or 1)
        parameters = 0 if layer.name in called else layer.parameters
        called.add(layer.name)
        yield replace(layer, macs=round(layer.macs * share), parameters=parameters)


class _ReceptiveField:
    """Side of the input square that one output sees, layer after layer of a chain.

    Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill
    2019, equation 2: each layer adds (kernel - 1) times the product of the strides before it. A
    dense layer or a global pooling is a kernel over the whole map. After a module it does not know,
    the field is `None`.
    """

    _POINTWISE = (
        nn.ReLU, nn.BatchNorm2d, nn.BatchNorm1d, nn.Dropout, nn.Dropout2d, nn.Identity, nn.GELU,
        nn.SiLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Flatten, nn.LogSoftmax, nn.Softmax,
    )  # fmt: skip

    def __init__(self, side: int) -> None:
        self._size: int | None = 1
        self._jump = 1
        self._map_side = side

    def after(self, module: nn.Module, output: Tensor) -> int | None:
        if self._size is not None and not isinstance(module, self._POINTWISE):
            kernel, stride = self._kernel(module)
            self._size = None if kernel is None else self._size + (kernel - 1) * self._jump
            self._jump *= stride
        if output.dim() == 4:
            self._map_side = output.shape[-1]
        return self._size

    def _kernel(self, module: nn.Module) -> tuple[int | None, int]:
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            dilation = _side(getattr(module, "dilation", 1))
            extent = (_side(module.kernel_size) - 1) * dilation + 1
            return extent, _side(module.stride)
        if isinstance(module, nn.Linear | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
            whole, self._map_side = self._map_side, 1
            return whole, 1
        return None, 1


def _side(value: object) -> int:
    side = value[-1] if isinstance(value, tuple) else value
    if not isinstance(side, int):
        raise TypeError(f"{value!r}: not a side length in pixels")
    return side
