"""The C++ source of one network: its stages as structs of constants, and their calls in order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.training.native.stages import Junction, Plan, Stage, cut_stages
from bench.training.programs import AveragePooling, Convolution, Dense, Program, Shape

_ABSENT = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where parameters and buffers lie in their flat float32 vectors, by name."""

    parameters: Mapping[str, int]
    buffers: Mapping[str, int]


def write_source(program: Program, layout: Layout, *, most_images: int) -> str:
    """Return the translation unit of a network; no batch has more than `most_images`."""
    plan = cut_stages(program)
    writer = _Writer(program, plan, layout)
    return "\n".join(
        [
            "#include <cstddef>",
            f"constexpr int MOST_IMAGES = {most_images};",
            "constexpr int ceil_blocks(int lanes) { return (MOST_IMAGES + lanes - 1) / lanes; }",
            "#define MOST_BLOCKS ceil_blocks(LANES)",
            '#include "kernels.hpp"',
            "namespace {",
            *writer.structs(),
            *writer.places(),
            "}  // namespace",
            *writer.functions(),
            "",
        ]
    )


class _Writer:
    def __init__(self, program: Program, plan: Plan, layout: Layout) -> None:
        self._program, self._plan, self._layout = program, plan, layout
        self._result = plan.resolve(len(program.operations))
        self._stages = {step.value: step for step in plan.steps if isinstance(step, Stage)}
        self._readers = Counter(source for step in plan.steps for source in _sources(step))

    def structs(self) -> Iterator[str]:
        """Yield one struct of constants for each stage."""
        for step in self._plan.steps:
            if isinstance(step, Stage):
                constants = self._constants(step)
                yield f"struct S{step.value} {{"
                yield f"    static constexpr int {', '.join(_assign(constants))};"
                yield f"    static constexpr bool {', '.join(_assign(_flags(step)))};"
                yield from _dropout_constants(step)
                normal = step.normalisation
                if normal:
                    yield f"    static constexpr double MOMENTUM = {normal.momentum!r};"
                    yield f"    static constexpr double EPSILON = {normal.epsilon!r};"
                yield "};"
                yield f"using L{step.value} = {_kind(step)}Stage<S{step.value}>;"

    def places(self) -> Iterator[str]:
        """Yield where each tensor lies in the workspace, in vectors."""
        place = "0"
        for name, size in self._sizes():
            yield f"constexpr size_t {name} = {place};"
            place = f"{name} + size_t(MOST_BLOCKS) * {size}"
        for value in filter(self._shares_gradient, self._stages):
            yield f"constexpr size_t d_{value} = g_{value};"
        yield f"constexpr size_t scratch_place = {place};"
        most = "0"
        for value in self._stages:
            most = f"std::max<size_t>({most}, L{value}::SCRATCH)"
        yield f"constexpr size_t WORKSPACE = scratch_place + {most};"

    def _sizes(self) -> Iterator[tuple[str, int]]:
        """Yield each tensor's name and its size for one image."""
        yield "d_0", _size(self._program.input_shape)
        for step in self._plan.steps:
            value = step.value
            shape = step.shape if isinstance(step, Stage) else step.operation.shape
            yield f"g_{value}", _size(shape)
            if isinstance(step, Junction):
                yield f"d_{value}", _size(shape)
                continue
            yield f"y_{value}", _size(step.map_shape)
            if step.pools:
                yield f"p_{value}", _size(shape)
            if step.finishes and not self._shares_gradient(value):
                yield f"d_{value}", _size(shape)

    def _shares_gradient(self, value: int) -> bool:
        """Say whether a stage's result may give its place to its gradient.

        It may where it has one reader, who is done with it before it writes the gradient.
        """
        return self._stages[value].finishes and self._readers[value] == 1

    def functions(self) -> Iterator[str]:
        """Yield the functions that Python calls."""
        yield _BINDINGS
        classes = _size(self._program.operations[-1].shape)
        yield "template <bool training>"
        yield (
            "static void run_forward(V* m, const Batch& batch, const float* params, "
            "float* buffers, uint64_t stream, uint64_t step) {"
        )
        yield "    V* scratch = m + scratch_place;"
        for step in self._plan.steps:
            yield f"    {self._forward(step)}"
        yield "}"
        yield (
            'extern "C" void forward(float* memory, int images, const float* params, '
            "float* buffers, int training, uint64_t stream, uint64_t step, float* scores) {"
        )
        yield "    V* m = reinterpret_cast<V*>(memory);"
        yield "    const Batch batch = make_batch(images);"
        yield "    if (training) run_forward<true>(m, batch, params, buffers, stream, step);"
        yield "    else run_forward<false>(m, batch, params, buffers, stream, step);"
        yield f"    fetch_floats(m + {self._data(self._result)}, images, {classes}, scores);"
        yield "}"
        yield (
            'extern "C" void backward(float* memory, int images, const float* params, '
            "uint64_t stream, uint64_t step, const float* gradients, float* grads) {"
        )
        yield "    V* m = reinterpret_cast<V*>(memory);"
        yield "    V* scratch = m + scratch_place;"
        yield "    const Batch batch = make_batch(images);"
        yield f"    place_floats(gradients, images, {classes}, m + g_{self._result});"
        written: set[int] = set()
        trained: set[str] = set()
        for step in reversed(self._plan.steps):
            lines = self._backward(step, written)
            for line in self._add_to_other_calls(step, lines, trained):
                yield f"    {line}"
        yield "}"

    def _data(self, value: int) -> str:
        """Return the place of a value: a stage that finishes nothing leaves it in y."""
        for step in self._plan.steps:
            if step.value == value and isinstance(step, Stage) and not step.finishes:
                return f"y_{value}"
        return f"d_{value}"

    def _pulled_by(self, step: Stage) -> Stage | None:
        """Return the stage whose result's gradient this one pulls back while it writes it."""
        before = self._stages.get(step.source)
        alone = self._readers[step.source] == 1
        needed = before and (before.normalisation or before.dropout or before.rectifies_late)
        return before if needed and alone and _kind(step) == "Convolution" else None

    def _forward(self, step: Stage | Junction) -> str:
        value = step.value
        if isinstance(step, Stage):
            tensors = self._data(step.source), f"y_{value}", _pooled(step), self._data(value)
            return (
                f"forward_stage<S{value}, L{value}, training>({_at(*tensors)}, scratch, batch, "
                f"params, buffers, make_key(stream, step, {value}));"
            )
        if isinstance(step.operation.operator, AveragePooling):
            (source,) = step.sources
            return f"{_average(step)}::forward({_at(self._data(source), f'd_{value}')}, batch);"
        first, second = map(self._data, step.sources)
        return f"add_values({_at(first, second, f'd_{value}')}, {_count(step)});"

    def _backward(self, step: Stage | Junction, written: set[int]) -> Iterator[str]:
        if isinstance(step, Stage):
            adds = step.source in written
            written.add(step.source)
            yield self._backward_stage(step, adds=adds)
            return
        for source in step.sources:
            if source:
                adding = _truth(source in written)
                written.add(source)
                gradients = _at(f"g_{step.value}", f"g_{source}")
                if isinstance(step.operation.operator, AveragePooling):
                    yield f"{_average(step)}::backward<{adding}>({gradients}, batch);"
                else:
                    yield f"pass_gradient<{adding}>({gradients}, {_count(step)});"

    def _add_to_other_calls(
        self, step: Stage | Junction, lines: Iterator[str], trained: set[str]
    ) -> Iterator[str]:
        """Yield the backward lines of a step, and add what they write to other calls' gradients.

        A kernel overwrites its layer's gradient; `trained` are the layers that were called later.
        """
        layer = step.layer if isinstance(step, Stage) else None
        if layer is None or layer.weight not in trained:
            trained |= {layer.weight} if layer else set()
            yield from lines
            return
        assert isinstance(step, Stage)  # noqa: S101
        counts = {layer.weight: _count_weights(step), layer.bias: step.map_shape[0]}
        parts = [(self._parameter(name), n) for name, n in counts.items() if name is not None]
        yield "{"
        for place, count in parts:
            yield f"    static float kept_{place}[{count}];"
            yield f"    std::copy_n(grads + {place}, {count}, kept_{place});"
        yield from lines
        for place, count in parts:
            yield f"    for (int i = 0; i < {count}; ++i) grads[{place} + i] += kept_{place}[i];"
        yield "}"

    def _backward_stage(self, stage: Stage, *, adds: bool) -> str:
        value, before = stage.value, self._pulled_by(stage)
        pulled = any(self._pulled_by(other) is stage for other in self._stages.values())
        kinds = [_truth(flag) for flag in (pulled, stage.source != 0, adds)]
        kinds.append(f"S{before.value}" if before else "Nothing")
        tensors = self._data(stage.source), f"y_{value}", _pooled(stage), f"g_{value}"
        target = _at(f"g_{stage.source}") if stage.source else "nullptr"
        source = _at(_pooled(before)) if before else "nullptr"
        return (
            f"backward_stage<S{value}, L{value}, {', '.join(kinds)}>({_at(*tensors)}, {target}, "
            f"scratch, batch, params, grads, make_key(stream, step, {value}), {source}, "
            f"make_key(stream, step, {before.value if before else 0}));"
        )

    def _constants(self, stage: Stage) -> dict[str, int]:
        normal, layer = stage.normalisation, stage.layer
        constants = {
            "IC": stage.source_shape[0],
            "IH": stage.source_shape[1],
            "IW": stage.source_shape[2],
            "OC": stage.map_shape[0],
            "OH": stage.map_shape[1],
            "OW": stage.map_shape[2],
            "PH": stage.shape[1],
            "PW": stage.shape[2],
            "POOL_H": stage.pooling[0],
            "POOL_W": stage.pooling[1],
            "WEIGHT": self._parameter(layer.weight if layer else None),
            "BIAS": self._parameter(layer.bias if layer else None),
            "GAMMA": self._parameter(normal.weight if normal else None),
            "BETA": self._parameter(normal.bias if normal else None),
        }
        if normal:
            constants["RUNNING_MEAN"] = self._layout.buffers[normal.running_mean]
            constants["RUNNING_VARIANCE"] = self._layout.buffers[normal.running_variance]
        if isinstance(layer, Dense):
            features = _size(stage.source_shape)
            constants |= {"IC": features, "IH": 1, "IW": 1}
        if isinstance(layer, Convolution):
            constants |= {
                "KH": layer.kernel[0],
                "KW": layer.kernel[1],
                "SY": layer.stride[0],
                "SX": layer.stride[1],
                "PY": layer.padding[0],
                "PX": layer.padding[1],
            }
        return constants

    def _parameter(self, name: str | None) -> int:
        return _ABSENT if name is None else self._layout.parameters[name]


