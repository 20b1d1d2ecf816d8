"""Where worker processes come from, started before this process has imported torch itself."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext

from bench.interruption import hold_signals


def choose_context() -> BaseContext:
    """Prefer a fork server, which imports torch once for all workers; elsewhere spawn."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.training.runs"])
    return context


def start_early() -> None:
    """Start the fork server, if there is one, so that it imports while this process does.

    One that runs already is left as it is.
    """
    if choose_context().get_start_method() == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        with hold_signals():
            resource_tracker.ensure_running()  # it gives SIGINT and SIGTERM back
        with hold_signals(), _our_path():
            forkserver.ensure_running()


@contextmanager
def _our_path() -> Iterator[None]:
    """Let a process that is started import from where this one does, and from nowhere else.

    Else the working directory comes first there: with a `models.py` of the user's, for one.
    """
    kept = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ["PYTHONPATH"] = os.pathsep.join(place or os.getcwd() for place in sys.path)  # noqa: PTH109
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
