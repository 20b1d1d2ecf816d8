"""Two networks, and a block of one of them."""

import torch.nn as nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)

    def forward(self, x):
        return self.conv(x)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block(2)
        self.fc = nn.Linear(2, 10)

    def forward(self, x):
        return self.fc(self.block(x).mean((2, 3)))


class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 20, 3)
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
