"""What goes wrong on a node, in Ray or with a unit is told apart, without a cluster."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("ray")

import torch
from builders import COST, DATASET, make_iteration, make_run
from msgspec.structs import replace
from ray import exceptions

from bench.campaign import Campaign, Plan
from bench.challenges import DIGITS
from bench.datasets import load_embedded_digits
from bench.errors import IterationError
from bench.executors.cluster import machines, pool, worker
from bench.executors.cluster.luggage import PackedIteration
from bench.executors.cluster.machines import Machines, Node
from bench.executors.cluster.pool import ClusterPool
from bench.executors.cluster.worker import Finding, Returned, Started
from bench.executors.processes import GivenUp
from bench.interruption import Interruption
from bench.records import Machine
from bench.session import Session, train_campaign
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


def test_a_network_that_cannot_be_built_is_the_units_fault(
    seat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the node's, which the pool finds out: it says so, and why."""
    seat._settled.clear()
    monkeypatch.setattr(worker, "_check_fingerprint", lambda _: None)
    monkeypatch.setattr(worker, "build_network", fail(IterationError("model.py: no second time")))
    back = worker.train(make_unit(), ["luggage"], None)
    assert (back.unlike, seat._settled) == (None, {})
    assert back.given_up is not None
    assert (back.unbuilt, back.given_up.reason) == (True, "model.py: no second time")


@pytest.mark.parametrize(("kind", "times"), [("cuda", 1), ("cpu", 0)])
def test_an_idle_worker_keeps_no_memory_of_a_gpu(
    seat: Any, monkeypatch: pytest.MonkeyPatch, kind: str, times: int
) -> None:
    """Another process may be given the GPU next; it trains or fails."""
    released: list[int] = []
    monkeypatch.setattr(worker, "release_memory", lambda: released.append(1))
    monkeypatch.setattr(worker, "find_device", torch.device)
    monkeypatch.setattr(worker, "describe_conditions", lambda *_, **__: CONDITIONS)
    seat._device, seat._luggage.device = torch.device(kind), kind
    worker.train(make_unit(), ["luggage"], None)
    assert len(released) == times
    seat._worker.train = fail(RuntimeError("CUDA error"))
    worker.train(make_unit(), ["luggage"], None)
    assert len(released) == 2 * times


class FakeRay:
    """What the pool asks of Ray: tasks end as `results` says by their number."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Unit, dict[str, Any]]] = []
        self.results: dict[int, object] = {}
        self.cancelled: list[int] = []
        self.letters: list[bytes] = []

    def remote(self, *classes: object, **_: object) -> Any:
        if not classes:
            return lambda _: SimpleNamespace(options=self._prepare)
        take = SimpleNamespace(remote=lambda: "letters")
        return SimpleNamespace(
            options=lambda **_: SimpleNamespace(remote=lambda: SimpleNamespace(take=take))
        )

    def _prepare(self, **options: Any) -> Any:
        def submit(unit: Unit, *_: object) -> int:
            self.tasks.append((unit, options))
            return len(self.tasks) - 1

        return SimpleNamespace(remote=submit)

    def tell(self, *reports: object) -> None:
        self.letters.append(pickle.dumps(reports))

    def put(self, _: object) -> str:
        return "luggage"

    def wait(self, references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        done = [each for each in references if each in self.results or each == "letters"]
        return done, [each for each in references if each not in done]

    def get(self, reference: Any) -> object:
        if reference == "letters":
            letters, self.letters = self.letters, []
            return letters
        if isinstance(result := self.results[reference], Exception):
            raise result
        return result

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force
        self.cancelled.append(reference)

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)


class Bench:
    """A pool on nodes of four cores, `a` and `b`, without a Ray below it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ray, self.out_of_time = FakeRay(), False
        self.nodes = [Node(identity=56 * name, name=name, cores=4, gpus=0) for name in "ab"]
        monkeypatch.setattr(pool, "ray", self.ray)
        monkeypatch.setattr(pool, "digest_code", lambda: "code")
        monkeypatch.setattr(machines, "list_nodes", lambda: tuple(self.nodes))
        monkeypatch.setattr(machines, "REFRESH_SECONDS", -1.0)
        answer = machines.Answer(node=self.nodes[0], finding=Finding())
        self.pool = ClusterPool(
            Machines([answer], kind="cpu", most=None),
            challenge=DIGITS,
            dataset=load_embedded_digits(),
            iterations=[],
            patience_seconds=60,
            out_of_time=lambda: self.out_of_time,
        )

    def collect(self) -> Any:
        return self.pool.collect(timeout_seconds=0)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_out_of_time_what_no_worker_has_begun_is_taken_back(bench: Bench) -> None:
    """It is not given up; what is being trained is waited for, though no node takes part."""
    bench.pool.submit(make_unit(0))
    bench.pool.submit(make_unit(1))
    bench.ray.tell(Started(iteration="model", seeds=(0,)))
    assert bench.collect().given_up == ()
    assert bench.pool.in_flight == 2
    bench.out_of_time, bench.nodes = True, []
    assert bench.collect().given_up == ()
    assert (bench.pool.in_flight, bench.ray.cancelled) == (1, [1])


