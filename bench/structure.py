"""What a network is made of, found by watching every operation while it scores two images.

Modules and functions of torch look the same from here, so that pooling, dropout and normalisation
written as functions count as the modules do.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from msgspec import structs
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.anatomy import (
    TIERS,
    Cropping,
    Dropout,
    Field,
    Head,
    LayerParameters,
    Structure,
    explain,
    find_tier,
)
from bench.lineage import Lineage, join
from bench.operations import (
    ACTIVATIONS,
    AVERAGE_POOLING,
    CONVOLUTION,
    CUTS,
    DROPOUTS,
    MAX_POOLING,
    NORM,
    NORMALISATIONS,
    POINTWISE,
    PRODUCTS,
    REDUCTION,
    REDUCTIONS,
    RESHAPES,
    bind,
    pair,
    spread,
)

__all__ = ["Structure", "describe_structure", "explain"]


def describe_structure(
    network: nn.Module,
    shape: tuple[int, ...] = (1, 28, 28),
    *,
    tiers: tuple[int, ...] = TIERS,
) -> Structure:
    """Return what a network is made of; the network itself is left as it was.

    `shape` is that of one image: channels, rows, columns. The network scores two images of noise,
    once as in evaluation and once as in training; what it raises in evaluation is raised.
    """
    watched = copy.deepcopy(network).cpu()
    evaluated, called = _watch(watched.eval(), shape)
    trained, dropouts = set(called), evaluated.dropouts
    try:
        training, trained = _watch(watched.train(), shape)
    except Exception as error:  # it can be looked at all the same
        logging.getLogger(__name__).debug("not described as it trains: %s", error)
    else:
        dropouts = training.dropouts or dropouts
    layers = tuple(_list_layers(watched, called | trained))
    return _summarise(watched, evaluated, layers, _mark_always(dropouts, evaluated), tiers)


def _watch(network: nn.Module, shape: tuple[int, ...]) -> tuple[_Watch, set[int]]:
    """Return what was seen of the operations, and the ids of the modules that were called."""
    called: set[int] = set()
    watch = _Watch(network)
    before = [(module, vars(module).get("forward")) for module in network.modules()]
    for module, _ in before:  # as a hook does not: some call `forward` itself
        module.forward = _note_call(module, called)
    # what hooks of the network do to images and scores is not the network
    network.forward = _watch_ends(network, watch, (shape[-2], shape[-1]))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            with watch:
                network(torch.rand(2, *shape))
    finally:
        for module, forward in before:
            del module.forward
            if forward is not None:
                module.forward = forward
    called |= {
        id(module)
        for module in network.modules()
        if any(id(parameter) in watch.used for parameter in module.parameters(recurse=False))
    }
    return watch, called


def _note_call(module: nn.Module, called: set[int]) -> Callable[..., Any]:
    forward = module.forward

    def note(*args: Any, **kwargs: Any) -> Any:
        called.add(id(module))
        return forward(*args, **kwargs)

    return note


def _watch_ends(network: nn.Module, watch: _Watch, side: Field) -> Callable[..., Any]:
    """Return the network's forward, of whose images and scores the watch is told."""
    forward = network.forward

    def score(*args: Any, **kwargs: Any) -> Any:
        for images in _tensors((args, kwargs)):
            watch.begin(images, side)
        scores = forward(*args, **kwargs)
        watch.finish(scores)
        return scores

    return score


def _mark_always(dropouts: Sequence[Dropout], evaluated: _Watch) -> tuple[Dropout, ...]:
    """Say of each dropout of a training whether it was on while the network was evaluated."""
    always = {(each.after, each.rate) for each in evaluated.dropouts if each.always}
    return tuple(
        structs.replace(each, always=(each.after, each.rate) in always) for each in dropouts
    )


def _list_layers(network: nn.Module, called: set[int]) -> Iterator[LayerParameters]:
    """Yield each module with parameters of its own, each parameter once, and uncalled leaves."""
    counted: set[int] = set()
    for name, module in network.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        leaf = not list(module.children()) and not isinstance(module, nn.Identity)
        is_called = id(module) in called
        if own or (leaf and name and not is_called):
            yield LayerParameters(
                name=name or "(itself)",
                kind=type(module).__name__,
                parameters=sum(p.numel() for p in own),
                called=is_called,
            )


