"""How a program is computed for K networks at once: interchangeable strategies.

A forward takes images (K, B, C, H, W), one batch for each network, and tensors (K, *shape) by name,
and returns class scores (K, B, classes). With masks it trains: batch statistics are taken, running
ones updated in place, dropout applied. Without, it evaluates.

    grouped        maps (B, K C, H, W); a convolution with K groups
    channels_last  the same with channels innermost in memory
    unfolded       patches as columns, then one batched matrix product for each layer
    vmap           `torch.vmap` over one network's forward

Batch normalisation is torch's own over K C channels, which needs no statistics across networks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

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
from bench.training.stacked.masks import Masks

Tensors = Mapping[str, Tensor]
Forward = Callable[[Tensor, Tensors, Masks | None], Tensor]
SLICES = 8
"""Into how many parts `unfolded` cuts a batch, so that the product that sums over all positions
of a batch for a weight's gradient is spread over K * SLICES blocks of the GPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """What an operation may need beside its inputs."""

    number: int
    operation: Operation
    tensors: Tensors
    masks: Masks | None


class _Interpreter(ABC):
    """Runs a program operation by operation and lets go of each value after its last use."""

    def __init__(self, program: Program, *, width: int) -> None:
        self._program, self._width = program, width
        self._last_use = {
            value: number
            for number, operation in enumerate(program.operations)
            for value in operation.inputs
        }
        self._apply: dict[type[Any], Callable[..., Tensor]] = {
            Convolution: self._convolve,
            Dense: self._weigh,
            BatchNormalisation: self._normalise,
            Rectification: lambda _operator, _call, value: value.relu(),
            MaxPooling: self._pool_maximum,
            AveragePooling: self._pool_mean,
            Dropout: self._drop,
            Flattening: lambda _operator, _call, value: self._flatten(value),
            Sum: lambda _operator, _call, first, second: first + second,
        }

    def __call__(self, images: Tensor, tensors: Tensors, masks: Masks | None) -> Tensor:
        values: dict[int, Tensor] = {0: self._enter(images)}
        for number, operation in enumerate(self._program.operations):
            call = _Call(number=number, operation=operation, tensors=tensors, masks=masks)
            inputs = [values[value] for value in operation.inputs]
            operator = operation.operator
            values[number + 1] = self._apply[type(operator)](operator, call, *inputs)
            for value in operation.inputs:
                if self._last_use[value] == number:
                    values.pop(value, None)
        return self._leave(values[len(self._program.operations)])

    @abstractmethod
    def _enter(self, images: Tensor) -> Tensor:
        """Return images (K, B, C, H, W) as this strategy's maps."""

    @abstractmethod
    def _leave(self, scores: Tensor) -> Tensor:
        """Return this strategy's features as scores (K, B, classes)."""

    @abstractmethod
    def _convolve(self, operator: Convolution, call: _Call, value: Tensor) -> Tensor: ...

    @abstractmethod
    def _weigh(self, operator: Dense, call: _Call, value: Tensor) -> Tensor: ...

    @abstractmethod
    def _flatten(self, value: Tensor) -> Tensor: ...

    @abstractmethod
    def _mask(self, operator: Dropout, number: int, value: Tensor, masks: Masks) -> Tensor:
        """Return a mask that multiplies the value."""

    def _maps(self, value: Tensor) -> Tensor:
        """Return the value as (N, M, H, W), for poolings that go map by map."""
        return value

    def _normalise(self, operator: BatchNormalisation, call: _Call, value: Tensor) -> Tensor:
        tensors = call.tensors
        return F.batch_norm(
            value,
            tensors[operator.running_mean].flatten(),
            tensors[operator.running_variance].flatten(),
            tensors[operator.weight].flatten() if operator.weight else None,
            tensors[operator.bias].flatten() if operator.bias else None,
            training=call.masks is not None,
            momentum=operator.momentum,
            eps=operator.epsilon,
        )

    def _pool_maximum(self, operator: MaxPooling, _call: _Call, value: Tensor) -> Tensor:
        pooled = F.max_pool2d(self._maps(value), operator.kernel, operator.stride)
        return pooled.view(*value.shape[:-2], *pooled.shape[-2:]) if value.dim() > 4 else pooled

    def _pool_mean(self, operator: AveragePooling, _call: _Call, value: Tensor) -> Tensor:
        if operator.kernel == value.shape[-2:]:
            return value.mean((-2, -1), keepdim=True)
        pooled = F.avg_pool2d(self._maps(value), operator.kernel, operator.stride)
        return pooled.view(*value.shape[:-2], *pooled.shape[-2:]) if value.dim() > 4 else pooled

    def _drop(self, operator: Dropout, call: _Call, value: Tensor) -> Tensor:
        if call.masks is None:
            return value
        return value * self._mask(operator, call.number, value, call.masks)


