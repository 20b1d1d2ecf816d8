"""Where worker processes come from, started before this process has imported torch itself."""

from __future__ import annotations

import multiprocessing
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
    """Start the fork server, if there is one, so that it imports while this process does."""
    if choose_context().get_start_method() == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        with hold_signals():
            resource_tracker.ensure_running()  # it gives SIGINT and SIGTERM back
        with hold_signals():
            forkserver.ensure_running()
