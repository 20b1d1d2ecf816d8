"""A tower whose convolutions after the pooling are used again: depth that costs no parameters."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from models.tower import block


class Repetition(nn.Module):
    """Class scores (N, 10) of grey images (N, 1, 28, 28).

    Before the pooling it is `models.tower.Tower`, of the widths `before`. After it all maps have
    `width` channels, and `calls` says of each 3 x 3 convolution how many times in a row it is used,
    each time with a normalisation of its own: five calls in all at most.
    """

    def __init__(self, *, before: tuple[int, int], width: int, calls: tuple[int, ...]) -> None:
        super().__init__()
        first, second = before
        self.calls = calls
        self.edges = block(1, first, kernel=3)
        self.textures = block(first, second, kernel=3)
        self.pool = nn.MaxPool2d(2)
        self.narrow = block(second, width, kernel=1)
        self.parts = nn.ModuleList(nn.Conv2d(width, width, 3, bias=False) for _ in calls)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(sum(calls)))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.classes = nn.Conv2d(width, 10, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Score each image against the ten digits."""
        maps = self.narrow(self.pool(self.textures(self.edges(images))))
        norms = iter(self.norms)
        for part, times in zip(self.parts, self.calls, strict=True):
            for _ in range(times):
                maps = F.relu(next(norms)(part(maps)))
        scores: Tensor = self.classes(self.gap(maps))
        return scores.flatten(1)
