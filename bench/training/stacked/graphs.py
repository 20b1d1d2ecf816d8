"""A function over fixed tensors, on a GPU recorded once as a CUDA graph and then replayed."""

from __future__ import annotations

from collections.abc import Callable

import torch

Body = Callable[[], None]
WARM_UPS = 3
"""Runs before a capture, in which libraries set themselves up and optimisers make their state."""


class Recorder:
    """Captures functions one after another; their graphs share one pool of memory.

    They may do so because they are replayed one at a time, in the stream that calls them, and leave
    nothing behind but what they copied into tensors made before.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = torch.cuda.graph_pool_handle() if self._stream is not None else None

    def record(self, body: Body) -> Body:
        """Return a function that does what `body` does; on a CPU it is `body` itself.

        On a GPU `body` runs a few times first: its tensors must be set again after recording.
        """
        if self._stream is None:
            return body
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                body()
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            body()
        return graph.replay
