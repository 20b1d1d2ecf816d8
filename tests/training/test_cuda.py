"""The same loop on a CUDA device, where there is one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.datasets import load_embedded_digits
from bench.iterations import list_iterations
from bench.records import Status
from bench.training.devices import choose_device, describe_conditions, describe_machine
from bench.training.loop import place_dataset, train
from bench.training.runs import network_builder

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_auto_takes_the_gpu_and_names_its_capability() -> None:
    """Conditions say what kind of device it is, the machine which one."""
    device = choose_device("auto")
    conditions = describe_conditions(device, "fp32", engine="eager")
    major, minor = torch.cuda.get_device_capability()
    assert conditions.device == f"cuda sm_{major}{minor}"
    machine = describe_machine(device)
    assert machine.device == torch.cuda.get_device_name()
    assert machine.driver


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_learns_what_a_cpu_learns(precision: str) -> None:
    """The latest iteration learns the digits, and leaves the caller's random numbers alone."""
    iteration = list_iterations()[-1]
    training, validation = place_dataset(load_embedded_digits(), choose_device("cuda"))
    torch.manual_seed(0)
    expected = torch.rand(4, device="cuda")
    torch.manual_seed(0)
    result = train(
        network_builder(iteration),
        dataclasses.replace(iteration.recipe, precision=precision),
        training=training,
        validation=validation,
        seed=0,
        window=3,
    )
    assert torch.equal(torch.rand(4, device="cuda"), expected)
    assert result.status is Status.FINISHED
    assert result.epochs[-1].validation_correct > 0.95 * 359
