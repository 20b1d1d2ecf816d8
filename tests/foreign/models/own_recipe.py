"""A file with a literal recipe of its own: no --recipe is needed."""

import torch.nn as nn

from models.recipe import SGD, Constant, Recipe

RECIPE = Recipe(
    optimizer=SGD(momentum=0.9), schedule=Constant(rate=0.05), batch_size=64, epochs=2
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))
