"""What is found out before anything is trained: where, and by what each iteration."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import IterationError
from bench.iterations import Iteration
from bench.records import Challenge

if TYPE_CHECKING:
    import torch

    from bench.executors.cluster.machines import Machines
    from bench.executors.inspection import Inspection
    from bench.executors.processes import GivenUp


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Where and how to train, as the options of the command say."""

    device: str
    engine: str
    block: int | None
    workers: int | None
    cluster: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The device, what is found of each iteration by name, those refused, and a cluster's nodes."""

    device: torch.device
    found: dict[str, Inspection]
    refused: list[GivenUp]
    machines: Machines | None = None


def prepare(
    iterations: tuple[Iteration, ...], challenge: Challenge, options: Options, stack: ExitStack
) -> Prepared:
    """Look at the iterations here, or on the nodes of a cluster, which is left with `stack`.

    Raises:
        IterationError: none of them can be run.
        ClusterError: there is no cluster, or none of its nodes does.
    """
    from bench.executors.processes import GivenUp
    from bench.training.devices import choose_device

    if options.cluster is None:
        place = choose_device(options.device)
        found, refused = _inspect(iterations, place, options.engine, options.block, challenge)
        return Prepared(device=place, found=found, refused=refused)
    machines = _find_machines(options.cluster, iterations, challenge, options, stack)
    refused = [
        GivenUp(iteration=name, seeds=(), reason=reason, hopeless=True)
        for name, reason in machines.refused.items()
    ]
    return Prepared(
        device=machines.device, found=machines.found, refused=refused, machines=machines
    )


def _find_machines(
    address: str,
    iterations: tuple[Iteration, ...],
    challenge: Challenge,
    options: Options,
    stack: ExitStack,
) -> Machines:
    from bench.executors.cluster.connection import connect

    stack.enter_context(connect(address))
    from bench.executors.cluster.machines import find_machines  # with Ray

    return find_machines(
        iterations,
        challenge,
        device=options.device,
        engine=options.engine,
        block=options.block,
        most=options.workers,
    )


def _inspect(
    iterations: tuple[Iteration, ...],
    device: torch.device,
    engine: str,
    block: int | None,
    challenge: Challenge,
) -> tuple[dict[str, Inspection], list[GivenUp]]:
    """Return what is found of each iteration, and those whose files cannot be run.

    Raises:
        IterationError: none of them can be run.
    """
    from bench.executors.inspection import inspect_iteration
    from bench.executors.processes import GivenUp

    found: dict[str, Inspection] = {}
    refused: list[GivenUp] = []
    for iteration in iterations:
        try:
            found[iteration.name] = inspect_iteration(
                iteration,
                device,
                engine=engine,
                block=block,
                shape=challenge.shape,
                classes=len(challenge.classes),
            )
        except IterationError as error:
            if len(refused) + 1 == len(iterations):
                raise
            refused.append(
                GivenUp(iteration=iteration.name, seeds=(), reason=str(error), hopeless=True)
            )
    return found, refused
