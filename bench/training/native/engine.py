"""The CPU engine `native`: one network's training step and evaluation as machine code made for it.

Its draws of initialisation, order and augmentation are the eager engine's; its dropout comes from a
counter-based hash of the run's own stream. It computes in float32 on one core.
"""

from __future__ import annotations

import ctypes
import math
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from bench.augmentation import augment, count_uniform, draw_affine, invert_affine
from bench.cost import INPUT_SHAPE
from bench.training.loop import Evaluation, ResidentImages, list_mistakes, run_loop
from bench.training.native.library import CompilationError, load_library
from bench.training.native.source import Layout, write_source
from bench.training.native.stages import explain_unkerneled
from bench.training.programs import Program
from bench.training.streams import derive_seed, make_generator
from bench.training.tracing import UnsupportedNetworkError, trace_program
from models.recipe import Pipeline, Recipe

LEAST_IMAGES = 128
"""Evaluation takes as many images at a time, or a training batch if that is larger."""


def explain_refusal(network: nn.Module, recipe: Recipe, device: torch.device) -> str | None:
    """Return why this engine cannot train a network here, to follow its name; `None` when it can.

    The network is compiled to find out, once for all its seeds.
    """
    if device.type != "cpu":
        return "is made for CPUs"
    if recipe.precision != "fp32":
        return f"computes in fp32, the recipe in {recipe.precision}"
    try:
        program = trace_program(network, INPUT_SHAPE)
        reason = explain_unkerneled(program)
        if reason is not None:
            return f"has no kernel for {reason}"
        _compile(program, network, recipe)
    except UnsupportedNetworkError as error:
        return f"has no kernel for {error}"
    except CompilationError as error:
        return f"cannot compile it here: {error}"
    return None


def _layout(network: nn.Module) -> Layout:
    return Layout(
        parameters=_offsets(dict(network.named_parameters())),
        buffers=_offsets(_float_buffers(network)),
    )


def _float_buffers(network: nn.Module) -> dict[str, Tensor]:
    return {n: b for n, b in network.named_buffers() if b.dtype == torch.float32}


def _offsets(tensors: dict[str, Tensor]) -> dict[str, int]:
    offsets, place = {}, 0
    for name, tensor in tensors.items():
        offsets[name] = place
        place += tensor.numel()
    return offsets


def _compile(program: Program, network: nn.Module, recipe: Recipe) -> ctypes.CDLL:
    most = max(recipe.batch_size, LEAST_IMAGES)
    return load_library(write_source(program, _layout(network), most_images=most))


def _flatten(tensors: dict[str, Tensor]) -> Tensor:
    """Return one vector of all values, in logical order whatever their memory format."""
    rows = [tensor.detach().reshape(-1) for tensor in tensors.values()]
    return torch.cat(rows) if rows else torch.zeros(1)


def _share(tensors: dict[str, Tensor], flat: Tensor) -> None:
    """Make each tensor a view of its part of `flat`."""
    place = 0
    for tensor in tensors.values():
        tensor.data = flat[place : place + tensor.numel()].view(tensor.shape)
        place += tensor.numel()


