"""The gradients of one step from one state, as each engine's own training computes them.

An engine shows its gradients to nobody, but one step of gradient descent does: without momentum it
changes a weight by minus the learning rate times the gradient. At a rate of 1,024 the weights
themselves are rounded away, and what is left is the gradient to seven digits.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from bench.training.engines import Engine
from bench.training.loop import ResidentImages
from models.recipe import SGD, Constant, Recipe

RATE = 1024.0
IMAGES = 256
SEED = 1_000_000

Gradients = Mapping[str, Tensor]


def measure_gradients(
    engine: Engine, build: Callable[[], nn.Module], training: ResidentImages
) -> Gradients | None:
    """Return the gradient of every parameter on the first images, float64 tensors by name.

    `None` when the engine trains other tensors than those of the network it built. Dropout is off.
    """
    built: list[nn.Module] = []
    before: list[dict[str, Tensor]] = []

    def build_and_keep() -> nn.Module:
        network = _without_dropout(build())
        built.append(network)
        before.append({n: p.detach().clone() for n, p in network.named_parameters()})
        return network

    images = first_images(training, IMAGES)
    recipe = Recipe(optimizer=SGD(), schedule=Constant(rate=RATE), batch_size=IMAGES, epochs=1)
    engine.train(
        build_and_keep,
        recipe,
        training=images,
        validation=first_images(training, 1),
        seeds=(SEED,),
        width=1,
        window=1,
        report=None,
    )
    after = dict(built[-1].named_parameters())
    gradients = {
        name: (weight.double() - after[name].detach().to(weight.device).double()).cpu() / RATE
        for name, weight in before[-1].items()
    }
    return gradients if any(bool(g.any()) for g in gradients.values()) else None


def compute_exact_gradients(
    build: Callable[[], nn.Module], training: ResidentImages, *, seed: int
) -> Gradients:
    """Return the same gradients by torch in float64; `seed` initialises torch's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = copy.deepcopy(_without_dropout(build())).double().train()
    data = first_images(training, IMAGES)
    pixels = (data.images.cpu().double() / 255.0 - data.mean) / data.deviation
    F.cross_entropy(network(pixels), data.labels.cpu()).backward()  # type: ignore[no-untyped-call]
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def largest_difference(found: Gradients, reference: Gradients) -> float:
    """Return the largest difference in a tensor over the tensor's largest gradient."""
    return max(
        float((found[name] - expected).abs().max() / expected.abs().max())
        for name, expected in reference.items()
    )


def first_images(data: ResidentImages, count: int) -> ResidentImages:
    """Return the first images of a dataset."""
    return dataclasses.replace(data, images=data.images[:count], labels=data.labels[:count])


def _without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    return network
