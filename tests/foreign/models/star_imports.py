"""Blocks from a file beside it, by a star, of a module that imports what is not there."""

import torch.nn as nn
from blocks import *

EPOCHS = int("15")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = ConvBlock(1, WIDTH)
        self.fc = nn.Linear(WIDTH, 10)

    def forward(self, x):
        return self.fc(self.block(x).mean((2, 3)))