def _at(*tensors: str) -> str:
    return ", ".join(f"m + {tensor}" for tensor in tensors)


def _count_weights(stage: Stage) -> int:
    assert isinstance(stage.layer, Convolution)  # noqa: S101  (no other layer is called twice)
    return stage.source_shape[0] * stage.map_shape[0] * math.prod(stage.layer.kernel)


def _count(junction: Junction) -> str:
    return f"size_t(batch.blocks) * {_size(junction.operation.shape)}"


def _pooled(stage: Stage) -> str:
    return f"p_{stage.value}" if stage.pools else f"y_{stage.value}"


def _sources(step: Stage | Junction) -> tuple[int, ...]:
    return (step.source,) if isinstance(step, Stage) else step.sources


def _flags(stage: Stage) -> dict[str, str]:
    flags = {
        "RECTIFIES": stage.rectifies,
        "NORMALISES": stage.normalisation is not None,
        "RECTIFIES_LATE": stage.rectifies_late,
        "POOLS": stage.pools,
        "DROPS": stage.dropout is not None,
        "WHOLE_MAPS": stage.dropout is not None and stage.dropout.whole_maps,
        "FINISHES": stage.finishes,
    }
    return {name: _truth(flag) for name, flag in flags.items()}


def _dropout_constants(stage: Stage) -> Iterator[str]:
    probability = stage.dropout.probability if stage.dropout else 0.0
    threshold = min(round(probability * 2**32), 2**32 - 1)
    whole_maps = stage.dropout is not None and stage.dropout.whole_maps
    dropped = stage.shape[0] if whole_maps else _size(stage.shape)
    yield f"    static constexpr uint32_t THRESHOLD = {threshold}u;"
    yield f"    static constexpr uint32_t DROPPED = {dropped}u;"
    yield f"    static constexpr float DROPOUT_SCALE = float({1 / (1 - probability)!r});"


