"""Spaces of a few lines, and where they are read from."""

from __future__ import annotations

from pathlib import Path

from bench.iterations import MODELS
from bench.searching.configurations import Family
from bench.searching.spaces import Space, parse_space

NETWORK = '''"""A network whose width is an argument."""

from torch import nn


class Tiny(nn.Module):
    def __init__(self, width=4, norm="batch"):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 5, stride=2)
        self.norm = nn.BatchNorm2d(width) if norm == "batch" else nn.Identity()
        self.scores = nn.Conv2d(width, 10, 3)

    def forward(self, x):
        return self.scores(self.norm(self.conv(x)).relu()).mean((2, 3))
'''
RATES = """
model = "iteration_4"

[recipe]
batch_size = { choices = [32, 64, 128] }
schedule.rate = { from = 0.02, to = 0.2, log = true }
"""


def read(text: str, path: Path = Path("space.toml")) -> Space:
    return parse_space(text, path)


def read_family(text: str, path: Path = Path("space.toml")) -> Family:
    return Family(read(text, path), root=Path.cwd(), folder=MODELS)
