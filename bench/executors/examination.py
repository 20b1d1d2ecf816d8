"""A model file that nobody here wrote, tried out: how it has to be loaded, fed and read.

Runs in the process that inspects the file. What it decides goes to every worker as an `Adaptation`.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from bench.adaptation import Adaptation
from bench.errors import IterationError
from bench.executors.probes import BATCHES, find_adaptation, make_images, note_scores
from bench.foreign.candidates import choose_class
from bench.foreign.extraction import extract_class, works_when_imported
from bench.foreign.sources import Source, find_source, list_local_names, read_local_modules
from bench.iterations import Iteration
from bench.training.adapting import adapt
from bench.training.loading import build_class, load_class
from bench.training.runs import AdaptedBuilder

_LONGEST_REASON = 300
_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """A model file with its adaptation, its network, and sentences on what was done to it."""

    iteration: Iteration
    notes: tuple[str, ...]


def examine(
    iteration: Iteration,
    shape: tuple[int, int, int],
    classes: int,
    warn: Callable[[str], None],
) -> Examined:
    """Execute a model file and find how its network is built, fed with images and read.

    `warn` is told why the whole file is executed, before it is.

    Raises:
        IterationError: its network cannot be built, or cannot be trained on images of this shape.
    """
    source = find_source(iteration.path)
    failures: list[BaseException] = []
    for extracted, stand_ins in _list_ways(source):
        if failures and not extracted:
            warn(f"its class alone does not do: {explain(failures[0])}")
        base = Adaptation(shape=shape, classes=classes, extracted=extracted, stand_ins=stand_ins)
        try:
            return _try_way(iteration, base, source)
        except IterationError:
            raise
        except (Exception, SystemExit) as error:
            failures.append(error)
            if not isinstance(error, NameError | ImportError | AttributeError | SystemExit):
                break
    reasons = [*list(dict.fromkeys(map(explain, failures)))[:2], *source.notes]
    raise IterationError(
        f"{iteration.label}: cannot be run ({'; '.join(reasons)}){_advise(failures)}"
    ) from failures[0]


def explain(error: BaseException) -> str:
    """Return an error of a stranger's code as one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _advise(failures: list[BaseException]) -> str:
    texts = " ".join(map(str, failures))
    if "CUDA" in texts or "NVIDIA" in texts or "cuda" in texts:
        return (
            "; it asks for a CUDA device by itself: take out .cuda() and .to('cuda'), the harness "
            "puts networks where they are trained"
        )
    missing = [e.name for e in failures if isinstance(e, ModuleNotFoundError) and e.name]
    if missing:
        return f"; the class needs {missing[0]}: install it, or leave it out"
    return "; correct it"


def _list_ways(source: Source) -> Iterator[tuple[bool, bool]]:
    """Yield whether to extract the class and whether to stand in for imports, best first.

    A file that works when it is imported is executed as a whole last, and never without need.
    """
    works = works_when_imported(source.tree)
    if not works:
        yield False, False
    yield True, False
    yield True, True
    if works:
        yield False, False


def _try_way(iteration: Iteration, base: Adaptation, source: Source) -> Examined:
    made = load_class(iteration, extracted=base.extracted, stand_ins=base.stand_ins)
    _check_arguments(iteration, made)
    seeded: list[str] = []
    network = _build(iteration, base, seed=0, seeded=seeded)
    if type(network).__call__ is not nn.Module.__call__:
        base = replace(base, calls=True)
    adaptation, notes = find_adaptation(iteration, network, base)
    entropy = "cross_entropy" in source.text or "CrossEntropyLoss" in source.text
    notes = [
        *source.notes,
        *choose_class(source.tree, iteration.network, str(iteration.path)).notes,
        *_note_loading(source, base, iteration.network),
        *_note_weights(iteration, adaptation, seeded),
        *notes,
        *note_scores(adaptation, cross_entropy=entropy),
        *_note_unreached(network, adaptation),
    ]
    return Examined(iteration=_with(iteration, adaptation), notes=tuple(notes))


def _with(iteration: Iteration, adaptation: Adaptation) -> Iteration:
    return replace(iteration, adaptation=adaptation)


