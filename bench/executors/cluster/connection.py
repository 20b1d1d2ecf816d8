"""A connection to a Ray cluster, or to a Ray of this machine's own that ends with it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import bench
from bench.errors import ClusterError
from bench.executors.cluster.addresses import LOCAL, is_closed_to_others, resolve
from bench.interruption import SIGNALS
from bench.iterations import MODELS
from bench.training.devices import count_cores

OBJECT_STORE_BYTES = 512 << 20
"""Shared memory of a local Ray: room for the images, once. MNIST is 55 MB."""


@contextmanager
def connect(address: str) -> Iterator[None]:
    """Be connected to a cluster meanwhile; with `local`, to one of this machine that ends with it.

    The code of bench and models travels there.

    Raises:
        ClusterError: there is no cluster, or one of another release of Ray or Python.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = resolve(address)
    if is_closed_to_others(address):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # a cluster of this machine alone
    import ray

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        _start(address)
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray takes SIGTERM for itself
        yield
    finally:
        ray.shutdown()


@contextmanager
def reaching_cluster() -> Iterator[None]:
    """Let Ray be asked something that needs the cluster to be there.

    Raises:
        ClusterError: it is not there any more.
    """
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, ConnectionError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(
            f"the cluster cannot be reached any more ({reason}); finished runs are in the ledger: "
            "start the command again"
        ) from error


def _start(address: str) -> None:
    import ray

    settings: dict[str, Any] = {"address": address}
    if address == LOCAL:
        settings |= {
            "num_cpus": count_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
    ours = Path(bench.__file__).parent
    try:
        # workers of this machine import from where this is first: not from the user's folder
        with chdir(ours.parent):
            ray.init(
                runtime_env={
                    "py_modules": [str(ours), str(MODELS)],
                    # a process that is kept may get another GPU: it has to see them all
                    "env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"},
                },
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **settings,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(f"--cluster {address}: cannot be used: {reason}") from error
