"""`__call__` in place of `forward`."""

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4, 10)

    def __call__(self, x):
        return self.fc(self.conv(x).mean(dim=(2, 3)))
