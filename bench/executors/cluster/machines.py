"""The nodes of a cluster that train alike, found by asking each of them what it would do.

Runs under unlike conditions are never pooled, and seeds count without a gap: so those nodes train
that have the most room under equal conditions, and the others are left out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.errors import ClusterError, IterationError
from bench.executors.cluster.connection import reaching_cluster
from bench.executors.cluster.luggage import digest_code, pack_iteration
from bench.executors.cluster.worker import Finding, Inquiry, look
from bench.executors.inspection import Inspection
from bench.iterations import Iteration
from bench.records import Challenge, Conditions

LOOK_SECONDS = 600
"""How long the faster half of the nodes may take to answer, networks compiled."""
LATE_SECONDS = 60
"""How much longer the others may take."""
REFRESH_SECONDS = 5.0
"""How often the cluster is asked for its nodes: those that join get units then."""

NODE_LABEL = "ray.io/node-id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A living node as the cluster lists it, with what it offers to tasks."""

    identity: str
    name: str
    cores: int
    gpus: int

    def count_slots(self, device: str) -> int:
        """Return how many units a node trains at a time: one a GPU, or one a core."""
        return min(self.gpus, self.cores) if device == "cuda" else self.cores


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a node found."""

    node: Node
    finding: Finding

    def is_like(self, other: Answer) -> bool:
        """Say whether two nodes train the same iterations, each under the same conditions."""
        mine, theirs = self.finding, other.finding
        return mine.conditions == theirs.conditions and all(
            found.iteration.adaptation == theirs.inspections[name].iteration.adaptation
            for name, found in mine.inspections.items()
        )


def list_nodes() -> tuple[Node, ...]:
    """Return the living nodes of the cluster, by name.

    Raises:
        ClusterError: the cluster cannot be reached.
    """
    with reaching_cluster():
        entries = ray.nodes()
    nodes = [
        Node(
            identity=entry["NodeID"],
            name=f"{entry['NodeManagerHostname']} ({entry['NodeID'][:8]})",
            cores=int(entry["Resources"].get("CPU", 0)),
            gpus=int(entry["Resources"].get("GPU", 0)),
        )
        for entry in entries
        if entry["Alive"]
    ]
    return tuple(sorted(nodes, key=lambda node: node.name))


def choose_kind(asked: str, nodes: Iterable[Node]) -> str:
    """Return the kind of device that trains, `cpu` or `cuda`: GPUs where there are any."""
    if asked != "auto":
        return asked
    return "cuda" if any(node.count_slots("cuda") for node in nodes) else "cpu"


class Machines:
    """Nodes that train alike. `found` and `conditions` are by the names of the iterations.

    `refused` says why iterations cannot be trained, `notes` which nodes do not take part and why.
    `most` is how many units are trained at a time at most, `None` for as many as there is room for.
    """

    def __init__(self, group: Sequence[Answer], *, kind: str, most: int | None) -> None:
        first = group[0].finding
        self.kind, self.device, self.most = kind, torch.device(kind), most
        self.found: dict[str, Inspection] = first.inspections
        self.conditions: dict[str, Conditions] = first.conditions
        self.refused: dict[str, str] = first.refusals
        self.notes: list[str] = []
        self._left_out: dict[str, str] = {}
        self._reserved: Counter[str] = Counter()
        self._turn = 0
        self._nodes: tuple[Node, ...] = ()
        self._asked = float("-inf")

    def __str__(self) -> str:
        count = len(self.nodes)
        what = "GPU node" if self.kind == "cuda" else "node"
        return f"{count} {what}{'' if count == 1 else 's'}"

    def leave_out(self, identity: str, reason: str) -> str:
        """Give a node no more units; return a line that says so."""
        names = {node.identity: node.name for node in list_nodes()}
        name = names.get(identity, identity[:8])
        self._left_out[identity] = name
        self.look_again()
        return f"node {name} is left out: {reason}"

    def knows_out(self, identity: str) -> bool:
        """Say whether a node is left out."""
        return identity in self._left_out

    def look_again(self) -> None:
        """Ask the cluster for its nodes at the next look."""
        self._asked = float("-inf")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The living nodes that take part; those that joined lately are among them."""
        if time.monotonic() > self._asked + REFRESH_SECONDS:
            self._asked = time.monotonic()
            self._nodes = tuple(
                node
                for node in list_nodes()
                if node.count_slots(self.kind) and not self.knows_out(node.identity)
            )
        return self._nodes

    def count_slots(self) -> int:
        """Return how many units can be trained at a time; a node that is reserved trains one."""
        slots = sum(
            1 if self._reserved[node.identity] else node.count_slots(self.kind)
            for node in self.nodes
        )
        return slots if self.most is None else min(slots, self.most)

    def reserve(self) -> Node | None:
        """Keep the largest node for a unit that is to be alone; `None` where there is no node."""
        node = max(
            self.nodes,
            key=lambda node: (-self._reserved[node.identity], node.count_slots(self.kind)),
            default=None,
        )
        if node is not None:
            self._reserved[node.identity] += 1
        return node

    def pick(self) -> Node | None:
        """Return one node after the other; `None` where there is no node."""
        self._turn += 1
        return self.nodes[self._turn % len(self.nodes)] if self.nodes else None

    def release(self, node: Node) -> None:
        """Keep a node no longer."""
        self._reserved[node.identity] -= 1

    def describe_resources(self, node: Node | None = None, *, alone: bool) -> dict[str, Any]:
        """Return what a unit needs and where it may go, as options of a Ray task.

        With a `node`, only there; one that is to be `alone` needs all its cores, and those that may
        go anywhere go past it.
        """
        needs: dict[str, Any] = {"num_cpus": 1, "num_gpus": int(self.kind == "cuda")}
        if node is not None:
            place = NodeAffinitySchedulingStrategy(node.identity, soft=False)
            cores = node.cores if alone else 1
            return needs | {"num_cpus": cores, "scheduling_strategy": place}
        if places := self._list_places():
            self._turn += 1
            # no label would do: it would bar the unit from the node for good
            place = NodeAffinitySchedulingStrategy(places[self._turn % len(places)], soft=True)
            return needs | {"scheduling_strategy": place}
        if self._left_out:
            needs["label_selector"] = {NODE_LABEL: f"!in({','.join(self._left_out)})"}
        return needs

    def _list_places(self) -> list[str]:
        """Return the nodes beside those that are reserved, one place a slot; none if none is."""
        if not self._reserved.total():
            return []
        free = [node for node in self.nodes if not self._reserved[node.identity]]
        return [node.identity for node in free for _ in range(node.count_slots(self.kind))]


