"""Model files are looked at in a process of their own: what they do there does not reach this one.

A file that loops, ends its process, prints, or writes into the working directory is found out
before training, and costs its own iteration only.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import torch
from msgspec import Struct
from torch import nn

from bench.cost import INPUT_SHAPE
from bench.errors import BenchError, IterationError, UnansweredError
from bench.executors.dependencies import find_uncovered, list_opened
from bench.executors.examination import examine, explain
from bench.executors.intrusions import find_change, take_snapshot
from bench.executors.startup import choose_context, start_early
from bench.figures import format_count
from bench.foreign.sources import find_source
from bench.interruption import SIGNALS, hold_signals
from bench.iterations import Iteration
from bench.records import Cost, Shape
from bench.structure import Structure, describe_structure
from bench.training.engines import EngineChoice, choose_engine
from bench.training.runs import build_network, count_iteration, network_builder

LIMIT_SECONDS = 60.0
"""How long a model file may take to be imported, built and counted."""

CLASSES = 10
_NAMED_FILES = 3


Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class Inspection(Struct, frozen=True, kw_only=True):
    """What a model file is found to be: what its network costs, and which engine trains it.

    `iteration` is what is trained: the one that was inspected, adapted if it needs to be. `notes`
    are sentences, without a subject, on what the file did and what had to be done to it.
    `structure` is what instructors mark of the network, `None` where it cannot be watched;
    `shapes` are its parameters' names and shapes, in order.
    """

    cost: Cost
    choice: EngineChoice
    iteration: Iteration
    notes: tuple[str, ...]
    structure: Structure | None = None
    shapes: Shapes = ()


class _Looked(Struct, frozen=True, kw_only=True):
    """What the process has found before an engine is chosen."""

    cost: Cost
    iteration: Iteration
    notes: tuple[str, ...]
    structure: Structure | None
    shapes: Shapes


class _Warning(Struct, frozen=True):
    """What the process is about to do, should it not come back."""

    text: str


class _Done(Struct, frozen=True, kw_only=True):
    choice: EngineChoice
    notes: tuple[str, ...]


def inspect_iteration(
    iteration: Iteration,
    device: torch.device,
    *,
    engine: str = "auto",
    block: int | None = None,
    shape: Shape = INPUT_SHAPE,
    limit_seconds: float = LIMIT_SECONDS,
    classes: int = CLASSES,
) -> Inspection:
    """Execute an iteration's file in a process of its own and return what was found.

    `shape` is that of one image of the dataset: channels, rows, columns.

    Raises:
        UnansweredError: the file takes too long, or its process ends.
        IterationError: the file raises an error, or its network does not do for such images.
        EngineError: an engine or a block that is asked for does not do for the iteration.
    """
    start_early()
    context: BaseContext = choose_context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]
        target=_inspect,
        args=(theirs, iteration, device, engine, block, shape, classes),
        daemon=True,
    )
    try:
        with hold_signals():
            process.start()
        theirs.close()
        looked = _receive(ours, iteration, limit_seconds)
        done = _receive(ours, iteration, None)  # the compiler takes as long as it takes
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        ours.close()
    assert isinstance(looked, _Looked)  # noqa: S101
    assert isinstance(done, _Done)  # noqa: S101
    return Inspection(
        cost=looked.cost,
        choice=done.choice,
        iteration=looked.iteration,
        notes=(*looked.notes, *done.notes),
        structure=looked.structure,
        shapes=looked.shapes,
    )


def _receive(pipe: Connection, iteration: Iteration, limit_seconds: float | None) -> object:
    """Return what the process sends next, or raise what it says or does."""
    end = None if limit_seconds is None else time.monotonic() + limit_seconds
    warned = ""
    while True:
        if not pipe.poll(None if end is None else max(0.0, end - time.monotonic())):
            raise UnansweredError(
                f"{iteration.label}: importing, building and counting it takes longer than "
                f"{limit_seconds:g} seconds; correct it, it may loop for ever{warned}"
            )
        try:
            answer = pipe.recv()
        except EOFError:
            raise UnansweredError(
                f"{iteration.label}: ended its process while it was imported or built; correct it"
                f"{warned}"
            ) from None
        if isinstance(answer, BenchError):
            raise answer
        if not isinstance(answer, _Warning):
            return answer
        warned = f" ({answer.text})"


def _inspect(
    pipe: Connection,
    iteration: Iteration,
    device: torch.device,
    engine: str,
    block: int | None,
    shape: Shape,
    classes: int,
) -> None:
    output = _go_silent()
    with tempfile.TemporaryDirectory(prefix="bench-model-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            looked = _look(pipe, iteration, shape, classes)
            pipe.send(looked)
            network = build_network(looked.iteration)
            choice = choose_engine(
                engine,
                block,
                iteration=iteration.name,
                network=network,
                recipe=iteration.recipe,
                device=device,
                shape=shape,
            )
            choice = _excuse(choice, looked.iteration)
            pipe.send(_Done(choice=choice, notes=(*output.describe(), *_describe_files(folder))))
        except BenchError as error:
            pipe.send(error)
        except BaseException as error:
            pipe.send(
                IterationError(f"{iteration.label}: cannot be run ({explain(error)}); correct it")
            )
        os.chdir("/")


def _excuse(choice: EngineChoice, iteration: Iteration) -> EngineChoice:
    """Say why a network is trained by the engine it is, where that is how it is fed or read."""
    adaptation = iteration.adaptation
    if choice.notice is None or adaptation is None or not adaptation.changes_images:
        return choice
    notice = (
        f"{iteration.name} trains with the {choice.engine} engine: the faster one takes no network "
        "whose images are changed for it"
    )
    return replace(choice, notice=notice)


def _look(pipe: Connection, iteration: Iteration, shape: Shape, classes: int) -> _Looked:
    notes: tuple[str, ...] = ()
    before = take_snapshot()
    if iteration.origin is not None:
        with list_opened() as opened:
            examined = examine(iteration, shape, classes, lambda text: pipe.send(_Warning(text)))
        _check_covered(iteration, opened)
        iteration, notes = examined.iteration, examined.notes
    else:
        notes = _describe_seeding(iteration)
    looked = _Looked(
        cost=count_iteration(iteration, shape),
        iteration=iteration,
        notes=notes,
        structure=_describe(iteration, shape),
        shapes=list_shapes(build_network(iteration)),
    )
    changed = find_change(before)
    if changed is not None:
        raise IterationError(
            f"{iteration.label}: changes torch itself ({changed}), and with it every model that is "
            "trained beside it; write a function or class of its own in its place"
        )
    return looked


def _check_covered(iteration: Iteration, opened: list[str]) -> None:
    uncovered = find_uncovered(find_source(iteration.path), opened)
    if uncovered is not None:
        shown = ascii(uncovered)[1:-1]
        remedy = "import it by a statement" if shown.endswith(".py") else "write it into the file"
        raise IterationError(
            f"{iteration.label}: reads {shown}, which its fingerprint does not cover; {remedy}"
        )


def _describe_seeding(iteration: Iteration) -> tuple[str, ...]:
    """Say whether executing a file moves the generators that a whole process shares."""
    before = _read_generators()
    network_builder(iteration)
    if _read_generators() == before:
        return ()
    return ("seeds or draws from global generators when imported; each run is seeded after that",)


def _read_generators() -> tuple[bytes, ...]:
    torch_state = torch.random.get_rng_state().numpy().tobytes()
    return repr(random.getstate()).encode(), repr(np.random.get_state()).encode(), torch_state


def list_shapes(network: nn.Module) -> Shapes:
    """Return names and shapes of a network's parameters, in their order."""
    return tuple((name, tuple(each.shape)) for name, each in network.named_parameters())


