"""Operations of torch by what they do to a map, named as functions and methods, without dunders."""

from __future__ import annotations

from typing import Any

from bench.anatomy import Field, Head

ACTIVATIONS = frozenset(
    (
        "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu",
        "silu", "mish", "hardswish", "hardtanh", "hardsigmoid", "sigmoid", "logsigmoid",
        "tanh", "softplus", "softsign", "clamp", "clip", "threshold", "hardshrink",
        "softshrink", "tanhshrink", "glu",
    )
)  # fmt: skip
"""Functions of one number that are no line."""

POINTWISE = frozenset(
    (
        "softmax", "log_softmax", "softmin", "add", "iadd", "radd", "sub", "isub", "rsub",
        "mul", "imul", "rmul", "div", "idiv", "truediv", "rtruediv", "true_divide", "neg",
        "abs", "pow", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "reciprocal",
        "maximum", "minimum", "where", "lerp", "addcmul", "addcdiv", "contiguous", "clone",
        "detach", "to", "float", "double", "half", "type", "cpu", "requires_grad", "identity",
        "masked_fill", "clamp_min", "clamp_max", "cat", "concat",
        "concatenate", "stack", "logsumexp", "normalize",
        "round", "zeros_like", "ones_like", "rand_like", "local_response_norm",
    )
)  # fmt: skip
"""Operations that keep positions apart; those of several tensors join them."""

NORMALISATIONS = frozenset(
    (
        "group_norm", "layer_norm", "instance_norm", "rms_norm",
    )
)  # fmt: skip
"""Normalisations other than batch normalisation; each takes its figures from a whole map or more,
which by convention does not count as seeing it."""

RESHAPES = frozenset(
    (
        "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as",
        "reshape_as", "permute", "transpose", "t", "movedim", "swapaxes",
    )
)  # fmt: skip
"""Other shapes of the same elements."""

CUTS = frozenset(
    (
        "pad", "getitem", "narrow", "chunk", "split", "unbind", "expand", "expand_as", "repeat",
        "constant_pad_nd",
    )
)  # fmt: skip
"""Parts of a map, or a map with a border."""

DROPOUTS = frozenset(
    (
        "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
        "feature_alpha_dropout",
    )
)  # fmt: skip
"""All that torch calls dropout."""

PRODUCTS = frozenset(
    (
        "matmul", "mm", "addmm",
    )
)  # fmt: skip
"""Products with a matrix of weights, as a dense layer has them."""

REDUCTIONS: dict[str, Head] = {
    "mean": "global average pooling",
    "sum": "global sum pooling",
    "amax": "global max pooling",
    "max": "global max pooling",
}
"""What a reduction of the whole map is called."""

CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
MAX_POOLING = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVERAGE_POOLING = ("input", "kernel_size", "stride", "padding", "ceil_mode")
NORM = ("input", "running_mean", "running_var", "weight", "bias", "training")
REDUCTION = ("input", "dim", "keepdim")
"""Names of arguments in the order in which torch takes them."""


def bind(names: tuple[str, ...], args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by their names; what is given by position comes first."""
    return dict(zip(names, args, strict=False)) | kwargs


def pair(value: Any) -> Field:
    """Return rows and columns of a size that may be one number for both."""
    if isinstance(value, int):
        return value, value
    sides = [int(side) for side in value]
    return sides[0], sides[-1]


def spread(kernel: Field, dilation: Field) -> Field:
    """Return the pixels between the first and the last that a dilated kernel sees."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1
