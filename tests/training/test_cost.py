"""Parameters and multiply-accumulates against a hand count and torch's own counter."""

from __future__ import annotations

import pytest
import torch
from networks import Repeated
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.cost import count_cost
from bench.iterations import list_iterations
from bench.records import Cost
from bench.training.runs import count_iteration, network_builder

ITERATIONS = {iteration.name: iteration for iteration in list_iterations()}
SKELETON_MACS = {  # output pixels x kernel pixels x channels in x channels out
    "edges.0": 26 * 26 * 9 * 1 * 8,
    "textures.0": 24 * 24 * 9 * 8 * 18,
    "narrow.0": 12 * 12 * 1 * 18 * 10,
    "parts1.0": 10 * 10 * 9 * 10 * 16,
    "parts2.0": 8 * 8 * 9 * 16 * 16,
    "parts3.0": 6 * 6 * 9 * 16 * 16,
    "classes": 1 * 1 * 1 * 16 * 10,
}


def weigh(cost: Cost) -> dict[str, int]:
    """Return the MACs of convolutions and dense layers by name."""
    return {layer.name: layer.macs for layer in cost.layers if layer.kind in ("Conv2d", "Linear")}


@pytest.mark.parametrize("name", ["iteration_2", "iteration_3", "iteration_4"])
def test_the_skeleton_has_exactly_the_parameters_claimed(name: str) -> None:
    """7,924 parameters, all reached by a gradient, and the MACs of a count by hand."""
    cost = count_iteration(ITERATIONS[name])
    assert cost.parameters == 7924
    assert cost.reached_parameters == 7924
    assert weigh(cost) == SKELETON_MACS


def test_iteration_1_weighs_547k() -> None:
    """Its parameters round to the author's 547k, most of them in the dense layer."""
    cost = count_iteration(ITERATIONS["iteration_1"])
    assert round(cost.parameters / 1000) == 547
    assert max(layer.parameters for layer in cost.layers) > 0.9 * cost.parameters


@pytest.mark.parametrize("name", list(ITERATIONS))
def test_macs_are_half_of_torchs_flops(name: str) -> None:
    """torch.utils.flop_counter counts two operations a multiply-accumulate of the same layers."""
    network = network_builder(ITERATIONS[name])().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 28, 28))
    cost = count_iteration(ITERATIONS[name])
    assert sum(weigh(cost).values()) == counter.get_total_flops() // 2


def test_layers_and_total_agree() -> None:
    """The MACs of the layers add up to the network's."""
    cost = count_iteration(ITERATIONS["iteration_4"])
    assert sum(layer.macs for layer in cost.layers) == cost.macs
    assert sum(layer.parameters for layer in cost.layers) == cost.parameters


def test_calls_of_one_layer_share_its_cost() -> None:
    """Three calls, on maps that give 10 x 10, 8 x 8 and 6 x 6: MACs each, the weights once."""
    cost = count_cost(Repeated())
    again = [layer for layer in cost.layers if layer.name == "again"]
    assert [layer.macs for layer in again] == [n * n * 9 * 6 * 6 for n in (10, 8, 6)]
    assert [layer.parameters for layer in again] == [9 * 6 * 6 + 6, 0, 0]
    assert sum(layer.macs for layer in cost.layers) <= cost.macs  # the mean is in no layer
    assert sum(layer.parameters for layer in cost.layers) == cost.parameters


def test_receptive_fields_grow_as_counted_by_hand() -> None:
    """3, 5, then 6 after pooling, and steps of 4 on the halved map, to the whole image."""
    cost = count_iteration(ITERATIONS["iteration_4"])
    fields = {layer.name: layer.receptive_field for layer in cost.layers}
    names = ("edges.0", "textures.0", "pool", "narrow.0", "parts1.0", "parts2.0", "parts3.0")
    assert [fields[name] for name in names] == [3, 5, 6, 6, 10, 14, 18]
    assert fields["gap"] == 28


def test_a_dense_layer_sees_what_its_map_saw() -> None:
    """5, 6, 10, 12 by convolutions and poolings, then a 5 x 5 map at steps of 4: 12 + 4 x 4."""
    cost = count_iteration(ITERATIONS["iteration_1"])
    fields = [layer.receptive_field for layer in cost.layers if layer.kind != "ReLU"]
    assert fields == [5, 6, 10, 12, 28, 28]


def test_operators_without_a_formula_are_listed() -> None:
    """Pooling by maximum is not counted by fvcore, and says so."""
    cost = count_iteration(ITERATIONS["iteration_4"])
    assert [(o.operator, o.calls) for o in cost.uncounted] == [("max_pool2d", 1)]


class Idle(nn.Module):
    """A network with a layer that its scores do not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(784, 10)
        self.unused = nn.Linear(100, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.used(images.flatten(1))
        return scores


def test_declared_and_reached_parameters_differ_for_an_idle_layer() -> None:
    """The budget counts all that is declared; what no gradient reaches is reported beside it."""
    cost = count_cost(Idle())
    assert cost.parameters == 7850 + 1010
    assert cost.reached_parameters == 7850


def test_counting_leaves_the_network_in_its_mode() -> None:
    """An eval-mode copy is counted; the network given stays in training mode."""
    network = Idle().train()
    count_cost(network)
    assert network.training
