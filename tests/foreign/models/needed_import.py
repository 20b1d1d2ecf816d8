import torch.nn as nn
from einops_that_is_not_here import Rearrange


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(Rearrange("b c h w -> b (c h w)"), nn.Linear(784, 10))

    def forward(self, x):
        return self.layers(x)
