"""Dropout masks of many seeds as a function of seed, step, operation and element.

A mask is not drawn from a generator but hashed: element n of a seed's SplitMix64 sequence (Steele,
Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), whose start is the
seed's stream `dropout`. So a seed's masks depend on nothing but the seed, whatever trains beside
it, and the step is read from the device, so that a CUDA graph replays new masks. A 64-bit number is
cut into four 16-bit ones, each of which decides over one element.
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LANES = 4
_ELEMENT_BITS = 40
"""A mask has fewer than 2^40 numbers; the counter of masks takes the 24 bits above."""
LEVELS = 1 << 16
"""A probability is rounded to a multiple of 1 / LEVELS."""


class Masks:
    """The masks of seeds whose sequences start at `keys` (K,) int64, at `step` (1,) int64.

    Masks of one step differ between the operations of a program, which has `operations` of them.
    """

    def __init__(self, keys: Tensor, step: Tensor, *, operations: int) -> None:
        self.keys, self._step, self._operations = keys, step, operations
        # a tensor, because a compiler that reasons about indices would not let it wrap around
        self._golden = torch.full_like(step, _signed(_GOLDEN))

    def of(self, keys: Tensor) -> Masks:
        """Return the masks of other seeds at the same step."""
        masks = copy(self)
        masks.keys = keys
        return masks

    def keep(
        self, operation: int, probability: float, *, before: int, after: int, dtype: torch.dtype
    ) -> Tensor:
        """Return (before, K, after): 0 with `probability`, else 1 / (1 - probability).

        `before` and `after` count a seed's elements around the axis of seeds, as the caller's
        values lie in memory: a seed's element (b, a) has the number b * after + a.
        """
        bits = self._bits(operation, before=before, after=after)
        threshold = round(probability * LEVELS) - LEVELS // 2
        return ((bits >= threshold) * (1.0 / (1.0 - probability))).to(dtype)

    def _bits(self, operation: int, *, before: int, after: int) -> Tensor:
        """Return (before, K, after) int16, uniform over all its values."""
        columns = -(-after // _LANES)
        number = torch.arange(before * columns, device=self.keys.device)
        number = (number + (operation << _ELEMENT_BITS)) * self._golden
        mask_counter = _signed((self._operations << _ELEMENT_BITS) * _GOLDEN)
        start = self.keys + self._step * mask_counter
        hashed = _mix(number.view(before, 1, columns) + start[:, None])
        return hashed.view(torch.int16)[..., :after]


def _mix(state: Tensor) -> Tensor:
    """Return the outputs of SplitMix64 for its states; the argument is overwritten."""
    state = _fold(state, 30).mul_(_signed(_FIRST))
    state = _fold(state, 27).mul_(_signed(_SECOND))
    return _fold(state, 31)


def _fold(state: Tensor, shift: int) -> Tensor:
    """Return `state ^ (state >> shift)` with zeros shifted in, in place."""
    return state.bitwise_xor_((state >> shift).bitwise_and_((1 << (64 - shift)) - 1))


def _signed(number: int) -> int:
    """Return the int64 with the lowest 64 bits of a number."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number
