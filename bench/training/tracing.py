"""Follow a network's `forward` once and keep what it computes, as a program.

`torch.fx` records the calls; what is kept are convolutions, dense layers, batch normalisation,
ReLU, pooling, dropout and sums. Anything else is refused with its name, and such a network trains
with the eager engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import fx, nn

from bench.training.programs import (
    AveragePooling,
    BatchNormalisation,
    Convolution,
    Dense,
    Dropout,
    Flattening,
    MaxPooling,
    Operation,
    Operator,
    Program,
    Rectification,
    Shape,
    Sum,
)


class UnsupportedNetworkError(Exception):
    """The network does something that a program cannot say; the message says what."""


def trace_program(network: nn.Module, image_shape: Shape) -> Program:
    """Return what `network` computes of images (N, *image_shape); it is left as it was.

    Raises:
        UnsupportedNetworkError: the network's control flow depends on values or on whether it
            trains, it uses an operator, a setting or a sharing of layers that a program has no word
            for, or a parameter of its layers is shared, frozen or not float32.
    """
    was_training = network.training
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trained, scored = (_trace(network.train(mode), image_shape) for mode in (True, False))
    finally:
        network.train(was_training)
        for name, value in network.named_buffers():
            value.data.copy_(buffers[name])
    if trained != scored:
        raise UnsupportedNetworkError("a forward that differs between training and evaluation")
    _check_parameters(trained, network)
    return trained


def _check_parameters(program: Program, network: nn.Module) -> None:
    """Refuse parameters that an engine may not keep and train in one float32 vector."""
    parameters = dict(network.named_parameters(remove_duplicate=False))
    operators = [operation.operator for operation in program.operations]
    weighted = [o for o in operators if isinstance(o, Convolution | Dense | BatchNormalisation)]
    names = {name: None for o in weighted for name in (o.weight, o.bias) if name is not None}
    if len({id(parameters[name]) for name in names}) < len(names):
        raise UnsupportedNetworkError("layers that share a parameter")
    for name in names:
        if parameters[name].dtype != torch.float32 or not parameters[name].requires_grad:
            raise UnsupportedNetworkError(f"{name}, which is not float32 or not trained")


def _trace(network: nn.Module, image_shape: Shape) -> Program:
    try:
        graph = _Tracer().trace(network)
        example = torch.zeros(2, *image_shape, device=_device_of(network))
        _note_shapes(fx.GraphModule(network, graph), example)
    except UnsupportedNetworkError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedNetworkError(f"its forward, which cannot be traced ({reason})") from error
    return _Builder(network, image_shape).build(graph)


def _note_shapes(traced: fx.GraphModule, example: torch.Tensor) -> None:
    """Run a graph on example images and keep the shape of every tensor in its node.

    `torch.fx.passes` has this too, behind a progress bar whose lock outlives a worker process.
    """
    values: dict[fx.Node, Any] = {}
    for node in traced.graph.nodes:
        if node.op == "output":
            return
        values[node] = example if node.op == "placeholder" else _run_node(traced, node, values)
        if isinstance(values[node], torch.Tensor):
            node.meta["shape"] = tuple(values[node].shape)


def _run_node(traced: fx.GraphModule, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    arguments, keywords = fx.node.map_arg((node.args, dict(node.kwargs)), values.__getitem__)
    if node.op == "call_module":
        return traced.get_submodule(str(node.target))(*arguments, **keywords)
    if node.op == "call_method":
        return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
    if node.op == "get_attr":
        raise UnsupportedNetworkError(f"{node.target}, a tensor of its own")
    assert callable(node.target)  # noqa: S101  (call_function)
    return node.target(*arguments, **keywords)


def _device_of(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))


class _Tracer(fx.Tracer):
    """Looks into every module of the user's, and into none of torch's but containers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) and not isinstance(
            m, nn.Sequential | nn.ModuleList
        )


