"""A training loop that never ends, and a class that needs nothing of it."""

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.reshape(len(x), -1))


while True:
    pass
