"""Iteration 1: working code, whatever it weighs."""

from __future__ import annotations

from torch import Tensor, nn

from models.recipe import SGD, Claim, Constant, Narrative, Recipe, Statement

NARRATIVE = Narrative(
    title="Working code",
    target=(
        "Get the set-up right: transforms, data loader, training and test loop.",
        "Have a network that learns, before anything is made small.",
    ),
    claim=Claim(parameters="547k", training_accuracy=99.28, validation_accuracy=99.03),
    analysis=(
        Statement(text="The network is too heavy for this problem.", says="is too heavy"),
        Statement(text="It overfits.", says="overfits"),
        Statement(text="Validation accuracy falls in later epochs.", says="falls in later epochs"),
    ),
)

RECIPE = Recipe(
    optimizer=SGD(),
    schedule=Constant(rate=0.02),
    batch_size=128,
    epochs=15,
)


class Network(nn.Module):
    """Two convolutions and a dense head that holds 99 % of the weights, which is cheap to train."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 8, 5)
        self.parts = nn.Conv2d(8, 24, 3)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.hidden = nn.Linear(24 * 5 * 5, 892)
        self.classes = nn.Linear(892, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, 10) of grey images (N, 1, 28, 28)."""
        maps = self.pool(self.relu(self.edges(images)))
        maps = self.pool(self.relu(self.parts(maps)))
        scores: Tensor = self.classes(self.relu(self.hidden(maps.flatten(1))))
        return scores