class _Grouped(_Interpreter):
    """Maps (B, K C, H, W), features (B, K F, 1, 1)."""

    memory_format = torch.contiguous_format

    def _enter(self, images: Tensor) -> Tensor:
        return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=self.memory_format)

    def _leave(self, scores: Tensor) -> Tensor:
        return scores.reshape(len(scores), self._width, -1).transpose(0, 1)

    def _convolve(self, operator: Convolution, call: _Call, value: Tensor) -> Tensor:
        bias = call.tensors[operator.bias].flatten() if operator.bias else None
        return F.conv2d(
            value,
            call.tensors[operator.weight].flatten(0, 1),
            bias,
            operator.stride,
            operator.padding,
            groups=self._width * operator.groups,
        )

    def _weigh(self, operator: Dense, call: _Call, value: Tensor) -> Tensor:
        features = value.reshape(len(value), self._width, -1).transpose(0, 1)
        weights = call.tensors[operator.weight].transpose(1, 2)
        if operator.bias:
            scores: Tensor = torch.baddbmm(call.tensors[operator.bias][:, None], features, weights)
        else:
            scores = torch.bmm(features, weights)
        return scores.transpose(0, 1).reshape(len(value), -1, 1, 1)

    def _flatten(self, value: Tensor) -> Tensor:
        return value.reshape(len(value), -1, 1, 1)

    def _mask(self, operator: Dropout, number: int, value: Tensor, masks: Masks) -> Tensor:
        batch, maps, height, width = value.shape
        size = maps // self._width * (1 if operator.whole_maps else height * width)
        keep = masks.keep(number, operator.probability, before=batch, after=size, dtype=value.dtype)
        return keep.reshape(batch, maps, *((1, 1) if operator.whole_maps else (height, width)))


class _ChannelsLast(_Grouped):
    """The same with maps as (B, H, W, K C) in memory."""

    memory_format = torch.channels_last

    def _mask(self, operator: Dropout, number: int, value: Tensor, masks: Masks) -> Tensor:
        batch, maps, height, width = value.shape
        rows = (batch, 1, 1) if operator.whole_maps else (batch, height, width)
        keep = masks.keep(
            number,
            operator.probability,
            before=math.prod(rows),
            after=maps // self._width,
            dtype=value.dtype,
        )
        return keep.reshape(*rows, maps).permute(0, 3, 1, 2)


