"""The C++ source of one network: its stages as structs of constants, and their calls in order."""

from __future__ import annotations

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
        sizes = {"d0": _size(self._program.input_shape)}
        shared = {}
        for step in self._plan.steps:
            value = step.value
            if isinstance(step, Stage):
                sizes[f"y{value}"] = _size(step.map_shape)
                if step.pools:
                    sizes[f"p{value}"] = _size(step.shape)
                sizes[f"g{value}"] = _size(step.shape)
                if step.finishes and self._readers[value] == 1:
                    shared[f"d{value}"] = f"g{value}"  # its one reader is done before it writes
                elif step.finishes:
                    sizes[f"d{value}"] = _size(step.shape)
            else:
                sizes[f"d{value}"] = sizes[f"g{value}"] = _size(step.operation.shape)
        place = "0"
        for name, size in sizes.items():
            yield f"constexpr size_t {name} = {place};"
            place = f"{name} + size_t(MOST_BLOCKS) * {size}"
        for name, other in shared.items():
            yield f"constexpr size_t {name} = {other};"
        yield f"constexpr size_t scratch_place = {place};"
        stages = [step.value for step in self._plan.steps if isinstance(step, Stage)]
        most = "0"
        for value in stages:
            most = f"std::max<size_t>({most}, L{value}::SCRATCH)"
        yield f"constexpr size_t WORKSPACE = scratch_place + {most};"

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
        yield f"    place_floats(gradients, images, {classes}, m + g{self._result});"
        written: set[int] = {0}
        for step in reversed(self._plan.steps):
            for line in self._backward(step, written):
                yield f"    {line}"
        yield "}"

    def _data(self, value: int) -> str:
        """Return the place of a value: a stage that finishes nothing leaves it in y."""
        for step in self._plan.steps:
            if step.value == value and isinstance(step, Stage) and not step.finishes:
                return f"y{value}"
        return f"d{value}"

    def _pulled_by(self, step: Stage) -> Stage | None:
        """Return the stage whose result's gradient this one pulls back while it writes it."""
        before = self._stages.get(step.source)
        alone = self._readers[step.source] == 1
        needed = before and (before.normalisation or before.dropout or before.rectifies_late)
        return before if needed and alone and _kind(step) == "Convolution" else None

    def _is_pulled(self, step: Stage) -> bool:
        return any(self._pulled_by(other) is step for other in self._stages.values())

    def _forward(self, step: Stage | Junction) -> str:
        value = step.value
        if isinstance(step, Stage):
            return (
                f"forward_stage<S{value}, L{value}, training>(m + {self._data(step.source)}, "
                f"m + y{value}, m + {_pooled(step)}, m + {self._data(value)}, scratch, batch, params, "
                f"buffers, make_key(stream, step, {value}));"
            )
        inputs = [f"m + {self._data(source)}" for source in step.sources]
        if isinstance(step.operation.operator, AveragePooling):
            return f"{_average(step)}::forward({inputs[0]}, m + d{value}, batch);"
        count = f"size_t(batch.blocks) * {_size(step.operation.shape)}"
        return f"add_values({inputs[0]}, {inputs[1]}, m + d{value}, {count});"

    def _backward(self, step: Stage | Junction, written: set[int]) -> Iterator[str]:
        value = step.value
        if isinstance(step, Stage):
            adds = _truth(step.source in written and step.source != 0)
            written.add(step.source)
            wants = _truth(step.source != 0)
            target = f"m + g{step.source}" if step.source else "nullptr"
            before = self._pulled_by(step)
            source = f"S{before.value}" if before else "Nothing"
            source_place = f"m + {_pooled(before)}" if before else "nullptr"
            yield (
                f"backward_stage<S{value}, L{value}, {_truth(self._is_pulled(step))}, {wants}, "
                f"{adds}, {source}>(m + {self._data(step.source)}, m + y{value}, "
                f"m + {_pooled(step)}, m + g{value}, {target}, scratch, batch, params, grads, "
                f"make_key(stream, step, {value}), {source_place}, "
                f"make_key(stream, step, {before.value if before else 0}));"
            )
            return
        for source in step.sources:
            if source == 0:
                continue
            adds = _truth(source in written)
            written.add(source)
            if isinstance(step.operation.operator, AveragePooling):
                yield (f"{_average(step)}::backward<{adds}>(m + g{value}, m + g{source}, batch);")
            else:
                count = f"size_t(batch.blocks) * {_size(step.operation.shape)}"
                yield f"pass_gradient<{adds}>(m + g{value}, m + g{source}, {count});"

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


def _pooled(stage: Stage) -> str:
    return f"p{stage.value}" if stage.pools else f"y{stage.value}"


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
                 reinterpret_cast<V*>(memory) + d0);
}
extern "C" void place_normalised(float* memory, const float* images, int count, int pixels) {
    place_floats(images, count, pixels, reinterpret_cast<V*>(memory) + d0);
}
"""
