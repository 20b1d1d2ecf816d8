"""What has to be done to a model that nobody here wrote before the engines can train it.

Decided once, in the process that inspects the model, and sent to every worker: all of them build
the same network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scores = Literal["class scores", "log-probabilities", "probabilities"]
"""What a network returns; cross-entropy takes class scores and log-probabilities as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """How a model file is executed, and what stands before and behind its network.

    `shape` is that of one image of the dataset: channels, rows, columns; `classes` are its classes.
    """

    shape: tuple[int, int, int]
    classes: int

    extracted: bool = False
    """The class is executed with what it refers to, and nothing else of its file."""

    stand_ins: bool = False
    """Imports that are not installed give objects that raise an error when they are used."""

    calls: bool = False
    """The class has a `__call__` of its own: the network is a module that calls it."""

    contiguous: bool = False
    """Maps are laid out channel after channel, as a `view` in the network needs them."""

    channels: int | None = None
    """Images of one channel are repeated to so many."""

    side: int | None = None
    """Images get a margin of background, up to a square of so many pixels a side."""

    flat: bool = False
    """Images are handed over as vectors of pixels."""

    element: int | str | None = None
    """Of several values that the network returns, the class scores are the one at this place."""

    reshaped: bool = False
    """What it returns is brought to the shape (N, classes)."""

    training: Scores = "class scores"
    evaluation: Scores = "class scores"
    """What it returns in training and in evaluation; of probabilities the logarithm is taken."""

    least_batch: int = 1
    """Images that a training batch must have at least."""

    @property
    def changes_images(self) -> bool:
        """Whether images are brought to another shape before the network gets them."""
        return self.flat or self.channels is not None or self.side is not None
