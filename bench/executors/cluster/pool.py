"""Units of work as Ray tasks, with the accounts that a pool of processes keeps of its own."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.datasets import Dataset
from bench.errors import ClusterError
from bench.executors.cluster.connection import reaching_cluster
from bench.executors.cluster.luggage import digest_code, pack_dataset, pack_iteration
from bench.executors.cluster.machines import Machines, Node
from bench.executors.cluster.reports import Mailbox, open_letters
from bench.executors.cluster.worker import Luggage, Returned, Started, train
from bench.executors.processes import ATTEMPTS, Collected, EpochDone, GivenUp, give_up
from bench.figures import format_seconds
from bench.iterations import Iteration
from bench.records import Challenge, Run
from bench.training.runs import Unit

NODES_LOST = 10
"""How often a unit may lose the node that it is trained on before it is given up."""

ALONE_SECONDS = 3600.0
"""How long a unit may wait to have a node alone, which other people's tasks may never leave."""

_NODE_FAULTS = (
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    exceptions.TaskUnschedulableError,
)
"""What is no unit's fault: it starts again from its seeds."""


class ClusterPool:
    """Trains units on the nodes of a cluster, as many at a time as there is room for.

    A unit whose worker dies starts again, and is given up the third time. For its last attempt it
    has a node alone: what took its worker down may be what its neighbours take of the memory. One
    that loses its node has done nothing: it starts again. Where a node cannot set up the code, Ray
    does not say which: the unit is sent to one after the other, and that which fails is left out.
    With `patience_seconds`, a unit of which no epoch is reported for so long is given up, and its
    worker is killed. Once it is `out_of_time`, units that no worker has begun are taken back, and
    nothing waits for a node.
    """

    def __init__(
        self,
        machines: Machines,
        *,
        challenge: Challenge,
        dataset: Dataset,
        iterations: Iterable[Iteration],
        patience_seconds: float | None = None,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self._machines, self._patience = machines, patience_seconds
        self._out_of_time = out_of_time
        luggage = Luggage(
            code=digest_code(),
            device=machines.kind,
            challenge=challenge,
            dataset=pack_dataset(dataset),
            iterations={each.name: pack_iteration(each) for each in iterations},
        )
        self._luggage = [ray.put(luggage)]
        # a process is kept for more units, on a GPU too, where Ray would end it
        self._task = ray.remote(max_retries=0, max_calls=0)(train)
        self._mailbox = _open_mailbox()
        self._letters = self._mailbox.take.remote()
        self._units: dict[Any, Unit] = {}
        self._heard: dict[Any, float | None] = {}
        """When a unit in flight was last heard of, `None` before its worker began."""
        self._with_seed: defaultdict[tuple[str, int], set[Any]] = defaultdict(set)
        """The units in flight that train a seed: of two widths, where a block was halved."""
        self._sent_to: dict[Any, Node] = {}
        """The node of a unit in flight that is to go to no other."""
        self._reserved: dict[Any, float] = {}
        """Since when those of them wait that are to have it alone."""
        self._never_alone: set[tuple[str, tuple[int, ...]]] = set()
        self._without_code: set[tuple[str, tuple[int, ...]]] = set()
        """Units that were on a node that could not set up the code."""
        self._unbuilt: defaultdict[str, set[str]] = defaultdict(set)
        """The nodes on which an iteration's network could not be built."""
        self._deaths: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self._nodes_lost: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self._runs: list[Run] = []
        self._given_up: list[GivenUp] = []
        self._notes: list[str] = []
        self._stranded = False

    @property
    def in_flight(self) -> int:
        """Number of units handed out and not yet back."""
        return len(self._units)

    @property
    def has_room(self) -> bool:
        """Whether the nodes have room for another unit."""
        return len(self._units) < self._machines.count_slots()

    def submit(self, unit: Unit) -> None:
        """Hand a unit to the cluster, which finds a node for it."""
        key = unit.iteration.name, unit.seeds
        alone = self._deaths[key] == ATTEMPTS - 1 and key not in self._never_alone
        node = None
        if alone:
            node = self._machines.reserve()
        elif key in self._without_code:
            node = self._machines.pick()
        options = self._machines.describe_resources(node, alone=alone)
        reference = self._task.options(**options).remote(unit, self._luggage, self._mailbox)
        self._units[reference] = unit
        if node is not None:
            self._sent_to[reference] = node
            if alone:
                self._reserved[reference] = time.monotonic()
        self._heard[reference] = None
        for seed in _list_keys(unit):
            self._with_seed[seed].add(reference)

    def collect(self, *, timeout_seconds: float) -> Collected:
        """Wait for runs, at most as long as given; return them and the epochs reported since.

        Raises:
            ClusterError: the cluster cannot be reached any more.
        """
        with reaching_cluster():
            if self._units:
                ray.wait(list(self._units), num_returns=1, timeout=timeout_seconds)
            epochs = self._read_letters()
            self._take_finished()
            self._give_up_silent()
            self._share_nodes()
            if self._out_of_time():
                self._take_back_waiting()
            self._watch_nodes()
        collected = Collected(
            runs=tuple(self._runs),
            epochs=tuple(epochs),
            given_up=tuple(self._given_up),
            notes=tuple(self._notes),
        )
        self._runs, self._given_up, self._notes = [], [], []
        return collected

    def stop(self) -> tuple[Run, ...]:
        """End all workers at once and return the runs that were back and not yet collected."""
        with suppress(exceptions.RayError, ClusterError):  # lost already
            self._take_finished()
            for reference in self._units:
                ray.cancel(reference, force=True)
            ray.kill(self._mailbox)
        return tuple(self._runs)

    def _take_finished(self) -> None:
        if not self._units:
            return
        references = list(self._units)
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        for reference in done:
            node = self._sent_to.get(reference)
            unit = self._forget(reference)
            try:
                self._settle(unit, ray.get(reference))
            except _NODE_FAULTS as error:
                self._lose_node(unit, error)
            except exceptions.RuntimeEnvSetupError as error:
                self._miss_code(unit, node, error)
            except exceptions.RayError as error:
                self._lose_worker(unit, error)

    def _forget(self, reference: Any) -> Unit:
        unit = self._units.pop(reference)
        del self._heard[reference]
        for key in _list_keys(unit):
            self._with_seed[key].remove(reference)
            if not self._with_seed[key]:
                del self._with_seed[key]
        node = self._sent_to.pop(reference, None)
        if node is not None and reference in self._reserved:
            del self._reserved[reference]
            self._machines.release(node)
        return unit

    def _settle(self, unit: Unit, back: Returned) -> None:
        self._runs += back.runs
        if back.unbuilt and back.given_up is not None and self._may_be_its_fault(unit, back.node):
            self._leave_out(back.node, back.given_up.reason)
            self.submit(unit)
        elif back.given_up is not None:
            self._given_up.append(back.given_up)
        if back.unlike is not None:
            self._leave_out(back.node, back.unlike)
            self.submit(unit)

    def _may_be_its_fault(self, unit: Unit, identity: str) -> bool:
        """Note that a node could not build a network; say whether another one is worth a try.

        Where two nodes could not, the file is to blame, and where there is no other, nothing is
        gained by leaving it out.
        """
        nodes = self._unbuilt[unit.iteration.name]
        nodes.add(identity)
        others = [node for node in self._machines.nodes if node.identity != identity]
        return len(nodes) == 1 and bool(others)

    def _leave_out(self, identity: str, reason: str) -> None:
        if not self._machines.knows_out(identity):
            self._notes.append(self._machines.leave_out(identity, reason))

    def _miss_code(self, unit: Unit, node: Node | None, error: Exception) -> None:
        self._without_code.add((unit.iteration.name, unit.seeds))
        if node is not None:
            self._leave_out(node.identity, " ".join(str(error).split()))
        self.submit(unit)

    def _lose_worker(self, unit: Unit, error: exceptions.RayError) -> None:
        key = unit.iteration.name, unit.seeds
        self._deaths[key] += 1
        if self._deaths[key] < ATTEMPTS:
            self.submit(unit)
            return
        died = isinstance(error, exceptions.WorkerCrashedError | exceptions.OutOfMemoryError)
        cause = "out of memory?" if died else " ".join(str(error).split())
        reason = f"took its worker down {ATTEMPTS} times ({cause})"
        self._given_up.append(give_up(unit, reason))

    def _lose_node(self, unit: Unit, error: Exception) -> None:
        self._machines.look_again()
        key = unit.iteration.name, unit.seeds
        self._nodes_lost[key] += 1
        if self._nodes_lost[key] < NODES_LOST:
            self.submit(unit)
            return
        reason = f"lost the node that it was trained on {NODES_LOST} times, lastly by {error}"
        self._given_up.append(give_up(unit, " ".join(reason.split())))

    def _read_letters(self) -> list[EpochDone]:
        done, _ = ray.wait([self._letters], timeout=0)
        if not done:
            return []
        try:
            reports = open_letters(ray.get(self._letters))
        except exceptions.RayError:  # the mailbox starts again by itself, empty
            reports = []
        self._letters = self._mailbox.take.remote()
        epochs = []
        for report in reports:
            started = isinstance(report, Started)
            seeds = report.seeds if started else (report.seed,)
            keys = [(report.iteration, seed) for seed in seeds]
            if not all(key in self._with_seed for key in keys):
                continue  # it is back already
            for key in keys:
                self._heard.update(dict.fromkeys(self._with_seed[key], time.monotonic()))
            if not started:
                epochs.append(report)
        return epochs

    def _give_up_silent(self) -> None:
        if self._patience is None:
            return
        earliest = time.monotonic() - self._patience
        for reference, heard in list(self._heard.items()):
            if heard is not None and heard < earliest:
                ray.cancel(reference, force=True)
                unit = self._forget(reference)
                reason = (
                    f"no epoch was finished within {format_seconds(self._patience)}; it may loop "
                    "for ever, or be too slow"
                )
                self._given_up.append(give_up(unit, reason, hopeless=True))

    def _share_nodes(self) -> None:
        """Let units that have waited for too long to be alone be trained beside others."""
        earliest = time.monotonic() - ALONE_SECONDS
        for reference, since in list(self._reserved.items()):
            if since < earliest and self._heard[reference] is None:
                ray.cancel(reference, force=True)
                unit = self._forget(reference)
                self._never_alone.add((unit.iteration.name, unit.seeds))
                self.submit(unit)

    def _take_back_waiting(self) -> None:
        for reference in [each for each, heard in self._heard.items() if heard is None]:
            ray.cancel(reference, force=True)
            self._forget(reference)

    def _watch_nodes(self) -> None:
        """Say once when there is no node left."""
        stranded = not self._machines.count_slots()
        if stranded and not self._stranded:
            self._notes.append("no node is left: waiting for one to join (Ctrl-C stops waiting)")
        self._stranded = stranded


def _list_keys(unit: Unit) -> list[tuple[str, int]]:
    return [(unit.iteration.name, seed) for seed in unit.seeds]


def _open_mailbox() -> Any:
    """Start the mailbox beside the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return (
        ray.remote(Mailbox).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
    )
