"""Nodes of Ray clusters of this machine, bound to 127.0.0.1."""

from __future__ import annotations

from typing import Any

HEAD: dict[str, Any] = {
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
    "num_cpus": 1,
}
NODE: dict[str, Any] = {"node_ip_address": "127.0.0.1", "num_cpus": 1}