def _describe(iteration: Iteration, shape: Shape) -> Structure | None:
    """Return what a network is made of; one that cannot be watched can be trained all the same."""
    network = build_network(iteration)
    try:
        return describe_structure(network, shape)
    except Exception:  # a stranger's network may raise whatever it likes
        return None


class _Output:
    """What a model file prints, in bytes: counted, and not kept."""

    def __init__(self, reader: int) -> None:
        self._reader, self._count = reader, 0
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def describe(self) -> tuple[str, ...]:
        """Say how much was printed until now; nothing is counted from then on."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(ValueError, OSError):  # the file may have closed it
                stream.flush()
        _send_output(os.open(os.devnull, os.O_WRONLY))
        self._thread.join(timeout=1.0)  # longer only where a process it started prints on
        if not self._count:
            return ()
        return (
            f"printed {format_count(self._count)} bytes while it was tried, which are not shown",
        )

    def _drain(self) -> None:
        while data := os.read(self._reader, 1 << 16):
            self._count += len(data)


def _send_output(descriptor: int) -> None:
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _describe_files(folder: str) -> tuple[str, ...]:
    """Say what a model file left in the folder that it ran in, which is removed."""
    names = sorted(Path(folder).iterdir())
    if not names:
        return ()
    shown = [ascii(path.name)[1:-1] for path in names[:_NAMED_FILES]]
    more = f" and {len(names) - _NAMED_FILES} more" if names[_NAMED_FILES:] else ""
    return (f"wrote {', '.join(shown)}{more} into its working directory, which is removed",)


def _go_silent() -> _Output:
    """Let nothing through to the terminal, and hear nothing from it: the parent decides."""
    warnings.simplefilter("ignore")  # torch's own; what the file prints is counted
    reader, writer = os.pipe()
    _send_output(writer)
    output = _Output(reader)
    for interruption in SIGNALS:
        signal.signal(interruption, signal.SIG_IGN)
    # a parent that was killed cannot end this process: no file may outlive it for long
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(10 * LIMIT_SECONDS))
    return output
