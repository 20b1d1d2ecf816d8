"""A network tried with images: what it takes, what it returns, and what that means."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.adaptation import Adaptation, Scores
from bench.errors import IterationError
from bench.executors.outputs import Reading, SoftmaxWatch, classify, pick, read_outputs
from bench.iterations import Iteration
from bench.training.adapting import adapt

BATCHES = (4, 7)
"""Sizes of the batches that a network is tried with: no `view(-1, n)` takes both for others."""

USUAL_BATCHES = (64, 128, 32, 256, 512, 100, 50, 16, 10)
USUAL_SIDES = (32,)
USUAL_CHANNELS = 3
_MOST_DIFFERENCE = 1e-4
"""Of the largest score: what rounding leaves of it in batches of two sizes is far less."""


def find_adaptation(
    iteration: Iteration, network: nn.Module, base: Adaptation
) -> tuple[Adaptation, list[str]]:
    """Return how a network is fed and read, and notes; it is left as it was."""
    problems: list[str] = []
    failures: list[Exception] = []
    for candidate in _list_inputs(base):
        try:
            outputs = [run(network, candidate, size) for size in BATCHES]
        except Exception as error:
            failures.append(error)
            continue
        reading = read_outputs(outputs, BATCHES, base.classes)
        if isinstance(reading, Reading):
            adaptation = replace(candidate, element=reading.element, reshaped=reading.reshaped)
            completed, notes = _complete(network, adaptation, _note_input(candidate, base))
            _check_independence(iteration, network, completed)
            return completed, notes
        problems.append(reading)
    if problems:
        raise IterationError(f"{iteration.label}: {problems[0]}")
    batch = _find_only_batch(iteration, network, base)
    if batch is not None:
        raise IterationError(
            f"{iteration.label}: works with batches of {batch} images only: a batch size is "
            "written into it (view()?); write x.size(0) in its place"
        )
    raise failures[0]


def _list_inputs(base: Adaptation) -> Iterator[Adaptation]:
    """Yield ways to feed a network, the plainest first."""
    yield base
    base = replace(base, contiguous=True)
    yield base
    channels, rows, columns = base.shape
    sides = [side for side in USUAL_SIDES if side > max(rows, columns)]
    colours = [USUAL_CHANNELS] if channels == 1 else []
    yield from (replace(base, side=side) for side in sides)
    yield from (replace(base, channels=colour) for colour in colours)
    yield from (replace(base, channels=c, side=s) for c in colours for s in sides)
    yield replace(base, flat=True)


def make_images(adaptation: Adaptation, count: int) -> Tensor:
    """Return noise in the range of normalised images, channels last as the engines have them."""
    generator = torch.Generator().manual_seed(count)
    noise = torch.rand(count, *adaptation.shape, generator=generator) * 3 - 0.4
    return noise.contiguous(memory_format=torch.channels_last)


def run(
    network: nn.Module,
    adaptation: Adaptation,
    count: int,
    *,
    training: bool = False,
    seed: int = 0,
    first: int | None = None,
) -> Any:
    """Return what a copy of a network gives for some images, by default in evaluation mode.

    `first` is how many of them it is given, by default all.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        adapted = adapt(copy.deepcopy(network), adaptation)
        if not adaptation.contiguous:
            adapted.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(seed)
        return adapted.train(training)(make_images(adaptation, count)[:first])


def _find_only_batch(iteration: Iteration, network: nn.Module, base: Adaptation) -> int | None:
    contiguous = replace(base, contiguous=True)
    for size in (iteration.recipe.batch_size, *USUAL_BATCHES):
        try:
            output = run(network, contiguous, size)
        except Exception:  # noqa: S112  (its reason is known already)
            continue
        if isinstance(read_outputs([output], (size,), base.classes), Reading):
            return size
    return None


def _note_input(candidate: Adaptation, base: Adaptation) -> list[str]:
    notes = []
    if candidate.side is not None:
        notes.append(
            f"takes no images of {base.shape[1]} x {base.shape[2]} pixels: they are padded with "
            f"background to {candidate.side} x {candidate.side}"
        )
    if candidate.channels is not None:
        notes.append(f"wants {candidate.channels} channels: the one of the images is repeated")
    if candidate.flat:
        notes.append("wants vectors: the images are flattened")
    return notes


