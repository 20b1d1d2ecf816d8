"""Independent streams of random numbers, all derived from a run's one seed."""

from __future__ import annotations

import hashlib
from typing import Literal

import torch

Stream = Literal["initialisation", "shuffling", "augmentation", "dropout"]


def derive_seed(seed: int, stream: Stream) -> int:
    """Return the 63-bit seed of one stream of a run, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_generator(seed: int, stream: Stream, device: torch.device) -> torch.Generator:
    """Return a generator on `device` that is this run's own."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, stream))
