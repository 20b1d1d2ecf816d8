"""Iteration 2: a light skeleton to keep."""

from __future__ import annotations

from models.recipe import SGD, Claim, Constant, Narrative, Recipe, Statement
from models.skeleton import Skeleton

NARRATIVE = Narrative(
    title="A light skeleton",
    target=(
        "Find a skeleton in fewer than 10,000 parameters that later iterations keep.",
        "Add batch normalisation and global average pooling.",
        "15 epochs from here on.",
    ),
    claim=Claim(parameters="7,924", training_accuracy=99.31, validation_accuracy=98.95),
    analysis=(
        Statement(
            text="The skeleton is good: it reaches this accuracy in few parameters.",
            says="is light enough",
        ),
        Statement(text="It overfits.", says="overfits"),
        Statement(
            text="A lot of difficult digits are still wrong.", says="has many difficult digits"
        ),
    ),
)

RECIPE = Recipe(
    optimizer=SGD(),
    schedule=Constant(rate=0.035),
    batch_size=128,
    epochs=15,
)


class Network(Skeleton):
    """The skeleton as it is, without dropout."""

    def __init__(self) -> None:
        super().__init__()
