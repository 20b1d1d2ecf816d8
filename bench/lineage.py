"""What is known of one tensor on its way from the image to the scores: which layers made it.

A receptive field grows as in Araujo, Norris and Sim, "Computing receptive fields of convolutional
neural networks", Distill 2019, equation 2: each layer adds (kernel - 1) times the product of the
strides before it. It is carried along with each tensor, so that branches can join.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.anatomy import Field, Head

Layout = Literal["map", "line", "flat"]
"""Positions as the last two dimensions, as the last one, or mixed with channels in one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """How a tensor came about.

    `side` are the rows and columns of positions that no operation has mixed yet, `field` and `jump`
    the receptive field and the step from one position to the next, in input pixels. `since` are the
    operations since the last layer with weights, `convolutions` the calls whose outputs it is made
    of, and `local` the field before the head.
    """

    side: Field
    layout: Layout = "map"
    field: Field = (1, 1)
    jump: Field = (1, 1)
    unclear: str | None = None
    local: Field | None = None
    head: Head = "none"
    depth: int = 0
    layer: str | None = None
    since: tuple[str, ...] = ()
    convolutions: frozenset[int] = frozenset()
    activated: bool = False
    after_max_pooling: int | None = None

    @property
    def positions(self) -> int:
        """How many positions are not mixed yet."""
        return self.side[0] * self.side[1]

    def grow(self, *, kernel: Field, stride: Field, side: Field) -> Lineage:
        """Return what a window that slides over the map makes of it; `kernel` with its dilation."""
        field = _each(lambda size, k, jump: size + (k - 1) * jump, self.field, kernel, self.jump)
        jump = _each(lambda j, s: j * s, self.jump, stride)
        return replace(self, field=field, jump=jump, side=side, layout="map")

    def collapse(self, head: Head, axes: tuple[bool, bool] = (True, True)) -> Lineage:
        """Return what mixing all rows, all columns or both makes of it."""
        kernel = _each(lambda side, mixed: side if mixed else 1, self.side, axes)
        side = _each(lambda side, mixed: 1 if mixed else side, self.side, axes)
        return self.grow(kernel=kernel, stride=(1, 1), side=side).close(self, head)

    def close(self, before: Lineage, head: Head) -> Lineage:
        """Note the head, if it is what left one position of several."""
        if self.positions > 1 or before.positions == 1:
            return self
        return replace(self, head=head, local=before.field)

    def lose(self, operation: str) -> Lineage:
        """Return what is left when an operation has no receptive field of this kind."""
        return replace(self, unclear=self.unclear or operation)

    def weigh(self, name: str) -> Lineage:
        """Return what a layer with weights makes of it, beside its field."""
        return replace(
            self,
            depth=self.depth + 1,
            layer=name,
            since=(),
            convolutions=frozenset(),
            activated=False,
        )

    def pass_by(self, operation: str, *, activation: bool = False) -> Lineage:
        """Return what an operation that keeps positions apart makes of it."""
        return replace(self, since=(*self.since, operation), activated=self.activated or activation)

    def reshape(self, shape: Sequence[int]) -> Lineage:
        """Return how positions lie in another shape of as many elements."""
        layout: Layout = "flat"
        if (tuple(shape[-2:]) == self.side and len(shape) > 2) or self.positions == 1:
            layout = "map"
        elif len(shape) > 2 and shape[-1] == self.positions:
            layout = "line"
        return replace(self, layout=layout)

    def cut(self, shape: Sequence[int]) -> Lineage:
        """Return what is left of a map that was cropped or padded to another shape."""
        if self.layout == "map" and len(shape) > 2 and self.positions > 1:
            return replace(self, side=(shape[-2], shape[-1]))
        return self


def join(lines: Sequence[Lineage]) -> Lineage:
    """Return the lineage of what several tensors are added, multiplied or put together to.

    Those with fewer positions, such as a gate for each channel, are spread over the largest.
    """
    main = max(lines, key=lambda line: (line.positions, line.depth, len(line.since)))
    wide = [line for line in lines if line.positions == main.positions]
    pooled = [line.after_max_pooling for line in lines if line.after_max_pooling is not None]
    unclear = next((line.unclear for line in lines if line.unclear), None)
    if len({line.jump for line in wide}) > 1:
        unclear = unclear or "branches of different strides"
    if any(line.side not in ((1, 1), main.side) for line in lines):
        unclear = unclear or "branches of different sizes"
    locals_ = [line.local for line in wide if line.local is not None]
    return replace(
        main,
        field=_largest([line.field for line in lines]),
        local=_largest(locals_) if locals_ else None,
        unclear=unclear,
        depth=max(line.depth for line in lines),
        convolutions=frozenset().union(*(line.convolutions for line in wide)),
        activated=any(line.activated for line in wide),
        after_max_pooling=min(pooled, default=None),
    )


def _largest(fields: Sequence[Field]) -> Field:
    return max(f[0] for f in fields), max(f[1] for f in fields)


def _each(function: Callable[..., int], *pairs: tuple[int, int]) -> Field:
    """Return a function of the rows, and of the columns, of several pairs."""
    rows, columns = zip(*pairs, strict=True)
    return function(*rows), function(*columns)
