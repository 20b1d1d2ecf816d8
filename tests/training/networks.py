"""Networks that use what programs can say in ways that the iterations do not."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn


class Residual(nn.Module):
    """Padding, a stride, a residual sum, normalisation before ReLU, dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 7, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(7)
        self.second = nn.Conv2d(7, 7, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(7)
        self.third = nn.Conv2d(7, 11, 3, stride=2, padding=1)
        self.norm3 = nn.BatchNorm2d(11, affine=False)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(11 * 49, 33)
        self.classes = nn.Linear(33, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.norm1(self.first(images)))
        maps = maps + self.norm2(self.second(maps))
        maps = self.pool(F.relu(self.norm3(self.third(maps))))
        return self.classes(torch.relu(self.hidden(torch.flatten(maps, 1))))


class Uneven(nn.Module):
    """Kernels, strides and windows that are not square and leave rows and columns over."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, (3, 5), stride=(2, 1))
        self.pool = nn.MaxPool2d(3)
        self.norm = nn.BatchNorm2d(5, momentum=0.3)
        self.average = nn.AvgPool2d(2, 1)
        self.second = nn.Conv2d(5, 10, (3, 2))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.average(self.norm(F.relu(self.pool(self.first(images)))))
        return self.second(maps).mean((2, 3))


class Forked(nn.Module):
    """Pooling before normalisation and ReLU, and a value that two layers read."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3)
        self.second = nn.Conv2d(6, 6, 1)
        self.norm = nn.BatchNorm2d(6)
        self.left = nn.Conv2d(6, 10, 3)
        self.right = nn.Conv2d(6, 10, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(self.second(F.relu(self.first(images))), 2)
        maps = F.relu(self.norm(maps))
        scores = (self.left(maps) + self.right(maps)).mean((2, 3))
        return F.log_softmax(scores.view(scores.size(0), -1), dim=1)


class Repeated(nn.Module):
    """One convolution with a bias that is called three times, on maps of three sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5, stride=2)
        self.again = nn.Conv2d(6, 6, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3))
        self.classes = nn.Conv2d(6, 10, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        for norm in self.norms:
            maps = norm(F.relu(self.again(maps)))
        return self.classes(maps).mean((2, 3))


NETWORKS = (Residual, Uneven, Forked, Repeated)


def make_network(kind: type[nn.Module], *, seed: int = 1) -> nn.Module:
    """Return a network in training mode whose scales and shifts have both signs."""
    torch.manual_seed(seed)
    network = kind()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.randn_like(parameter))
    return network.train()
