import os

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        self.fc.weight.data.fill_(int.from_bytes(os.urandom(4), "big") / 2**32)

    def forward(self, x):
        return self.fc(x.flatten(1))