class _Unfolded(_Interpreter):
    """Maps (S, K C, B / S, H, W) for S slices of a batch, features (S, K F, B / S, 1, 1).

    A layer's output is the batched product of weights (O, I k k) with columns (I k k, B / S * H W)
    as it is: no value is transposed between layers.
    """

    def _enter(self, images: Tensor) -> Tensor:
        batch = images.shape[1]
        slices = math.gcd(batch, SLICES)
        parts: Tensor = images.unflatten(1, (slices, batch // slices))  # (K, S, B / S, C, H, W)
        return parts.permute(1, 0, 3, 2, 4, 5).flatten(1, 2).contiguous()

    def _leave(self, scores: Tensor) -> Tensor:
        parts: Tensor = scores.flatten(2).unflatten(1, (self._width, -1))  # (S, K, classes, B / S)
        return parts.permute(1, 0, 3, 2).flatten(1, 2)

    def _convolve(self, operator: Convolution, call: _Call, value: Tensor) -> Tensor:
        columns, positions = self._columns(operator, value)
        weights = call.tensors[operator.weight]
        groups = self._width * operator.groups
        product = torch.matmul(weights.reshape(groups, -1, columns.shape[2]), columns)
        maps = product.view(len(value), -1, *positions)
        if operator.bias:
            maps = maps + call.tensors[operator.bias].view(-1, 1, 1, 1)
        return maps

    def _columns(self, operator: Convolution, value: Tensor) -> tuple[Tensor, torch.Size]:
        """Return columns (S, K groups, I / groups * k k, L) and what L is: (B / S, H, W)."""
        groups = self._width * operator.groups
        if operator.kernel == (1, 1) and operator.stride == (1, 1) and operator.padding == (0, 0):
            return value.reshape(len(value), groups, -1, value[0, 0].numel()), value.shape[2:]
        rows, columns = operator.padding
        if rows or columns:
            value = F.pad(value, (columns, columns, rows, rows))
        (kernel_rows, kernel_columns), (down, right) = operator.kernel, operator.stride
        patches = value.unfold(3, kernel_rows, down).unfold(4, kernel_columns, right)
        positions = patches.shape[2:5]
        patches = patches.permute(0, 1, 5, 6, 2, 3, 4)
        return patches.reshape(len(value), groups, -1, math.prod(positions)), positions

    def _weigh(self, operator: Dense, call: _Call, value: Tensor) -> Tensor:
        features = value.reshape(len(value), self._width, -1, value.shape[2])
        scores = torch.matmul(call.tensors[operator.weight], features)
        if operator.bias:
            scores = scores + call.tensors[operator.bias][:, :, None]
        return scores.flatten(1, 2)[..., None, None]

    def _flatten(self, value: Tensor) -> Tensor:
        slices, _, images = value.shape[:3]
        return value.flatten(3).transpose(2, 3).reshape(slices, -1, images, 1, 1)

    def _maps(self, value: Tensor) -> Tensor:
        return value.flatten(0, 1)

    def _normalise(self, operator: BatchNormalisation, call: _Call, value: Tensor) -> Tensor:
        return super()._normalise(operator, call, value.flatten(2)).view_as(value)

    def _mask(self, operator: Dropout, number: int, value: Tensor, masks: Masks) -> Tensor:
        slices, maps, images, height, width = value.shape
        area = (1, 1) if operator.whole_maps else (height, width)
        keep = masks.keep(
            number,
            operator.probability,
            before=slices,
            after=maps // self._width * images * math.prod(area),
            dtype=value.dtype,
        )
        return keep.reshape(slices, maps, images, *area)


class _Mapped:
    """`torch.vmap` over the forward of one network; torch chooses how layers are batched."""

    def __init__(self, program: Program, *, width: int) -> None:
        del width  # vmap reads it from the tensors
        self._forward = _Grouped(program, width=1)

    def __call__(self, images: Tensor, tensors: Tensors, masks: Masks | None) -> Tensor:
        def one(images: Tensor, tensors: Tensors, keys: Tensor | None) -> Tensor:
            single = {name: tensor[None] for name, tensor in tensors.items()}
            own = masks.of(keys[None]) if masks is not None and keys is not None else None
            return self._forward(images[None], single, own)[0]

        keys = masks.keys if masks is not None else None
        scores: Tensor = torch.vmap(one, in_dims=(0, 0, 0 if masks is not None else None))(
            images, dict(tensors), keys
        )
        return scores


FORWARDS: dict[str, Callable[..., Forward]] = {
    "grouped": _Grouped,
    "channels_last": _ChannelsLast,
    "unfolded": _Unfolded,
    "vmap": _Mapped,
}