def find_machines(
    iterations: Sequence[Iteration],
    challenge: Challenge,
    *,
    device: str,
    engine: str,
    block: int | None,
    most: int | None,
) -> Machines:
    """Ask all nodes of the cluster what they would train with; choose those that train alike.

    `device`, `engine` and `block` are as the options of `bench run`.

    Raises:
        ClusterError: no node can train, or one has other code.
        IterationError: no iteration can be trained.
    """
    nodes = list_nodes()
    kind = choose_kind(device, nodes)
    able = [node for node in nodes if node.count_slots(kind)]
    if not able:
        raise ClusterError(
            f"--device {device}: none of the cluster's {len(nodes)} nodes offers "
            f"{'a GPU and a core' if kind == 'cuda' else 'a core'}; start one that does"
        )
    inquiry = Inquiry(
        iterations=tuple(pack_iteration(iteration) for iteration in iterations),
        code=digest_code(),
        device=kind,
        engine=engine,
        block=block,
        shape=challenge.shape,
        classes=len(challenge.classes),
    )
    answers = _ask(able, inquiry)
    group = choose_group(answers, kind)
    machines = Machines(group, kind=kind, most=most)
    for answer in answers:
        if answer not in group:
            line = machines.leave_out(answer.node.identity, explain_difference(answer, group[0]))
            machines.notes.append(line)
    late = {node.name for node in able} - {answer.node.name for answer in answers}
    machines.notes += [f"node {name} has not answered yet" for name in sorted(late)]
    return machines


def choose_group(answers: Sequence[Answer], kind: str) -> list[Answer]:
    """Return the answers of nodes that train alike and have the most room together.

    Raises:
        ClusterError: no node can train, or one has other code.
        IterationError: no iteration can be trained.
    """
    for answer in answers:
        if answer.finding.mismatch is not None:
            raise ClusterError(
                f"--cluster: node {answer.node.name} {answer.finding.mismatch}; install the same "
                "release there, or none"
            )
    groups: list[list[Answer]] = []
    for answer in answers:
        if answer.finding.conditions:
            alike = next((group for group in groups if answer.is_like(group[0])), None)
            if alike is None:
                groups.append([answer])
            else:
                alike.append(answer)
    if not groups:
        raise _explain_none(answers)
    return max(groups, key=lambda group: sum(each.node.count_slots(kind) for each in group))


def _explain_none(answers: Sequence[Answer]) -> ClusterError | IterationError:
    for answer in answers:
        for reason in answer.finding.refusals.values():
            return IterationError(reason)
    for answer in answers:
        return ClusterError(f"--cluster: node {answer.node.name}: {answer.finding.failure}")
    return ClusterError("--cluster: no node has answered in time; see `ray status`")


def explain_difference(answer: Answer, chosen: Answer) -> str:
    """Say why a node is not among those that train."""
    finding = answer.finding
    if finding.failure is not None:
        return finding.failure
    for name, wanted in chosen.finding.conditions.items():
        if name in finding.refusals:
            return finding.refusals[name]
        if finding.conditions[name] != wanted:
            return (
                f"it would train {name} under other conditions ({finding.conditions[name]}), whose "
                "runs are never pooled with the others'"
            )
    return "other packages are installed there, and model files are read otherwise"


def _ask(nodes: Sequence[Node], inquiry: Inquiry) -> list[Answer]:
    """Return the answers that come in time, in the order of the nodes."""
    # the process ends with the question: it has started others to look at files in
    task = ray.remote(max_calls=1, max_retries=0)(look)
    gpus = int(inquiry.device == "cuda")
    asked = {
        task.options(
            num_cpus=0,
            num_gpus=gpus,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.identity, soft=False),
        ).remote(inquiry): node
        for node in nodes
    }
    references = list(asked)
    ray.wait(references, num_returns=(len(asked) + 1) // 2, timeout=LOOK_SECONDS)
    done, late = ray.wait(references, num_returns=len(asked), timeout=LATE_SECONDS)
    for reference in late:
        ray.cancel(reference, force=True)
    answers = []
    for reference in done:
        try:
            answers.append(Answer(node=asked[reference], finding=ray.get(reference)))
        except RayError as error:
            reason = " ".join(str(error).split())
            answers.append(Answer(node=asked[reference], finding=Finding(failure=reason)))
    return sorted(answers, key=lambda answer: answer.node.name)
