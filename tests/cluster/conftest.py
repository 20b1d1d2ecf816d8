"""Ray clusters of this machine, which end with the test whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from ray_clusters import HEAD

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Return a cluster of one node with one core; tests add others."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        yield running
    finally:
        running.shutdown()
