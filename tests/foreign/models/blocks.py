"""What star_imports.py takes: a block, and a width."""

import torch.nn as nn
from torchsummary_that_is_not_here import summary

WIDTH = 6


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x):
        return self.conv(x).relu()


def describe(model):
    summary(model)
