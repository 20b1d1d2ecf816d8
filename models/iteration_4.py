"""Iteration 4: a learning-rate schedule."""

from __future__ import annotations

from models.recipe import SGD, Affine, Claim, MultiStep, Narrative, Recipe, Statement
from models.skeleton import Skeleton

NARRATIVE = Narrative(
    title="A learning-rate schedule",
    target=(
        "Converge faster with a higher learning rate.",
        "Reduce it after the 10th epoch, so that the final epochs settle at 99.4 %.",
    ),
    claim=Claim(parameters="7,924", training_accuracy=99.12, validation_accuracy=99.42, epoch=14),
    analysis=(
        Statement(text="Consistent in the final epochs.", says="is consistent"),
        "A good schedule is hard to find.",
        Statement(text="99.5 % is within reach.", says="could reach 0.1 points more"),
    ),
)

RECIPE = Recipe(
    optimizer=SGD(momentum=0.9),
    schedule=MultiStep(rate=0.1, milestones=(10,)),
    batch_size=128,
    epochs=15,
    augmentation=Affine(degrees=15.0),
)


class Network(Skeleton):
    """The skeleton with dropout after every block that follows the pooling."""

    def __init__(self) -> None:
        super().__init__(dropout=0.06)