def _complete(
    network: nn.Module, adaptation: Adaptation, notes: list[str]
) -> tuple[Adaptation, list[str]]:
    """Complete an adaptation by what a network returns of one image, and in training."""
    adaptation, several = _find_element(network, adaptation)
    notes += several
    adaptation, single = _try_single(network, adaptation)
    notes += single
    evaluated = _run_to_scores(network, adaptation)
    adaptation = replace(
        adaptation,
        evaluation=classify(evaluated),
        training=classify(_run_to_scores(network, adaptation, training=True)),
    )
    watch = SoftmaxWatch()
    with watch:
        again = _run_to_scores(network, adaptation, seed=1)
    if watch.doubled:
        notes.append("takes the softmax of a softmax, which flattens its gradients")
    if not torch.equal(evaluated, again):
        notes.append(
            "is random in evaluation too: F.dropout drops unless it is given "
            "training=self.training, and so does a layer that forward makes anew"
        )
    if adaptation.evaluation == "class scores" and bool(((evaluated > 0) & (evaluated < 1)).all()):
        notes.append("returns numbers between 0 and 1 that are no probabilities: a sigmoid?")
    return adaptation, notes


def _check_independence(iteration: Iteration, network: nn.Module, adaptation: Adaptation) -> None:
    """Compare the scores of two images alone with theirs among others, in evaluation.

    Raises:
        IterationError: they differ, so that scores depend on how images are put into batches.
    """
    among = _run_to_scores(network, adaptation)
    if not torch.equal(among, _run_to_scores(network, adaptation, seed=1)):
        return  # random: that is noted, and would be found here instead
    alone = _run_to_scores(network, adaptation, first=2)
    if (among[:2] - alone).abs().max() > _MOST_DIFFERENCE * among.abs().max():
        raise IterationError(
            f"{iteration.label}: its scores of an image depend on the others of its batch: softmax "
            "over dim=0, or batch norm without running statistics? correct it"
        )


def _find_element(network: nn.Module, adaptation: Adaptation) -> tuple[Adaptation, list[str]]:
    """See whether a network returns several values, be it in training alone."""
    raw = replace(adaptation, element=None, reshaped=False)
    for training in (False, True):
        output = run(network, raw, BATCHES[0], training=training)
        if isinstance(output, tuple | list | dict):
            element = adaptation.element
            if element is None:
                reading = read_outputs([output], BATCHES[:1], adaptation.classes)
                element = reading.element if isinstance(reading, Reading) else 0
            which = element if isinstance(output, dict) else f"number {element}"
            when = " in training" if training else ""
            note = f"returns {len(output)} values{when}: {which} is taken for the class scores"
            return replace(adaptation, element=element), [note]
    return adaptation, []


def _run_to_scores(
    network: nn.Module,
    adaptation: Adaptation,
    *,
    training: bool = False,
    seed: int = 0,
    first: int | None = None,
) -> Tensor:
    """Return the scores (N, classes) of some images, before any logarithm is taken."""
    plain = replace(adaptation, training="class scores", evaluation="class scores")
    scores: Tensor = run(network, plain, BATCHES[0], training=training, seed=seed, first=first)
    return scores


def _try_single(network: nn.Module, adaptation: Adaptation) -> tuple[Adaptation, list[str]]:
    """See what becomes of a batch of one image."""
    raw = replace(adaptation, element=None, reshaped=False)
    notes = []
    try:
        output = pick(run(network, raw, 1), adaptation.element)
        if isinstance(output, Tensor) and tuple(output.shape[:1]) != (1,):
            adaptation = replace(adaptation, reshaped=True)
            notes.append("drops a batch of one image (squeeze()): it is put back")
        run(network, adaptation, 1, training=True)
    except Exception:  # a stranger's network may raise whatever it likes
        adaptation = replace(adaptation, least_batch=2)
        notes.append(
            "cannot train on a single image: an epoch whose last batch has one will be refused"
        )
    return adaptation, notes


def note_scores(adaptation: Adaptation, *, cross_entropy: bool) -> list[str]:
    """Say what a network returns, where that is not class scores, and by which loss it is trained.

    `cross_entropy` tells that its file speaks of it.
    """
    kinds: set[Scores] = {adaptation.training, adaptation.evaluation}
    notes = []
    if "log-probabilities" in kinds:
        notes.append("returns log-probabilities: trained by their negative log-likelihood")
    if "probabilities" in kinds:
        second = (
            ", where its file's cross-entropy would take a second softmax" if cross_entropy else ""
        )
        notes.append(
            "returns probabilities: trained by the negative log-likelihood of their logarithms"
            f"{second}"
        )
    if len(kinds) > 1:
        notes.append(f"returns {adaptation.training} in training, else {adaptation.evaluation}")
    return notes
