"""What a model file does to torch that would reach the models that are trained beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_MODULES = ("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.parameter")
_LAYERS = "torch.nn.modules."
_CLASSES = (torch.Tensor, torch._C.TensorBase, nn.Parameter)
_HOOKS = "_global_"
_MADE_LATER = {"__slotnames__", "__annotations__", "__abstractmethods__", "__doc__"}
"""Attributes that Python itself puts into a class when something asks for them."""

Snapshot = dict[str, tuple[object, dict[str, Any]]]
"""Modules and classes of torch, by their names, with what they held."""


def take_snapshot() -> Snapshot:
    """Return what the modules and layers of torch that networks are made of hold now."""
    return {name: (held, _copy(held)) for name, held in _list_places()}


def find_change(before: Snapshot) -> str | None:
    """Return the name of something of torch that was replaced, removed or hidden since then."""
    for place, (held, old) in before.items():
        new = _copy(held)
        for name in old.keys() | new.keys():
            if name not in old and not _hides(held, name):
                continue
            if not _is_same(old.get(name), new.get(name)):
                return f"{place}.{name}"
    return None


def _list_places() -> Iterator[tuple[str, object]]:
    found: set[type] = set(_CLASSES)
    for name, module in sorted(sys.modules.items()):
        if name in _MODULES or name.startswith(_LAYERS):
            yield name, module
            found |= {
                each
                for each in vars(module).values()
                if isinstance(each, type) and each.__module__.startswith("torch.nn")
            }
    for each in sorted(found, key=lambda each: (each.__module__, each.__qualname__)):
        yield f"{each.__module__}.{each.__qualname__}", each


def _copy(held: object) -> dict[str, Any]:
    """Return the attributes of a class, or the public ones of a module and its hooks for all."""
    values = dict(vars(held))
    if isinstance(held, type):
        return {name: value for name, value in values.items() if name not in _MADE_LATER}
    return {
        name: list(value) if name.startswith(_HOOKS) and isinstance(value, dict) else value
        for name, value in values.items()
        if not name.startswith("_") or name.startswith(_HOOKS)
    }


def _is_same(old: object, new: object) -> bool:
    return old == new if isinstance(old, list) else old is new


def _hides(held: object, name: str) -> bool:
    """Say whether a new attribute of a class hides one that it inherits."""
    return isinstance(held, type) and any(name in vars(base) for base in held.__mro__[1:])
