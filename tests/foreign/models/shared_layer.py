"""A layer made when the file is imported: of one object, runs would go on where others stopped."""

import torch.nn as nn

shared = nn.Linear(784, 10)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = shared

    def forward(self, x):
        return self.fc(x.flatten(1))
