"""Imports what nobody has installed and the class does not need."""

import torch.nn as nn
from google_colab_that_is_not_here import drive
import tensorboard_that_is_not_here.summary as tb


def mount():
    drive.mount("/content")
    tb.start()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(self.flatten(x))
