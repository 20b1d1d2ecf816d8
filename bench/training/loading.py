"""Model files executed: the class of a file that nobody here wrote, anew for every network.

Everything here runs a stranger's code, and so in processes of its own only. What the code does to
torch, to the modules that are loaded and to the path is undone.
"""

from __future__ import annotations

import ast
import linecache
import random
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from bench.errors import IterationError
from bench.foreign.extraction import extract_class
from bench.foreign.sources import PROTECTED, Source, find_source, list_local_names
from bench.iterations import Iteration

Seeded = list[str]
"""Names of the functions by which a file seeded a generator, which was not let through."""


def build_class(
    iteration: Iteration, *, extracted: bool, stand_ins: bool, seeded: Seeded | None = None
) -> nn.Module:
    """Execute a model file and return one network of its class.

    Its weights are drawn from torch's generator as it is now, whatever the file seeds it with.
    What the file raises is raised. `extracted` and `stand_ins` are those of an `Adaptation`.
    """
    prepared = _prepare(iteration, extracted=extracted)
    noted: Seeded = []
    with ExitStack() as stack:
        stack.enter_context(_beside(prepared))
        if stand_ins:
            stack.enter_context(_standing_in())
        stack.enter_context(_unseeded(noted))
        with _keep_torch():
            made = _execute(prepared, iteration.network)
        noted.clear()
        _seed_others()
        with _keep_torch(generator=False):
            network = made(**{name: ast.literal_eval(text) for name, text in iteration.arguments})
    if seeded is not None:
        seeded += noted
    if not isinstance(network, nn.Module):
        raise IterationError(
            f"{iteration.label}: {iteration.network} gives a {type(network).__name__}, no network; "
            "name a class that extends nn.Module"
        )
    return network


def load_class(iteration: Iteration, *, extracted: bool, stand_ins: bool) -> Callable[..., Any]:
    """Execute a model file and return its class, to look at its constructor."""
    prepared = _prepare(iteration, extracted=extracted)
    with ExitStack() as stack:
        stack.enter_context(_beside(prepared))
        if stand_ins:
            stack.enter_context(_standing_in())
        stack.enter_context(_unseeded([]))
        with _keep_torch():
            return _execute(prepared, iteration.network)


class _Prepared:
    """A model file compiled, and the names that modules beside it have."""

    def __init__(self, source: Source, code: CodeType) -> None:
        self.source, self.code = source, code
        self.local = list_local_names(source)
        stem = source.path.stem
        stem = f"model_{stem}" if stem in PROTECTED or "." in stem else stem
        self.name = f"{source.package}.{stem}" if source.package else stem


@lru_cache(maxsize=64)
def _prepare(iteration: Iteration, *, extracted: bool) -> _Prepared:
    source = find_source(iteration.path)
    tree = source.tree
    if extracted:
        tree = ast.fix_missing_locations(extract_class(tree, iteration.network).tree)
    name = str(iteration.path)
    lines = source.text.splitlines(keepends=True)
    linecache.cache[name] = (len(source.text), None, lines, name)  # for inspect.getsource
    return _Prepared(source, compile(tree, name, "exec", dont_inherit=True))


def _execute(prepared: _Prepared, network: str) -> Callable[..., Any]:
    module = ModuleType(prepared.name)
    module.__file__ = str(prepared.source.path)
    module.__package__ = prepared.source.package
    sys.modules[prepared.name] = module
    exec(prepared.code, module.__dict__)  # noqa: S102  (in a process of its own)
    made: Callable[..., Any] = getattr(module, network)
    return made


@contextmanager
def _beside(prepared: _Prepared) -> Iterator[None]:
    """Let a file import the modules beside it, fresh, and forget them afterwards."""
    mine = prepared.local | {prepared.name}

    def take_out() -> dict[str, ModuleType]:
        names = [n for n in sys.modules if n.split(".")[0] in mine or n in mine]
        return {name: sys.modules.pop(name) for name in names}

    others, path, argv = take_out(), sys.path[:], sys.argv[:]
    writes = sys.dont_write_bytecode
    sys.path[:0] = [str(folder) for folder in prepared.source.folders]
    sys.argv[:] = [str(prepared.source.path)]
    sys.dont_write_bytecode = True  # the folder is the user's
    try:
        yield
    finally:
        take_out()
        sys.modules.update(others)
        sys.path[:], sys.argv[:] = path, argv
        sys.dont_write_bytecode = writes


@contextmanager
def _keep_torch(*, generator: bool = True) -> Iterator[None]:
    """Undo what code does to the settings of torch, and to its generator unless told otherwise."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    state = torch.default_generator.get_state()
    try:
        yield
    finally:
        if generator:
            torch.default_generator.set_state(state)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_grad_enabled(True)
        torch.autograd.set_detect_anomaly(False)
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision(precision)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


_SEEDERS = (
    (torch, "manual_seed"), (torch, "seed"), (torch, "set_rng_state"),
    (torch.random, "manual_seed"), (torch.random, "seed"), (torch.random, "set_rng_state"),
    (torch.cuda, "manual_seed"), (torch.cuda, "manual_seed_all"),
)  # fmt: skip


@contextmanager
def _unseeded(noted: Seeded) -> Iterator[None]:
    """Let no code seed torch's generators: the seed of a run decides its weights."""

    def refuse(name: str) -> Callable[..., Any]:
        def seed(*_: object, **__: object) -> torch.Generator:
            noted.append(name)
            return torch.default_generator

        return seed

    kept = [(place, name, getattr(place, name)) for place, name in _SEEDERS]
    try:
        for place, name, _ in kept:
            setattr(place, name, refuse(name))
        yield
    finally:
        for place, name, function in kept:
            setattr(place, name, function)


def _seed_others() -> None:
    """Seed the generators of Python and numpy from torch's, which the run's seed has seeded."""
    seed = torch.initial_seed()
    random.seed(seed)
    np.random.seed(seed % 2**32)


class _StandIn:
    """Stands for what a module that is not installed would have held; using it is an error."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ModuleNotFoundError(f"No module named {self._name!r}", name=self._name)

    __call__ = __getattr__ = __iter__ = __getitem__ = __mro_entries__ = __enter__ = _refuse


class _StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(self.__name__)


class _StandInFinder(MetaPathFinder, Loader):
    """Finds every module that nothing else finds."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec:
        del path, target
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        self.names.append(spec.name)
        return _StandInModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


@contextmanager
def _standing_in() -> Iterator[None]:
    finder = _StandInFinder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.names:
            sys.modules.pop(name, None)
