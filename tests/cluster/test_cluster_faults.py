"""What goes wrong on a node, in Ray or with a unit is told apart, without a cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")

import torch
from builders import COST, make_iteration

from bench.challenges import DIGITS
from bench.executors.cluster import worker
from bench.executors.cluster.luggage import PackedIteration
from bench.records import Machine
from bench.training.devices import describe_conditions, describe_machine
from bench.training.runs import Unit

CPU = torch.device("cpu")
CONDITIONS = describe_conditions(CPU, "fp32", engine="eager", block=1)
MACHINE: Machine = describe_machine(CPU)


def make_unit(*seeds: int, name: str = "model") -> Unit:
    return Unit(
        iteration=make_iteration(name=name),
        seeds=seeds or (0,),
        challenge=DIGITS,
        conditions=CONDITIONS,
        machine=MACHINE,
        cost=COST,
    )


def fail(error: Exception) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return what a worker process on node `n` holds, settled on `model`."""
    context = SimpleNamespace(get_node_id=lambda: "n")
    monkeypatch.setattr(worker, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    made: Any = object.__new__(worker._Seat)
    iteration = make_iteration(name="model")
    packed = PackedIteration(iteration=iteration, place="model.py", files={"model.py": b""})
    made._luggage = SimpleNamespace(device="cpu", iterations={"model": packed})
    made._device, made._machine, made._folder = CPU, MACHINE, tmp_path
    made._settled, made._sender = {"model": iteration}, SimpleNamespace(put=lambda _: None)
    made._worker = SimpleNamespace(train=lambda _: [])
    monkeypatch.setattr(worker._Seat, "_only", made)
    return made


def test_images_that_do_not_arrive_are_the_nodes_fault(
    seat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit is given back untrained, not given up."""
    monkeypatch.setattr(worker._Seat, "_only", None)
    monkeypatch.setattr(worker.ray, "get", fail(OSError("No space left on device")), raising=False)
    back = worker.train(make_unit(), ["luggage"], None)
    assert (back.node, back.given_up) == ("n", None)
    assert back.unlike == "cannot train there (OSError: No space left on device)"


def test_a_device_that_cannot_be_taken_is_the_nodes_fault(
    seat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA says so by a RuntimeError."""
    monkeypatch.setattr(seat, "_device", torch.device("meta"), raising=False)
    monkeypatch.setattr(worker._Seat, "_take", fail(RuntimeError("CUDA error")))
    assert "CUDA error" in str(worker.train(make_unit(), ["luggage"], None).unlike)


def test_a_full_disk_is_the_nodes_fault(seat: Any, tmp_path: Path) -> None:
    """The model file cannot be written there."""
    (tmp_path / "models").touch()
    seat._settled.clear()
    back = worker.train(make_unit(), ["luggage"], None)
    assert back.given_up is None
    assert "cannot train there" in str(back.unlike)


def test_what_training_raises_is_the_units_fault(seat: Any) -> None:
    """No other node would do better."""
    assert worker.train(make_unit(), ["luggage"], None).unlike is None
    seat._worker.train = fail(OSError("no file of mine"))
    back = worker.train(make_unit(), ["luggage"], None)
    assert back.unlike is None
    assert back.given_up is not None
    assert back.given_up.hopeless
