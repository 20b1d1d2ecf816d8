"""Several quirks at once: works at import, three channels, probabilities, a squeeze, dead layers."""

import torch
import torch.nn as nn
import wandb_that_is_not_here as wandb

wandb.init(project="mnist")
config = dict(width=5)
config.update(width=6)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, config["width"], 28)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Conv2d(config["width"], 10, 1)

    def forward(self, x) -> "wandb.Image":
        return torch.softmax(self.head(self.conv(x)).squeeze(), dim=-1)


for _ in range(10**12):
    pass
