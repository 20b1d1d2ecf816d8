"""What runs on the nodes of a cluster, as Ray tasks: a look at a node, and units of work.

What may move accuracies is found out where a unit is trained, and a unit that would be trained
under other conditions than the driver's is given back untrained.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import ray
import torch
from msgspec import Struct
from torch import nn

from bench.errors import BenchError, ClusterError, IterationError
from bench.executors.cluster.luggage import (
    PackedDataset,
    PackedIteration,
    check_code,
    unpack_dataset,
    unpack_iteration,
)
from bench.executors.cluster.reports import Sender
from bench.executors.inspection import Inspection, inspect_iteration
from bench.executors.processes import GivenUp, Worker, explain_failure, go_quiet
from bench.foreign import change_epochs
from bench.iterations import Iteration
from bench.records import Challenge, Conditions, Run, Shape
from bench.training.allocator import keep_freed_memory
from bench.training.devices import choose_device, describe_conditions, describe_machine
from bench.training.engines import choose_engine
from bench.training.runs import Trainer, Unit, build_network, release_memory


class Inquiry(Struct, frozen=True, kw_only=True):
    """What a node is asked: what it would train iterations with. `code` is a digest of ours."""

    iterations: tuple[PackedIteration, ...]
    code: str
    device: str
    engine: str
    block: int | None
    shape: Shape
    classes: int


class Finding(Struct, frozen=True, kw_only=True):
    """What a node answers, by the names of the iterations; paths are the driver's.

    `refusals` says of iterations why they cannot be trained there, `failure` of the node why it
    trains none, `mismatch` that it has other code than the driver.
    """

    inspections: dict[str, Inspection] = {}
    conditions: dict[str, Conditions] = {}
    refusals: dict[str, str] = {}
    failure: str | None = None
    mismatch: str | None = None


class Luggage(Struct, frozen=True, kw_only=True):
    """What a worker needs for all units of a campaign; it lies in each node's memory once."""

    code: str
    device: str
    challenge: Challenge
    dataset: PackedDataset
    iterations: dict[str, PackedIteration]


class Started(Struct, frozen=True, kw_only=True):
    """A worker's report that it has begun to train a unit."""

    iteration: str
    seeds: tuple[int, ...]


class Returned(Struct, frozen=True, kw_only=True):
    """What becomes of a unit: its runs, or why it is given up, or why the node does not do.

    `unbuilt` says that its network could not even be built: the node may be at fault, or the file.
    """

    node: str
    runs: tuple[Run, ...] = ()
    given_up: GivenUp | None = None
    unlike: str | None = None
    unbuilt: bool = False


def look(inquiry: Inquiry) -> Finding:
    """Find out on a node what it would train iterations with, compiling what is compiled."""
    try:
        check_code(inquiry.code)
        with tempfile.TemporaryDirectory(prefix="bench-look-") as folder:
            return _look(inquiry, find_device(inquiry.device), Path(folder))
    except ClusterError as error:
        return Finding(mismatch=str(error))
    except BenchError as error:
        return Finding(failure=str(error))


def _look(inquiry: Inquiry, device: torch.device, folder: Path) -> Finding:
    finding = Finding(inspections={}, conditions={}, refusals={})
    for packed in inquiry.iterations:
        name, path = packed.iteration.name, packed.iteration.path
        iteration = unpack_iteration(packed, folder)
        _check_fingerprint(iteration)
        try:
            found = inspect_iteration(
                iteration,
                device,
                engine=inquiry.engine,
                block=inquiry.block,
                shape=inquiry.shape,
                classes=inquiry.classes,
            )
        except IterationError as error:
            finding.refusals[name] = str(error).replace(str(iteration.path), str(path))
            continue
        finding.inspections[name] = msgspec.structs.replace(
            found, iteration=replace(found.iteration, path=path)
        )
        finding.conditions[name] = describe_conditions(
            device,
            iteration.recipe.precision,
            engine=found.choice.engine,
            block=found.choice.block,
        )
    return finding


def _check_fingerprint(iteration: Iteration) -> None:
    now = change_epochs(iteration, epochs=iteration.recipe.epochs).fingerprint
    if now != iteration.fingerprint:
        raise ClusterError(
            f"computes the fingerprint {now[:12]} for {iteration.name}, and the driver "
            f"{iteration.fingerprint[:12]}"
        )


def train(unit: Unit, luggage: list[Any], mailbox: Any) -> Returned:
    """Train a unit in this process, which is kept for the next one.

    `luggage` holds one reference: an argument that is a reference itself would be fetched anew for
    each unit.
    """
    node = ray.get_runtime_context().get_node_id()
    try:
        seat = _Seat.find(luggage, mailbox)
        return Returned(node=node, runs=tuple(seat.train(unit)))
    except ClusterError as error:
        return Returned(node=node, unlike=str(error))
    except _Unbuilt as error:
        return Returned(node=node, given_up=explain_failure(unit, error.cause), unbuilt=True)
    except (Exception, SystemExit) as error:  # whatever a model file raises is the unit's
        return Returned(node=node, given_up=explain_failure(unit, error))


