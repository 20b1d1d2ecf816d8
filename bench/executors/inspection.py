"""Model files are looked at in a process of their own: what they do there does not reach this one.

A file that loops, ends its process, prints, or writes into the working directory is found out
before training, and costs its own iteration only.
"""

from __future__ import annotations

import os
import signal
import tempfile
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext

import torch
from msgspec import Struct

from bench.cost import INPUT_SHAPE
from bench.errors import BenchError, IterationError
from bench.executors.startup import choose_context
from bench.interruption import SIGNALS, hold_signals
from bench.iterations import Iteration
from bench.records import Cost, Shape
from bench.training.engines import EngineChoice, choose_engine
from bench.training.runs import build_network, count_iteration

LIMIT_SECONDS = 60.0
"""How long a model file may take to be imported, built and counted."""


class Inspection(Struct, frozen=True, kw_only=True):
    """What a model file is found to be: what its network costs, and which engine trains it."""

    cost: Cost
    choice: EngineChoice


def inspect_iteration(
    iteration: Iteration,
    device: torch.device,
    *,
    engine: str = "auto",
    block: int | None = None,
    shape: Shape = INPUT_SHAPE,
    limit_seconds: float = LIMIT_SECONDS,
) -> Inspection:
    """Execute an iteration's file in a process of its own and return what was found.

    The network is given images of `shape`.

    Raises:
        IterationError: the file takes too long, ends its process, or raises an error.
        EngineError: an engine or a block that is asked for does not do for the iteration.
    """
    context: BaseContext = choose_context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]
        target=_inspect, args=(theirs, iteration, device, engine, block, shape), daemon=True
    )
    try:
        with hold_signals():
            process.start()
        theirs.close()
        cost = _receive(ours, iteration, limit_seconds)
        choice = _receive(ours, iteration, None)  # the compiler takes as long as it takes
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        ours.close()
    assert isinstance(cost, Cost)  # noqa: S101
    assert isinstance(choice, EngineChoice)  # noqa: S101
    return Inspection(cost=cost, choice=choice)


def _receive(pipe: Connection, iteration: Iteration, limit_seconds: float | None) -> object:
    """Return what the process sends next, or raise what it says or does."""
    if not pipe.poll(limit_seconds):
        raise IterationError(
            f"{iteration.path}: importing, building and counting it takes longer than "
            f"{limit_seconds:g} seconds; correct it, it may loop for ever"
        )
    try:
        answer = pipe.recv()
    except EOFError:
        raise IterationError(
            f"{iteration.path}: ended its process while it was imported or built; correct it"
        ) from None
    if isinstance(answer, BenchError):
        raise answer
    return answer


def _inspect(
    pipe: Connection,
    iteration: Iteration,
    device: torch.device,
    engine: str,
    block: int | None,
    shape: Shape,
) -> None:
    _go_silent()
    with tempfile.TemporaryDirectory(prefix="bench-model-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            pipe.send(count_iteration(iteration, shape))
            network = build_network(iteration)
            pipe.send(
                choose_engine(
                    engine,
                    block,
                    iteration=iteration.name,
                    network=network,
                    recipe=iteration.recipe,
                    device=device,
                    shape=shape,
                )
            )
        except BenchError as error:
            pipe.send(error)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            pipe.send(IterationError(f"{iteration.path}: cannot be run ({reason}); correct it"))
        os.chdir("/")


def _go_silent() -> None:
    """Let nothing through to the terminal, and hear nothing from it: the parent decides."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    for interruption in SIGNALS:
        signal.signal(interruption, signal.SIG_IGN)
    # a parent that was killed cannot end this process: no file may outlive it for long
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(10 * LIMIT_SECONDS))
