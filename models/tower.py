"""The tower that iterations 5, 6 and 7 share: of any height and widths, one pooling, no dropout.

Two convolutions see 5 x 5 pixels before the only pooling, and a 1 x 1 convolution narrows the
channels, as in the skeleton of iterations 2 to 4. Four convolutions instead of three follow: each
adds 4 pixels to what a position of the last map sees, which is then 22 of the image's 28.
"""

from __future__ import annotations

from torch import Tensor, nn


def block(inputs: int, outputs: int, *, kernel: int) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Tower(nn.Module):
    """Class scores (N, 10) of grey images (N, 1, 28, 28).

    `before` are the widths of both 3 x 3 convolutions before the pooling, `narrow` that of the
    1 x 1 convolution, and `after` those of the 3 x 3 convolutions that follow, five at most.
    """

    def __init__(self, *, before: tuple[int, int], narrow: int, after: tuple[int, ...]) -> None:
        super().__init__()
        first, second = before
        self.edges = block(1, first, kernel=3)
        self.textures = block(first, second, kernel=3)
        self.pool = nn.MaxPool2d(2)
        self.narrow = block(second, narrow, kernel=1)
        inputs = (narrow, *after[:-1])
        self.parts = nn.Sequential(
            *(block(i, o, kernel=3) for i, o in zip(inputs, after, strict=True))
        )
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.classes = nn.Conv2d(after[-1], 10, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Score each image against the ten digits."""
        maps = self.parts(self.narrow(self.pool(self.textures(self.edges(images)))))
        scores: Tensor = self.classes(self.gap(maps))
        return scores.flatten(1)