class NativeLearner:
    """One network under training; its modules share the flat vectors that the kernels work on."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, training: ResidentImages, seed: int
    ) -> None:
        self.network, self._recipe, self._training = network, recipe, training
        side = training.images.shape[-1]
        program = trace_program(network, (1, side, side))
        self._kernels = _Kernels(_compile(program, network, recipe), program)
        self._flat = nn.Parameter(_flatten(dict(network.named_parameters())))
        self._flat.grad = torch.zeros_like(self._flat)
        self._buffers = _flatten(_float_buffers(network))
        _share(dict(network.named_parameters()), self._flat.data)
        _share(_float_buffers(network), self._buffers)
        self._augmentation = make_generator(seed, "augmentation", torch.device("cpu"))
        self._dropout, self._step = derive_seed(seed, "dropout"), 0

    def parameters(self) -> list[nn.Parameter]:
        """Return the one flat parameter."""
        return [self._flat]

    def accumulate(self, index: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores (N, classes) and mean loss of a batch, its gradient in `.grad`."""
        self._step += 1
        self._place(index)
        scores = self._kernels.forward(
            len(index), self._flat, self._buffers, stream=(self._dropout, self._step)
        )
        leaf = scores.requires_grad_()
        loss = F.cross_entropy(leaf, labels, label_smoothing=self._recipe.label_smoothing)
        loss.backward()
        gradients = leaf.grad
        assert gradients is not None and self._flat.grad is not None  # noqa: S101, PT018
        self._kernels.backward(
            gradients, self._flat, self._flat.grad, stream=(self._dropout, self._step)
        )
        return leaf.detach(), loss.detach()

    def _place(self, index: Tensor) -> None:
        affine, theta = self._recipe.augmentation, None
        if isinstance(affine, Pipeline):
            self._kernels.place_normalised(self._transform(affine, index))
            return
        if affine is not None:
            side = self._training.images.shape[-1]
            draw = draw_affine(affine, count=len(index), side=side, generator=self._augmentation)
            theta = invert_affine(draw, side=side)
        bilinear = affine is not None and affine.interpolation == "bilinear"
        self._kernels.place(self._training, index, theta, bilinear=bilinear)

    def _transform(self, pipeline: Pipeline, index: Tensor) -> Tensor:
        """Return chosen images as the eager engine transforms and normalises them."""
        pixels = self._training.pixels(index)
        uniform = torch.rand(len(index), count_uniform(pipeline), generator=self._augmentation)
        return augment(pipeline, pixels, uniform, normalise=self._training.normalise)

    @torch.no_grad()
    def evaluate(self, network: nn.Module, data: ResidentImages) -> Evaluation:
        """Score `network`, the trained one or its average, in evaluation mode."""
        parameters, buffers = self._flat.data, self._buffers
        if network is not self.network:
            parameters = _flatten(dict(network.named_parameters()))
            buffers = _flatten(_float_buffers(network))
        predicted, loss = [], 0.0
        for index in torch.arange(len(data.labels)).split(self._kernels.most_images):
            self._kernels.place(data, index, None, bilinear=False)
            scores = self._kernels.forward(len(index), parameters, buffers, stream=None)
            loss += float(F.cross_entropy(scores, data.labels[index], reduction="sum").double())
            predicted.append(scores.argmax(dim=1))
        mistakes = list_mistakes(torch.cat(predicted), data.labels)
        total = len(data.labels)
        return Evaluation(
            correct=total - len(mistakes), total=total, loss=loss / total, mistakes=mistakes
        )


class _Kernels:
    """The functions of a compiled network and their workspace; `backward` follows its `forward`."""

    def __init__(self, library: ctypes.CDLL, program: Program) -> None:
        self._library = library
        library.workspace_floats.restype = ctypes.c_size_t
        self._memory = torch.empty(library.workspace_floats())
        assert self._memory.data_ptr() % 64 == 0  # noqa: S101  (torch aligns to 64 bytes)
        self.most_images: int = library.most_images()
        self._classes = math.prod(program.operations[-1].shape)

    def place(
        self, data: ResidentImages, index: Tensor, theta: Tensor | None, *, bilinear: bool
    ) -> None:
        """Put chosen images, moved by `theta` (N, 2, 3) and normalised, where forward reads."""
        self._library.place(
            _pointer(self._memory),
            _pointer(data.images),
            _pointer(index),
            _pointer(theta) if theta is not None else None,
            int(bilinear),
            len(index),
            data.images.shape[-1],
            ctypes.c_float(data.mean),
            ctypes.c_float(data.deviation),
        )

    def place_normalised(self, images: Tensor) -> None:
        """Put images (N, C, S, S) that are normalised already where forward reads."""
        rows = images.contiguous()
        self._library.place_normalised(
            _pointer(self._memory), _pointer(rows), len(rows), rows[0].numel()
        )

    def forward(
        self, count: int, parameters: Tensor, buffers: Tensor, *, stream: tuple[int, int] | None
    ) -> Tensor:
        """Return class scores (count, classes); with a stream in training mode, else evaluation."""
        scores = torch.empty(count, self._classes)
        seed, step = stream or (0, 0)
        self._library.forward(
            _pointer(self._memory),
            count,
            _pointer(parameters),
            _pointer(buffers),
            int(stream is not None),
            ctypes.c_uint64(seed),
            ctypes.c_uint64(step),
            _pointer(scores),
        )
        return scores

    def backward(
        self, gradients: Tensor, parameters: Tensor, into: Tensor, *, stream: tuple[int, int]
    ) -> None:
        """Write the gradient of all parameters, from that of the scores (N, classes)."""
        self._library.backward(
            _pointer(self._memory),
            len(gradients),
            _pointer(parameters),
            ctypes.c_uint64(stream[0]),
            ctypes.c_uint64(stream[1]),
            _pointer(gradients),
            _pointer(into),
        )


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


train = partial(run_loop, NativeLearner)
"""Trains one network from one seed, as `bench.training.loop.train` does."""
