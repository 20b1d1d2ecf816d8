"""Iteration 3: dropout and image transforms against overfitting."""

from __future__ import annotations

from models.recipe import SGD, Affine, Claim, Constant, Narrative, Recipe, Statement
from models.skeleton import Skeleton

NARRATIVE = Narrative(
    title="Dropout and image transforms",
    target=(
        "Stop the overfitting with dropout.",
        "Rotate the images by a few degrees: the difficult digits lean.",
    ),
    claim=Claim(parameters="7,924", training_accuracy=98.72, validation_accuracy=99.30),
    analysis=(
        Statement(text="No overfitting.", says="does not overfit"),
        Statement(text="Close to 99.4 %, and not there.", says="is close below the target"),
        Statement(text="Slow to converge.", says="converges slowly"),
    ),
)

RECIPE = Recipe(
    optimizer=SGD(momentum=0.9),
    schedule=Constant(rate=0.01),
    batch_size=128,
    epochs=15,
    augmentation=Affine(degrees=15.0),
)


class Network(Skeleton):
    """The skeleton with dropout after every block that follows the pooling."""

    def __init__(self) -> None:
        super().__init__(dropout=0.07)