def find_device(kind: str) -> torch.device:
    """Return the device that Ray has given to this task.

    Raises:
        DeviceError: a GPU is wanted, and torch sees none.
    """
    device = choose_device(kind)
    given = ray.get_gpu_ids() if device.type == "cuda" else []
    if not given:
        return device
    return torch.device("cuda", find_place(str(given[0]), os.environ.get("CUDA_VISIBLE_DEVICES")))


def find_place(gpu: str, visible: str | None) -> int:
    """Return where torch counts a GPU by Ray's name for it, a number or a UUID."""
    return visible.split(",").index(gpu) if visible else int(gpu)


class _Unbuilt(Exception):  # noqa: N818  (told apart, never shown)
    """A model file raised `cause` where its network was to be built."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Seat:
    """What a worker process holds between units."""

    _only: _Seat | None = None

    def __init__(self, luggage: Luggage, mailbox: Any) -> None:
        check_code(luggage.code)
        self._luggage = luggage
        # Ray ends a worker without a word: what is left lies where the session's logs are
        self._folder = Path(tempfile.mkdtemp(prefix="bench-worker-", dir=_find_session_folder()))
        scratch = self._folder / "scratch"
        scratch.mkdir()
        os.chdir(scratch)  # what a model file writes where it runs is no file of the user's
        go_quiet()
        keep_freed_memory()
        torch.set_num_threads(1)
        self._dataset = unpack_dataset(luggage.dataset)
        self._sender = Sender(mailbox)
        self._settled: dict[str, Iteration] = {}
        self._take(find_device(luggage.device))

    @classmethod
    def find(cls, luggage: list[Any], mailbox: Any) -> _Seat:
        """Return that of this process, on the device that its task was given.

        Raises:
            ClusterError: this node has other code, other images, no such device, or a fault.
        """
        with _blaming_node():
            if cls._only is None:
                cls._only = cls(ray.get(luggage[0]), mailbox)
            seat = cls._only
            device = find_device(seat._luggage.device)
            if device != seat._device:
                seat._take(device)
            return seat

    def _take(self, device: torch.device) -> None:
        """Train on a device from now on, and leave nothing on the one before."""
        release_memory()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        self._device, self._machine = device, describe_machine(device)
        trainer = Trainer(self._luggage.challenge, None, device, dataset=self._dataset)
        self._worker = Worker(trainer, self._sender, 1)

    def train(self, unit: Unit) -> list[Run]:
        self._sender.put(Started(iteration=unit.iteration.name, seeds=unit.seeds))
        iteration = self._settle(unit)
        # a copy of the code has no history: the driver's is that of the code
        commit, dirty = unit.machine.commit, unit.machine.dirty
        machine = msgspec.structs.replace(self._machine, commit=commit, dirty=dirty)
        try:
            return self._worker.train(replace(unit, iteration=iteration, machine=machine))
        finally:
            if self._device.type == "cuda":  # Ray may give the GPU to another process next
                release_memory()

    def _settle(self, unit: Unit) -> Iteration:
        """Return the iteration as it is here, once it is sure to be trained as the driver expects.

        Raises:
            ClusterError: this node trains it under other conditions, has other code or a fault.
            _Unbuilt: its file raises an error when its network is built.
        """
        name = unit.iteration.name
        if name not in self._settled:
            packed = self._luggage.iterations[name]
            with _blaming_node():
                iteration = unpack_iteration(packed, self._folder / "models")
                _check_fingerprint(iteration)
            try:
                network = build_network(iteration)
            except (Exception, SystemExit) as error:
                raise _Unbuilt(error) from error
            with _blaming_node():
                self._check_engine(iteration, network, unit.conditions.engine)
            self._settled[name] = iteration
        with _blaming_node():
            here = describe_conditions(
                self._device,
                unit.iteration.recipe.precision,
                engine=unit.conditions.engine,
                block=unit.conditions.block,
            )
        if here != unit.conditions:
            raise ClusterError(f"trains {name} under other conditions ({here})")
        return self._settled[name]

    def _check_engine(self, iteration: Iteration, network: nn.Module, engine: str) -> None:
        choose_engine(
            engine,
            None,
            iteration=iteration.name,
            network=network,
            recipe=iteration.recipe,
            device=self._device,
            shape=self._luggage.challenge.shape,
        )


@contextmanager
def _blaming_node() -> Iterator[None]:
    """Take whatever goes wrong before training for a fault of this node: others do not have it.

    Raises:
        ClusterError: something went wrong.
    """
    try:
        yield
    except BenchError as error:
        raise ClusterError(str(error)) from error
    except Exception as error:
        raise ClusterError(f"cannot train there ({type(error).__name__}: {error})") from error


def _find_session_folder() -> str | None:
    """Return where Ray keeps what belongs to its session, `None` where it does not say."""
    node = getattr(ray._private.worker, "_global_node", None)
    return node.get_session_dir_path() if node is not None else None
