"""Twelve submissions as a class hands them in, four of them broken, and their claims."""

from __future__ import annotations

from pathlib import Path

HEAD = """import torch
import torch.nn as nn
import torch.nn.functional as F

"""

LIGHT = """
class Net(nn.Module):
    def __init__(self, channels=8, dropout=0.05):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * channels)
        self.conv3 = nn.Conv2d(2 * channels, 2 * channels, 3, bias=False)
        self.norm3 = nn.BatchNorm2d(2 * channels)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Conv2d(2 * channels, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(self.norm1(F.relu(self.conv1(x))), 2)
        x = F.max_pool2d(self.drop(self.norm2(F.relu(self.conv2(x)))), 2)
        x = self.norm3(F.relu(self.conv3(x)))
        return F.log_softmax(self.out(x.mean((2, 3), keepdim=True)).flatten(1), dim=1)
"""
"""8 * 9 + 16 + 16 * 8 * 9 + 32 + 16 * 16 * 9 + 32 + 170 = 3,778 parameters."""

DENSE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5)
        self.hidden = nn.Linear(8 * 12 * 12, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return self.out(F.relu(self.hidden(x.view(-1, 8 * 12 * 12))))
"""
"""208 + 73,792 + 650 = 74,650 parameters."""

TINY = """
class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 10, 3), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(),
        )

    def forward(self, x):
        return self.layers(x)
"""
"""40 + 8 + 370 = 418 parameters; ReLU on the scores, and an average pooling that crops."""

HIDDEN_TRAINING = """
if torch.cuda.is_available():
    device = "cuda"
torch.manual_seed(1)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3, stride=2),
            nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(),
            nn.BatchNorm2d(16),
        )
        self.unused = nn.Linear(10, 10)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        return self.out(F.adaptive_avg_pool2d(self.body(x), 1).squeeze())

for epoch in range(0):
    print(epoch)
"""
"""80 + 16 + 1,168 + 32 + 2,320 + 32 + 110 + 170 = 3,928 declared parameters, 3,818 reached."""

FREEZES = """
import time

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.calls = 0

    def forward(self, x):
        if self.training and len(x) > 40:
            while True:
                time.sleep(1)
        return self.conv(x).mean((2, 3))
"""
"""Scores the few images of an inspection, and never returns from a training batch."""

KILLS = """
import os, signal

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        if self.training and len(x) > 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.conv(x).mean((2, 3))
"""

FILES = {
    "anna/model.py": HEAD + LIGHT,
    "ben.py": HEAD + LIGHT.replace("channels=8", "channels=6"),
    "clara.py": HEAD + LIGHT.replace("class Net", "class First") + LIGHT.replace("Net", "Second"),
    "dan.py": HEAD + DENSE,
    "eva.py": HEAD + TINY,
    "finn.py": HEAD + HIDDEN_TRAINING,
    "gina.py": HEAD + LIGHT.replace("channels=8, dropout=0.05", "dropout, channels=8"),
    "hugo.py": HEAD + LIGHT.replace("dim=1)", "dim=1).exp()"),
    "ivan.py": HEAD + "class Net(nn.Module)\n    pass\n",
    "jana.py": HEAD + LIGHT + "\nraise RuntimeError('no data here')\nNet = undefined\n",
    "kim.py": HEAD + LIGHT.replace("(2 * channels, 10, 1)", "(2 * channels, 7, 1)"),
    "lars.py": HEAD + KILLS,
}
"""The last four are broken: syntax, an error at import, seven classes, its own process killed."""

CLAIMS = """file,class,arguments,student,parameters,accuracy,epoch
anna/model.py,Net,,Anna <script>alert(1)</script>,"3,778",99.42 %,14
ben.py,,,Ben,2.2k,99.41,13
clara.py,Second,,Clara,3778,0.994,15
dan.py,,,Dan,"74,650",99.5,12
eva.py,,,=HYPERLINK("x"),418,97.1,15
finn.py,Model,,Finn,3818,99.3,15
gina.py,Net,dropout=0.1,Gina,3778,99.4,15
ivan.py,Net,,Ivan,9999,99.4,15
jana.py,Net,,Jana,3778,99.4,15
kim.py,Net,,Kim,3727,99.4,15
lars.py,Net,,Lars,100,99.4,15
""".replace('=HYPERLINK("x")', '"=HYPERLINK(""x"")"')
"""Hugo has claimed nothing."""


def hand_in(folder: Path) -> Path:
    """Write the twelve files and their claims, and return the folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "anna" / "helpers.py").write_text("SIZE = 3\n", encoding="utf-8")
    (folder / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    return folder
