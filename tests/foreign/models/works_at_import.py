"""A course answer as a script: downloads, seeds, argparse, a loop, all when it is imported."""

from __future__ import print_function

import argparse

import matplotlib_that_is_not_here.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader
from torchsummary_that_is_not_here import summary
from torchvision import datasets, transforms
from tqdm_that_is_not_here import tqdm

torch.manual_seed(1)
parser = argparse.ArgumentParser()
parser.add_argument("--dropout", type=float, default=0.05)
args = parser.parse_args()
train_loader = DataLoader(
    datasets.MNIST("./data", train=True, download=True, transform=transforms.ToTensor()),
    batch_size=128,
)
dropout_value = args.dropout


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 10, 3, bias=False)
        self.dropout = nn.Dropout(dropout_value)

    def forward(self, x):
        x = self.dropout(F.relu(self.bn1(self.conv1(x))))
        x = F.adaptive_avg_pool2d(self.conv2(F.max_pool2d(x, 2)), 1)
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)


model = Net().to("cuda")
summary(model, input_size=(1, 28, 28))
optimizer = optim.SGD(model.parameters(), lr=0.01)
for epoch in range(15):
    for data, target in tqdm(train_loader):
        optimizer.zero_grad()
        F.nll_loss(model(data), target).backward()
        optimizer.step()
plt.plot([1, 2, 3])