def _summarise(
    network: nn.Module,
    seen: _Watch,
    layers: tuple[LayerParameters, ...],
    dropouts: tuple[Dropout, ...],
    tiers: tuple[int, ...],
) -> Structure:
    scores = seen.scores
    clear = scores.unclear is None
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Structure(
        parameters=parameters,
        tier=find_tier(parameters, tiers),
        layers=layers,
        input_side=seen.input_side,
        depth=scores.depth,
        convolutions=seen.convolutions,
        pointwise_convolutions=seen.pointwise,
        batch_norms=len(seen.batch_norms),
        normalised=len(seen.normalised),
        normalised_before=sum(not activated for activated in seen.normalised.values()),
        other_normalisations=seen.other_normalisations,
        idle_biases=tuple(seen.idle),
        idle_parameters=sum(seen.idle.values()),
        dropouts=dropouts,
        head=scores.head if clear else "unknown",
        dense_layers=len(seen.dense),
        dense_parameters=sum(seen.dense.values()),
        receptive_field=scores.field if clear else None,
        local_field=(scores.local or scores.field) if clear else None,
        unclear=scores.unclear,
        score_activation=next((op for op in scores.since if op in ACTIVATIONS), None),
        after_max_pooling=scores.after_max_pooling,
        cropping=tuple(seen.cropping),
    )


