"""Returns its features beside the scores."""

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5)
        self.fc = nn.Linear(4, 10)

    def forward(self, x):
        features = self.conv(x)
        return features, self.fc(features.mean((2, 3)))
