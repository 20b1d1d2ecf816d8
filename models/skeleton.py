"""The light skeleton that iterations 2, 3 and 4 share: 7,924 parameters without dropout or with it.

Two convolutions see 5 x 5 pixels before the only pooling; a 1 x 1 convolution then narrows the
channels, three convolutions work on 12 x 12 maps, and global average pooling replaces the dense
head of iteration 1. Dropout follows the blocks after the pooling: on the large maps before it, it
takes half as long again to train and regularises little.
"""

from __future__ import annotations

from torch import Tensor, nn


def block(inputs: int, outputs: int, *, kernel: int, dropout: float = 0.0) -> nn.Sequential:
    """Return convolution, ReLU and batch normalisation, followed by dropout if there is any."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(outputs),
    ]
    if dropout > 0:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class Skeleton(nn.Module):
    """Class scores (N, 10) of grey images (N, 1, 28, 28)."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.edges = block(1, 8, kernel=3)
        self.textures = block(8, 18, kernel=3)
        self.pool = nn.MaxPool2d(2)
        self.narrow = block(18, 10, kernel=1, dropout=dropout)
        self.parts1 = block(10, 16, kernel=3, dropout=dropout)
        self.parts2 = block(16, 16, kernel=3, dropout=dropout)
        self.parts3 = block(16, 16, kernel=3, dropout=dropout)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.classes = nn.Conv2d(16, 10, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Score each image against the ten digits."""
        maps = self.narrow(self.pool(self.textures(self.edges(images))))
        maps = self.parts3(self.parts2(self.parts1(maps)))
        scores: Tensor = self.classes(self.gap(maps))
        return scores.flatten(1)