def test_out_of_time_a_unit_that_lost_its_node_is_taken_back(bench: Bench) -> None:
    """It would wait for another node for ever."""
    bench.pool.submit(make_unit(0))
    bench.ray.tell(Started(iteration="model", seeds=(0,)))
    bench.collect()
    bench.out_of_time, bench.nodes = True, []
    bench.ray.results[0] = exceptions.NodeDiedError("node died")
    assert bench.collect().given_up == ()
    assert bench.pool.in_flight == 0


def test_the_last_attempt_has_a_node_alone(bench: Bench) -> None:
    """Others go past it; where it ends well, its neighbours were to blame."""
    bench.pool.submit(make_unit(0))
    for attempt in range(2):
        bench.ray.results[attempt] = exceptions.OutOfMemoryError("the node is low on memory")
        assert bench.collect().given_up == ()
    _, options = bench.ray.tasks[2]
    assert options["num_cpus"] == 4
    place = options["scheduling_strategy"]
    assert (place.node_id, place.soft) == (56 * "a", False)

    for seed in range(1, 5):
        assert bench.pool.has_room
        bench.pool.submit(make_unit(seed))
        _, options = bench.ray.tasks[-1]
        place = options["scheduling_strategy"]
        assert (options["num_cpus"], place.node_id, place.soft) == (1, 56 * "b", True)
    assert not bench.pool.has_room

    bench.ray.results[2] = Returned(node="a")
    assert bench.collect().given_up == ()
    assert bench.pool.in_flight == 4
    bench.pool.submit(make_unit(5))
    assert bench.ray.tasks[-1][1] == {"num_cpus": 1, "num_gpus": 0}


def test_a_node_that_others_never_leave_is_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a shared cluster: after an hour the last attempt is one beside others."""
    now = 0.0
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: now))
    bench.pool.submit(make_unit(0))
    for attempt in range(2):
        bench.ray.results[attempt] = exceptions.WorkerCrashedError()
        bench.collect()
    now = pool.ALONE_SECONDS
    bench.collect()
    assert bench.ray.cancelled == []
    now += 1
    bench.collect()
    assert bench.ray.cancelled == [2]
    assert bench.ray.tasks[3][1] == {"num_cpus": 1, "num_gpus": 0}
    bench.ray.results[3] = exceptions.WorkerCrashedError()
    assert len(bench.collect().given_up) == 1


def test_a_unit_that_dies_alone_is_given_up(bench: Bench) -> None:
    """The third time; the node is for all again."""
    bench.nodes.pop()
    bench.pool.submit(make_unit(0))
    for attempt in range(3):
        bench.ray.results[attempt] = exceptions.WorkerCrashedError()
        failures = bench.collect().given_up
        assert bench.pool.has_room == (attempt != 1)
    assert [failure.reason for failure in failures] == [
        "took its worker down 3 times (out of memory?)"
    ]
    assert bench.pool.in_flight == 0


def test_a_node_that_cannot_set_up_the_code_is_found_and_left_out(bench: Bench) -> None:
    """Ray does not say which: units go to one after the other, and none is given up."""
    error = exceptions.RuntimeEnvSetupError("no space left")
    bench.pool.submit(make_unit(0))
    bench.ray.results[0] = error
    assert bench.collect().notes == ()
    bench.ray.results[1] = error
    (note,) = bench.collect().notes
    assert note == "node b is left out: Failed to set up runtime environment. no space left"
    places = [options["scheduling_strategy"] for _, options in bench.ray.tasks[1:]]
    assert [place.node_id for place in places] == [56 * "b", 56 * "a"]
    assert not any(place.soft for place in places)
    bench.ray.results[2] = Returned(node=56 * "a")
    assert bench.collect().given_up == ()
    assert bench.pool._machines.count_slots() == 4


def test_no_unit_is_given_up_for_code_that_is_not_set_up(bench: Bench) -> None:
    """Though no node is left: one may join."""
    bench.pool.submit(make_unit(0))
    notes: list[str] = []
    for attempt in range(12):
        bench.ray.results[attempt] = exceptions.RuntimeEnvSetupError("no space left")
        collected = bench.collect()
        assert collected.given_up == ()
        notes += collected.notes
    assert [note.split(":")[0] for note in notes] == [
        "node b is left out", "node a is left out", "no node is left",
    ]  # fmt: skip


def test_two_widths_of_the_same_seeds_are_watched_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block was halved while another was in flight: one is back, the other falls silent."""
    now = 0.0
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: now))
    bench.pool.submit(make_unit(0, 1, 2, 3))
    bench.pool.submit(make_unit(0, 1))
    bench.ray.tell(Started(iteration="model", seeds=(0, 1, 2, 3)))
    assert bench.collect().given_up == ()
    bench.ray.results[0] = Returned(node=56 * "a")
    assert bench.collect().given_up == ()
    bench.ray.tell(Started(iteration="model", seeds=(0, 1)))
    assert bench.collect().given_up == ()
    now = 61.0
    (failure,) = bench.collect().given_up
    assert failure.seeds == (0, 1)
    assert (bench.pool.in_flight, bench.ray.cancelled) == (0, [1])
    bench.pool.submit(make_unit(0, 1))
    bench.out_of_time = True
    bench.collect()
    assert bench.pool.in_flight == 0


