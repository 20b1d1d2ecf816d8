"""torchvision, made importable beside the CPU build of torch.

The compiled operators of PyPI's torchvision want CUDA libraries. Without them, importing the
package fails on two operator schemas that nothing here calls; declaring them first is enough. With
a CUDA build of torch nothing is missing and nothing is declared.
"""

from __future__ import annotations

import importlib

import torch

_SCHEMAS = ("nms", "qnms")
_libraries: list[torch.library.Library] = []


def _declare_missing_operators() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _SCHEMAS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)  # the schemas live as long as their library


if torch.version.cuda is None:
    _declare_missing_operators()

datasets = importlib.import_module("torchvision.datasets")
"""`torchvision.datasets`"""
functional = importlib.import_module("torchvision.transforms.functional")
"""`torchvision.transforms.functional`"""
transforms = importlib.import_module("torchvision.transforms")
"""`torchvision.transforms`"""