class _Builder:
    """Collects operations; `_values` maps a node of the graph to the number of its value."""

    def __init__(self, network: nn.Module, image_shape: Shape) -> None:
        self._modules = dict(network.named_modules())
        self._image_shape = image_shape
        self._operations: list[Operation] = []
        self._values: dict[fx.Node, int] = {}
        self._called: set[str] = set()

    def build(self, graph: fx.Graph) -> Program:
        for node in graph.nodes:
            if node.op == "placeholder":
                if self._values:
                    raise UnsupportedNetworkError("a forward that takes more than the images")
                self._values[node] = 0
            elif node.op == "output":
                return self._finish(node)
            else:
                self._add(node)
        raise UnsupportedNetworkError("a forward that returns nothing")

    def _finish(self, node: fx.Node) -> Program:
        (result,) = node.args
        if not isinstance(result, fx.Node) or result not in self._values:
            raise UnsupportedNetworkError(
                "a forward that does not return one tensor of class scores"
            )
        if not self._operations or self._values[result] != len(self._operations):
            raise UnsupportedNetworkError("a forward that computes values it does not use")
        if self._operations[-1].shape[1:] != (1, 1):
            raise UnsupportedNetworkError(
                "a forward that does not return class scores (N, classes)"
            )
        used = {value for operation in self._operations for value in operation.inputs}
        if used != set(range(len(self._operations))):
            raise UnsupportedNetworkError("a forward that computes values it does not use")
        return Program(input_shape=self._image_shape, operations=tuple(self._operations))

    def _add(self, node: fx.Node) -> None:
        if _is_size(node):
            return
        inputs = [a for a in node.args if isinstance(a, fx.Node) and a in self._values]
        chosen = self._translate(node)
        if chosen is None:  # the value itself
            self._values[node] = self._values[inputs[0]]
            return
        self._operations.append(
            Operation(
                operator=chosen,
                inputs=tuple(self._values[value] for value in inputs),
                shape=_shape_of(node),
            )
        )
        self._values[node] = len(self._operations)

    def _translate(self, node: fx.Node) -> Operator | None:
        if node.op == "call_module":
            name = str(node.target)
            again = name in self._called and not isinstance(self._modules[name], nn.Conv2d)
            if again and any(True for _ in self._modules[name].parameters()):
                raise UnsupportedNetworkError(f"{name}, which is called more than once")
            self._called.add(name)
            return _translate_module(name, self._modules[name], node)
        return _translate_call(node)


def _translate_module(name: str, module: nn.Module, node: fx.Node) -> Operator | None:
    translate = _MODULES.get(type(module))
    if translate is None:
        raise UnsupportedNetworkError(f"{name}: nn.{type(module).__name__}")
    return translate(name, module, node)


def _translate_convolution(name: str, module: nn.Conv2d, _node: fx.Node) -> Operator:
    dilated = tuple(module.dilation) != (1, 1)
    if dilated or module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UnsupportedNetworkError(f"{name}: {module}")
    return Convolution(
        weight=f"{name}.weight",
        bias=f"{name}.bias" if module.bias is not None else None,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(module.padding),
        groups=module.groups,
    )


def _translate_dense(name: str, module: nn.Linear, node: fx.Node) -> Operator:
    if _rank_of(node) != 2:
        raise UnsupportedNetworkError(f"{name}: nn.Linear on maps")
    return Dense(weight=f"{name}.weight", bias=f"{name}.bias" if module.bias is not None else None)


def _translate_normalisation(name: str, module: nn.BatchNorm2d, _node: fx.Node) -> Operator:
    if not module.track_running_stats or module.momentum is None:
        raise UnsupportedNetworkError(f"{name}: {module}")
    return BatchNormalisation(
        weight=f"{name}.weight" if module.affine else None,
        bias=f"{name}.bias" if module.affine else None,
        running_mean=f"{name}.running_mean",
        running_variance=f"{name}.running_var",
        batches=f"{name}.num_batches_tracked",
        momentum=module.momentum,
        epsilon=module.eps,
    )


def _translate_max_pooling(name: str, module: nn.MaxPool2d, _node: fx.Node) -> Operator:
    plain = _pair(module.padding) == (0, 0) and _pair(module.dilation) == (1, 1)
    if not plain or module.ceil_mode or module.return_indices:
        raise UnsupportedNetworkError(f"{name}: {module}")
    return MaxPooling(kernel=_pair(module.kernel_size), stride=_pair(module.stride))


def _translate_average_pooling(name: str, module: nn.AvgPool2d, _node: fx.Node) -> Operator:
    if _pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override:
        raise UnsupportedNetworkError(f"{name}: {module}")
    return AveragePooling(kernel=_pair(module.kernel_size), stride=_pair(module.stride))


def _translate_global_pooling(name: str, module: nn.Module, node: fx.Node) -> Operator:
    if _shape_of(node)[1:] != (1, 1):
        raise UnsupportedNetworkError(f"{name}: {module}")
    return _pool_all(node)


def _pool_all(node: fx.Node) -> AveragePooling:
    source = node.args[0]
    assert isinstance(source, fx.Node)  # noqa: S101  (fx gives a node to every call of a tensor)
    window = _shape_of(source)[1:]
    return AveragePooling(kernel=window, stride=window)