def _kind(stage: Stage) -> str:
    if isinstance(stage.layer, Convolution) and stage.source_shape[1:] != (1, 1):
        return "Convolution"
    if isinstance(stage.layer, Convolution) and stage.layer.kernel != (1, 1):
        return "Convolution"
    return "Plain" if stage.layer is None else "Dense"


def _average(junction: Junction) -> str:
    operator, shape = junction.operation.operator, junction.operation.shape
    assert isinstance(operator, AveragePooling)  # noqa: S101
    numbers = (*junction.source_shape, *operator.kernel, *operator.stride, *shape[1:])
    return f"AveragePooling<{', '.join(map(str, numbers))}>"


def _size(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _assign(constants: Mapping[str, object]) -> list[str]:
    return [f"{name} = {value}" for name, value in constants.items()]


def _truth(flag: bool) -> str:
    return "true" if flag else "false"


_BINDINGS = """
extern "C" size_t workspace_floats() { return WORKSPACE * LANES; }
extern "C" int most_images() { return MOST_IMAGES; }
extern "C" void place(float* memory, const uint8_t* images, const int64_t* index,
                      const float* theta, int bilinear, int count, int side, float mean,
                      float deviation) {
    place_images(images, index, theta, bilinear, count, side, mean, deviation,
                 reinterpret_cast<V*>(memory) + d_0);
}
extern "C" void place_normalised(float* memory, const float* images, int count, int pixels) {
    place_floats(images, count, pixels, reinterpret_cast<V*>(memory) + d_0);
}
"""