def _check_arguments(iteration: Iteration, made: Callable[..., object]) -> None:
    """Make sure that the constructor is given what it needs, and nothing else."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return
    given = {name for name, _ in iteration.arguments}
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    lacking = [p.name for p in named if p.default is p.empty and p.name not in given]
    if lacking:
        options = " ".join(f"--argument {name}=VALUE" for name in lacking)
        raise IterationError(
            f"{iteration.label}: its constructor needs {', '.join(lacking)}; add {options}"
        )
    unknown = sorted(given - {p.name for p in named})
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        takes = ", ".join(p.name for p in named) or "nothing"
        raise IterationError(
            f"{iteration.label}: --argument {unknown[0]}: its constructor takes {takes}; "
            "correct the name"
        )


def _build(
    iteration: Iteration, base: Adaptation, *, seed: int, seeded: list[str] | None = None
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_class(
            iteration, extracted=base.extracted, stand_ins=base.stand_ins, seeded=seeded
        )


def _note_loading(source: Source, base: Adaptation, network: str) -> list[str]:
    notes = []
    if base.extracted:
        why = "the file works when it is imported" if works_when_imported(source.tree) else (
            "the file cannot be imported here"
        )  # fmt: skip
        notes.append(f"class {network} was extracted with what it refers to, because {why}")
    elif works_when_imported(source.tree):
        notes.append("the whole file was executed: its class alone does not do")
    absent = list(dict.fromkeys(_list_absent(source)))
    if absent:
        are = (
            "are not installed and not needed" if absent[1:] else "is not installed and not needed"
        )
        notes.append(f"imports {', '.join(absent)}, which {are}")
    missing = extract_class(source.tree, network).missing if base.extracted else ()
    if missing:
        notes.append(f"refers to {', '.join(missing[:_NAMED])}, which nothing in the file defines")
    return notes


def _list_absent(source: Source) -> Iterator[str]:
    """Yield the modules that a file imports and that are not installed."""
    local = list_local_names(source)
    trees = [source.tree, *(tree for _, tree in read_local_modules(source))]
    for node in (node for tree in trees for node in ast.walk(tree)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        for name in names:
            if name.split(".")[0] not in local and not _is_installed(name):
                yield name


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _note_weights(iteration: Iteration, adaptation: Adaptation, seeded: list[str]) -> list[str]:
    """Compare networks of one seed and of two.

    Raises:
        IterationError: two of one seed differ, so that no run could be repeated.
    """
    network = _build_adapted(iteration, adaptation, seed=0)
    if not any(each.numel() for each in network.parameters()):
        raise IterationError(f"{iteration.label}: {iteration.network} has no parameters to train")
    if not _are_equal(network, _build_adapted(iteration, adaptation, seed=0)):
        raise IterationError(
            f"{iteration.label}: two networks from one seed differ, so that no run could be "
            "repeated; draw random numbers from torch's own generator"
        )
    notes = []
    if seeded:
        notes.append("its constructor seeds torch, which has no effect: each run has its own seed")
    if _are_equal(network, _build_adapted(iteration, adaptation, seed=1)):
        notes.append("every seed starts from the same weights: only order and augmentation differ")
    return notes


def _build_adapted(iteration: Iteration, adaptation: Adaptation, *, seed: int) -> nn.Module:
    """Return a network as a run of a seed starts with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AdaptedBuilder(_with(iteration, adaptation))()


def _are_equal(first: nn.Module, second: nn.Module) -> bool:
    ones, others = list(first.parameters()), list(second.parameters())
    return len(ones) == len(others) and all(map(torch.equal, ones, others))


def _note_unreached(network: nn.Module, adaptation: Adaptation) -> list[str]:
    """Name the layers whose parameters no gradient reaches."""
    with torch.random.fork_rng(devices=[]):
        adapted = adapt(copy.deepcopy(network), adaptation).train()
        output = adapted(make_images(adaptation, BATCHES[0]))
    if not output.requires_grad:
        return ["no gradient reaches any parameter: training changes nothing"]
    output.sum().backward()
    unreached = [(n, p) for n, p in adapted.named_parameters() if p.grad is None]
    if not unreached:
        return []
    total = sum(parameter.numel() for parameter in adapted.parameters())
    count = sum(parameter.numel() for _, parameter in unreached)
    names = list(dict.fromkeys(name.rpartition(".")[0] or name for name, _ in unreached))
    shown = ", ".join(names[:_NAMED]) + (", ..." if names[_NAMED:] else "")
    return [
        f"{count:,} of its {total:,} parameters are reached by no gradient ({shown}): declared, "
        "and counted in the budget"
    ]