_MODULES: dict[type[nn.Module], Callable[[str, Any, fx.Node], Operator | None]] = {
    nn.Conv2d: _translate_convolution,
    nn.Linear: _translate_dense,
    nn.BatchNorm2d: _translate_normalisation,
    nn.ReLU: lambda _name, _module, _node: Rectification(),
    nn.MaxPool2d: _translate_max_pooling,
    nn.AvgPool2d: _translate_average_pooling,
    nn.AdaptiveAvgPool2d: _translate_global_pooling,
    nn.Dropout: lambda _name, module, _node: _drop(module.p, whole_maps=False),
    nn.Dropout2d: lambda _name, module, _node: _drop(module.p, whole_maps=True),
    nn.Flatten: lambda _name, _module, node: _flatten(node),
    nn.Identity: lambda _name, _module, _node: None,
    nn.LogSoftmax: lambda _name, _module, node: _ignore_log_softmax(node),
}


def _drop(probability: float, *, whole_maps: bool) -> Operator | None:
    if not 0 <= probability < 1:
        raise UnsupportedNetworkError(f"dropout with probability {probability}")
    return Dropout(probability=probability, whole_maps=whole_maps) if probability else None


def _translate_call(node: fx.Node) -> Operator | None:
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    if target in _RECTIFICATIONS:
        return Rectification()
    if target in _FLATTENINGS:
        return _flatten(node)
    if target in (F.log_softmax, torch.log_softmax, "log_softmax"):
        return _ignore_log_softmax(node)
    if target in (operator.add, operator.iadd, torch.add, "add", "add_"):
        return _add(node)
    if target in _MAX_POOLINGS and _call_is_plain(node):
        window = _pair(_argument(node, 1, "kernel_size"))
        return MaxPooling(kernel=window, stride=_pair(_argument(node, 2, "stride") or window))
    if target in _MEANS and _is_mean_over_maps(node):
        return _pool_all(node)
    if target is F.adaptive_avg_pool2d and _shape_of(node)[1:] == (1, 1):
        return _pool_all(node)
    raise UnsupportedNetworkError(f"{name}()")


_RECTIFICATIONS = {F.relu, torch.relu, torch.relu_, F.relu_, "relu", "relu_"}
_FLATTENINGS = {torch.flatten, "flatten", "view", "reshape", torch.squeeze, "squeeze"}
_MAX_POOLINGS = {F.max_pool2d, torch.max_pool2d}
_MEANS = {torch.mean, "mean"}


def _call_is_plain(node: fx.Node) -> bool:
    plain = {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False}
    given = dict(zip(list(plain), node.args[3:], strict=False)) | dict(node.kwargs)
    return all(given.get(key, value) in (value, (value, value)) for key, value in plain.items())


def _is_mean_over_maps(node: fx.Node) -> bool:
    axes = _argument(node, 1, "dim")
    return isinstance(axes, list | tuple) and sorted(a % 4 for a in axes) == [2, 3]


def _argument(node: fx.Node, position: int, name: str) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name)


def _flatten(node: fx.Node) -> Operator | None:
    source = node.args[0]
    assert isinstance(source, fx.Node)  # noqa: S101
    channels, height, width = _shape_of(source)
    if (
        _batch_of(node) != 2
        or _rank_of(node) != 2
        or _shape_of(node)[0] != channels * height * width
    ):
        raise UnsupportedNetworkError(f"{node.target}() to another shape than (N, features)")
    return Flattening() if (height, width) != (1, 1) else None


def _ignore_log_softmax(node: fx.Node) -> Operator | None:
    """Let class scores pass: cross-entropy and argmax are the same without it."""
    if any(user.op != "output" for user in node.users) or _rank_of(node) != 2:
        raise UnsupportedNetworkError("log_softmax() before the end")
    return None


def _add(node: fx.Node) -> Operator:
    shapes = {a.meta.get("shape") for a in node.args[:2] if isinstance(a, fx.Node)}
    if node.kwargs or len(shapes) != 1 or not all(isinstance(a, fx.Node) for a in node.args):
        raise UnsupportedNetworkError("a sum other than of two values of one shape")
    return Sum()


def _is_size(node: fx.Node) -> bool:
    """Say whether a node is `x.size(0)` or `x.shape[0]`, which only reshape uses."""
    return "shape" not in node.meta


def _shape_of(node: fx.Node) -> Shape:
    shape = node.meta["shape"]
    if len(shape) == 2:
        return shape[1], 1, 1
    if len(shape) != 4:
        raise UnsupportedNetworkError(f"a value of {len(shape)} axes")
    return shape[1], shape[2], shape[3]


def _rank_of(node: fx.Node) -> int:
    return len(node.meta["shape"])


def _batch_of(node: fx.Node) -> int:
    return int(node.meta["shape"][0])


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
