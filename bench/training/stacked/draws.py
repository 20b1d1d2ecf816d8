"""The order and the augmentation draws of an epoch, each seed from its own two generators."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.training.streams import make_generator


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """Order (K, N) int64 of the images, and uniform numbers (K, N, U) for each in turn."""

    order: Tensor
    uniform: Tensor | None


class EpochDraws:
    """Draws what the eager loop draws from the same seeds, one epoch ahead.

    A GPU's generator gives other numbers for one large request than for many small ones, so the
    requests are the eager loop's: one for each seed and batch. These are thousands of launches of
    microseconds. On CUDA they go to a stream of their own, while the epoch before still computes.
    """

    def __init__(
        self, *, width: int, images: int, batch: int, uniform: int, device: torch.device
    ) -> None:
        self._batch, self._device = batch, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._next, self._spare = (
            Draws(
                order=torch.empty(width, images, dtype=torch.int64, device=device),
                uniform=torch.empty(width, images, uniform, device=device) if uniform else None,
            )
            for _ in range(2)
        )

    def start(self, seeds: Sequence[int]) -> None:
        """Begin with the first epoch of these K seeds."""
        self._shuffling = [make_generator(s, "shuffling", self._device) for s in seeds]
        self._augmentation = [make_generator(s, "augmentation", self._device) for s in seeds]
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        self.prepare()

    def prepare(self) -> None:
        """Draw the next epoch; what was taken two epochs ago must be done with."""
        self._next, self._spare = self._spare, self._next
        with self._aside():
            for generator, order in zip(self._shuffling, self._next.order, strict=True):
                torch.randperm(len(order), generator=generator, device=self._device, out=order)
            if self._next.uniform is not None:
                for generator, rows in zip(self._augmentation, self._next.uniform, strict=True):
                    for batch in rows.split(self._batch):
                        batch.uniform_(generator=generator)

    def take(self) -> Draws:
        """Return the epoch that was prepared; the current stream waits for it."""
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return self._next

    def _aside(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream is not None else nullcontext()
