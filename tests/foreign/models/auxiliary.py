"""An auxiliary head that only training sees, and a softmax that only evaluation sees."""

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        self.auxiliary = nn.Linear(784, 10)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            return self.fc(x), self.auxiliary(x)
        return self.fc(x).softmax(dim=1)