@pytest.mark.parametrize("engines", [["native"], ["native", "eager"], []])
def test_that_other_nodes_trained_what_is_recorded_is_said(
    tmp_path: Path, engines: list[str]
) -> None:
    """After a restart another group of nodes may be the largest; with a run of its own, nothing."""
    iteration = make_iteration(name="model")
    runs = [
        make_run(iteration="model", challenge=DIGITS, conditions=replace(CONDITIONS, engine=engine))
        for engine in engines
    ]
    session: Any = Session(
        iterations=(iteration,),
        challenge=DIGITS,
        dataset=load_embedded_digits(),
        device=CPU,
        engines={},
        costs={},
        workers=1,
        ledger=tmp_path,
        machines=cast(Any, object()),
    )
    campaign = Campaign(
        (iteration,),
        DIGITS,
        Plan(seeds=(), until_decided=False, time_budget_seconds=None),
        conditions={"model": CONDITIONS},
        datasets={DATASET},
        recorded=runs,
    )
    notes: list[str] = []
    progress: Any = SimpleNamespace(note=notes.append)
    train_campaign(session, campaign, progress, Interruption())
    assert len(notes) == (engines == ["native"])
    assert all(f"({runs[0].conditions}) than these nodes' ({CONDITIONS})" in line for line in notes)


def test_a_unit_that_loses_its_node_again_and_again_is_given_up(bench: Bench) -> None:
    """Not before the tenth time: what its worker does is not asked."""
    bench.pool.submit(make_unit(0))
    for attempt in range(pool.NODES_LOST):
        assert bench.pool.in_flight == 1
        bench.ray.results[attempt] = exceptions.NodeDiedError("it was shut down")
        failures = bench.collect().given_up
        assert len(failures) == (attempt == pool.NODES_LOST - 1)
    assert failures[0].reason.startswith("lost the node that it was trained on 10 times, lastly by")
    assert not failures[0].hopeless
    assert bench.pool.in_flight == 0


def test_a_network_that_two_nodes_cannot_build_is_the_files_fault(bench: Bench) -> None:
    """The first node is left out, since it may lack a package; the second ends the iteration."""
    reason = GivenUp(iteration="model", seeds=(0,), reason="no such package", hopeless=True)
    bench.pool.submit(make_unit(0))
    bench.ray.results[0] = Returned(node=bench.nodes[0].identity, given_up=reason, unbuilt=True)
    first = bench.collect()
    assert (first.given_up, bench.pool.in_flight) == ((), 1)
    assert "no such package" in " ".join(first.notes)
    bench.ray.results[1] = Returned(node=bench.nodes[1].identity, given_up=reason, unbuilt=True)
    second = bench.collect()
    assert (second.given_up, second.notes, bench.pool.in_flight) == ((reason,), (), 0)


def test_the_only_node_that_cannot_build_a_network_goes_on_with_others(bench: Bench) -> None:
    """Without it, nothing would be trained any more."""
    bench.nodes = bench.nodes[:1]
    reason = GivenUp(iteration="model", seeds=(0,), reason="no such package", hopeless=True)
    bench.pool.submit(make_unit(0))
    bench.ray.results[0] = Returned(node=bench.nodes[0].identity, given_up=reason, unbuilt=True)
    assert bench.collect().given_up == (reason,)
    assert bench.pool.has_room


def test_that_no_node_is_left_is_said_once(bench: Bench) -> None:
    """And again only after one was there."""
    nodes, line = bench.nodes, "no node is left: waiting for one to join (Ctrl-C stops waiting)"
    bench.pool.submit(make_unit(0))
    said = []
    for there in ([], [], nodes, []):
        bench.nodes = there
        said.append(bench.collect().notes)
    assert said == [(line,), (), (), (line,)]
    assert not bench.pool.has_room