class _Watch(TorchFunctionMode):
    """Sees every operation, and keeps the lineage of each tensor that comes of the images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._names = {id(p): name.rpartition(".")[0] for name, p in network.named_parameters()}
        self._lines: dict[int, tuple[Tensor, Lineage]] = {}  # a tensor that is gone frees its id
        self._convolved: list[tuple[str, int]] = []
        """The layer of each convolution, and how many biases it has."""
        self.used: set[int] = set()
        self.convolutions = self.pointwise = self.other_normalisations = 0
        self.batch_norms: set[int] = set()
        self.normalised: dict[int, bool] = {}
        """Convolutions that batch normalisation follows: whether an activation is between."""
        self.idle: dict[str, int] = {}
        self.dense: dict[str, int] = {}
        self.dropouts: list[Dropout] = []
        self.cropping: list[Cropping] = []
        self.input_side: Field = (1, 1)
        self.scores = Lineage(side=(1, 1), unclear="scores that nothing of torch made")

    def follow(self, tensor: Tensor, line: Lineage) -> None:
        """Keep the lineage of a tensor."""
        self._lines[id(tensor)] = (tensor, line)

    def begin(self, images: Tensor, side: Field) -> None:
        """Note the images that the network is given; `side` is theirs when they come as vectors."""
        self.input_side = pair(images.shape[-2:]) if images.dim() > 2 else side
        self.follow(images, Lineage(side=self.input_side, layout="map").reshape(images.shape))

    def finish(self, scores: object) -> None:
        """Note the lineage of what the network returns; of several tensors, of the scores."""
        found = [self._lines[id(t)][1] for t in _tensors(scores) if id(t) in self._lines]
        if found:  # not of the features beside them, which have positions or fewer layers
            self.scores = min(found, key=lambda line: (line.positions, -line.depth))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation, and follow what comes of the images."""
        kwargs = kwargs or {}
        given = list(_tensors((args, kwargs)))
        self.used.update(id(tensor) for tensor in given if id(tensor) in self._names)
        lines = [self._lines[id(t)][1] for t in given if id(t) in self._lines]
        output = func(*args, **kwargs)
        if lines:
            name = str(getattr(func, "__name__", func)).strip("_")
            for tensor in _tensors(output):
                self.follow(tensor, self._after(name, join(lines), tensor, args, kwargs))
        return output

    def _after(
        self, name: str, line: Lineage, output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        handler = _HANDLERS.get(name)
        if handler is not None:
            return handler(self, line, output, args, kwargs)
        if name in ACTIVATIONS:
            return line.pass_by(name, activation=True)
        if name in POINTWISE:
            return line.pass_by(name)
        if name in RESHAPES or (name == "get" and output.numel() == _first(args).numel()):
            return line.reshape(output.shape)
        if name in CUTS:
            return line.cut(output.shape)
        return line.lose(name)

    def _convolve(
        self, line: Lineage, output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        call = bind(CONVOLUTION, args, kwargs)
        weight, bias = call["weight"], call.get("bias")
        name = self._name(weight, f"convolution {self.convolutions + 1}")
        kernel = pair(weight.shape[-2:])
        number, self.convolutions = self.convolutions, self.convolutions + 1
        self.pointwise += kernel == (1, 1)
        self._convolved.append((name, 0 if bias is None else bias.numel()))
        after = line.after_max_pooling
        if after is not None and kernel != (1, 1):
            after += 1
        grown = self._slide(
            line,
            output,
            kernel=spread(kernel, pair(call.get("dilation", 1))),
            stride=pair(call.get("stride", 1)),
            head="convolution over the whole map",
        )
        grown = replace(grown.weigh(name), after_max_pooling=after)
        return replace(grown, convolutions=frozenset({number}))

    def _slide(
        self, line: Lineage, output: Tensor, *, kernel: Field, stride: Field, head: Head
    ) -> Lineage:
        if line.layout != "map":  # a vector taken for channels is a dense layer in another form
            if line.layout == "flat" and tuple(output.shape[-2:]) == (1, 1):
                return line.collapse("dense")
            return line.lose("windows over what is no map")
        side = pair(output.shape[-2:])
        return line.grow(kernel=kernel, stride=stride, side=side).close(line, head)

    def _pool(self, line: Lineage, output: Tensor, call: dict[str, Any], head: Head) -> Lineage:
        kernel = pair(call["kernel_size"])
        stride = pair(call.get("stride") or kernel)
        padding = pair(call.get("padding", 0))
        dilation = pair(call.get("dilation", 1))
        extent = spread(kernel, dilation)
        reached = [
            min(side, (count - 1) * step + size - pad)
            for side, count, step, size, pad in zip(
                line.side, output.shape[-2:], stride, extent, padding, strict=True
            )
        ]
        covered = reached[0], reached[1]
        if line.layout == "map" and covered != line.side:
            kind = "max-pooling" if head == "global max pooling" else "average pooling"
            self.cropping.append(
                Cropping(kind=kind.capitalize(), side=line.side, kernel=kernel, covered=covered)
            )
        return self._slide(line, output, kernel=extent, stride=stride, head=head)

    def _max_pool(
        self, line: Lineage, output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        call = bind(MAX_POOLING, args, kwargs)
        return replace(self._pool(line, output, call, "global max pooling"), after_max_pooling=0)

    def _average_pool(
        self, line: Lineage, output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        return self._pool(
            line, output, bind(AVERAGE_POOLING, args, kwargs), "global average pooling"
        )

    def _adaptive_average_pool(
        self, line: Lineage, output: Tensor, _args: Any, _kwargs: dict[str, Any]
    ) -> Lineage:
        return self._adapt(line, output, "global average pooling")

    def _adaptive_max_pool(
        self, line: Lineage, output: Tensor, _args: Any, _kwargs: dict[str, Any]
    ) -> Lineage:
        return replace(self._adapt(line, output, "global max pooling"), after_max_pooling=0)

    def _adapt(self, line: Lineage, output: Tensor, head: Head) -> Lineage:
        """Follow adaptive pooling: windows of one size where the sides divide."""
        side = pair(output.shape[-2:])
        if any(before % after for before, after in zip(line.side, side, strict=True)):
            return line.lose("adaptive pooling in windows of unlike sizes")
        kernel = line.side[0] // side[0], line.side[1] // side[1]
        return self._slide(line, output, kernel=kernel, stride=kernel, head=head)

    def _normalise(
        self, line: Lineage, _output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        call = bind(NORM, args, kwargs)
        self.batch_norms.add(
            next((id(v) for k in ("weight", "running_mean") if (v := call.get(k)) is not None), 0)
        )
        for number in sorted(line.convolutions - set(self.normalised)):
            self.normalised[number] = line.activated
            name, biases = self._convolved[number]
            if biases and not line.activated:
                self.idle[name] = biases
        return replace(line.pass_by("batch_norm"), convolutions=frozenset())

    def _normalise_otherwise(
        self, line: Lineage, _output: Tensor, _args: Any, _kwargs: dict[str, Any]
    ) -> Lineage:
        self.other_normalisations += 1
        return line.pass_by("norm")

    def _drop(self, line: Lineage, _output: Tensor, args: Any, kwargs: dict[str, Any]) -> Lineage:
        call = bind(("input", "p", "training"), args, kwargs)
        rate = float(call.get("p", 0.5))
        if rate > 0:
            self.dropouts.append(
                Dropout(after=line.layer, rate=rate, always=bool(call.get("training", True)))
            )
        return line.pass_by("dropout")

    def _connect(self, line: Lineage, output: Tensor, args: Any, kwargs: dict[str, Any]) -> Lineage:
        given = [t for t in _tensors((args, kwargs)) if id(t) not in self._lines]
        weight = max(given, key=lambda tensor: tensor.dim(), default=None)
        if weight is None:
            return line.lose("a product of two tensors")
        name = self._name(weight, f"dense layer {len(self.dense) + 1}")
        self.dense[name] = sum(tensor.numel() for tensor in given)
        if line.positions == 1 or (line.layout == "flat" and output.dim() == 2):
            return line.collapse("dense").weigh(name)
        return line.lose("a dense layer over a map").weigh(name)

    def _reduce(self, line: Lineage, args: Any, kwargs: dict[str, Any], head: Head) -> Lineage:
        call = bind(REDUCTION, args, kwargs)
        dims = call.get("dim")
        if isinstance(dims, Tensor):  # torch.max of two tensors
            return line.pass_by("max")
        before = _first(args) if args else call["input"]
        chosen = [dims] if isinstance(dims, int) else list(dims or range(before.dim()))
        which = {dim % before.dim() for dim in chosen}
        if 0 in which:
            return line.lose("a mean over the images")
        last = before.dim() - 1
        if line.layout == "map":
            axes = last - 1 in which, last in which
            return line.collapse(head, axes) if any(axes) else line.pass_by("mean")
        if line.layout == "line":
            return line.collapse(head) if last in which else line.pass_by("mean")
        return line.lose("a mean over channels and positions")

    def _name(self, weight: Tensor, otherwise: str) -> str:
        return self._names.get(id(weight), otherwise) or "(itself)"


Handler = Callable[[_Watch, Lineage, Tensor, Any, dict[str, Any]], Lineage]


def _make_reduction(head: Head) -> Handler:
    def reduce(
        watch: _Watch, line: Lineage, _output: Tensor, args: Any, kwargs: dict[str, Any]
    ) -> Lineage:
        return watch._reduce(line, args, kwargs, head)

    return reduce


_HANDLERS: dict[str, Handler] = {
    "conv2d": _Watch._convolve,
    "max_pool2d": _Watch._max_pool,
    "max_pool2d_with_indices": _Watch._max_pool,
    "avg_pool2d": _Watch._average_pool,
    "adaptive_avg_pool2d": _Watch._adaptive_average_pool,
    "adaptive_max_pool2d": _Watch._adaptive_max_pool,
    "batch_norm": _Watch._normalise,
    "linear": _Watch._connect,
    **dict.fromkeys(PRODUCTS, _Watch._connect),
    **dict.fromkeys(NORMALISATIONS, _Watch._normalise_otherwise),
    **dict.fromkeys(DROPOUTS, _Watch._drop),
    **{name: _make_reduction(head) for name, head in REDUCTIONS.items()},
}


def _tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors in an operation's arguments or result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _first(args: Any) -> Tensor:
    tensor = args[0]
    assert isinstance(tensor, Tensor)  # noqa: S101
    return tensor
