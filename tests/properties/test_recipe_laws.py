"""Recipe files: what is written is read again, and no text is anything but a recipe or an error."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import RecipeError
from bench.recipe_text import write_recipe
from bench.recipes import parse_recipe
from models.recipe import (
    EMA,
    SGD,
    SWA,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Affine,
    CenterCrop,
    ColorJitter,
    Constant,
    Cosine,
    Exponential,
    GaussianBlur,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Pipeline,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    Recipe,
    Resize,
    RMSprop,
    Step,
)

shares = st.floats(0, 1)
small = st.floats(0, 0.99)
rates = st.floats(0, 10)
counts = st.integers(1, 1000)
per = st.sampled_from(["epoch", "batch"])
interpolation = st.sampled_from(["nearest", "bilinear"])
angles = st.floats(0, 90) | st.tuples(st.floats(-90, 0), st.floats(0, 90))

optimizers = st.one_of(
    st.builds(SGD, momentum=st.floats(0.1, 1), nesterov=st.booleans(), weight_decay=shares),
    st.builds(SGD, momentum=small, dampening=shares),
    st.builds(Adam, beta1=small, beta2=small, epsilon=rates, amsgrad=st.booleans()),
    st.builds(AdamW, beta1=small, weight_decay=shares),
    st.builds(RMSprop, alpha=shares, momentum=shares, centered=st.booleans()),
    st.builds(Adagrad, rate_decay=shares, initial_accumulator=shares),
    st.builds(Adadelta, rho=shares),
)
schedules = st.one_of(
    st.builds(Constant, rate=rates),
    st.builds(Step, rate=rates, every=counts, factor=shares, per=per),
    st.builds(
        MultiStep, rate=rates, milestones=st.lists(st.integers(0, 99)).map(tuple), factor=shares
    ),
    st.builds(Exponential, rate=rates, factor=shares, per=per),
    st.builds(Cosine, rate=rates, final=rates, period=st.none() | counts, per=per),
    st.builds(
        OneCycle,
        peak=rates,
        warmup=shares,
        anneal=st.sampled_from(["cos", "linear"]),
        three_phase=st.booleans(),
        per=per,
    ),
    st.builds(
        PiecewiseLinear,
        points=st.lists(st.tuples(st.integers(0, 99), rates), min_size=1, unique_by=lambda p: p[0])
        .map(sorted)
        .map(tuple),
        per=per,
    ),
)
transforms = st.one_of(
    st.builds(RandomRotation, degrees=angles, interpolation=interpolation, fill=st.just(1)),
    st.builds(RandomAffine, degrees=angles, translate=st.tuples(shares, shares), shear=angles),
    st.builds(RandomPerspective, distortion_scale=shares, p=shares),
    st.builds(CenterCrop, size=counts),
    st.builds(Resize, size=counts, interpolation=interpolation),
    st.builds(RandomCrop, size=counts, padding=st.integers(0, 9)),
    st.builds(RandomResizedCrop, size=counts, scale=st.just((0.5, 1.0))),
    st.builds(ColorJitter, brightness=shares, hue=st.floats(0, 0.5)),
    st.builds(GaussianBlur, kernel_size=st.sampled_from([1, 3, 5])),
)
groups = st.builds(RandomApply, transforms=st.lists(transforms, max_size=3).map(tuple), p=shares)
parts = st.lists(transforms | groups, max_size=3).map(tuple)
recipes = st.builds(
    Recipe,
    optimizer=optimizers,
    schedule=schedules,
    batch_size=st.integers(1, 65_536),
    epochs=st.integers(1, 50),
    augmentation=st.none()
    | st.builds(Affine, degrees=shares, scale=st.just((0.9, 1.1)))
    | st.builds(
        Pipeline,
        pictures=parts,
        tensors=parts,
        normalised=st.just((RandomErasing(p=0.5),)),
    ),
    label_smoothing=shares,
    averaging=st.none() | st.builds(EMA, decay=shares) | st.builds(SWA, start=counts),
    precision=st.sampled_from(["fp32", "bf16"]),
)


@given(recipe=recipes)
def test_a_recipe_that_is_written_is_read_again(recipe: Recipe) -> None:
    """All types, all their fields."""
    assert parse_recipe(write_recipe(recipe), origin="file") == recipe


values = st.sampled_from(
    [
        "0", "-1", "1e400", "nan", "-inf", "9" * 40, '""', '"SGD"', '"cos"', '"\\u0000"', "true",
        "[]", "[1]", "[1, 2]", "[[1, 2]]", '["a"]', "{}", '{ kind = "Resize" }',
        '[{ kind = "Resize" }]', "[{}]", "1979-05-27", "[" * 50 + "]" * 50,
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(recipe=recipes, value=values, data=st.data())
def test_a_wrong_value_anywhere_is_an_error_of_one_line(
    recipe: Recipe, value: str, data: st.DataObject
) -> None:
    """Or a recipe, where the value will do; never a traceback."""
    lines = write_recipe(recipe).splitlines()
    settable = [number for number, line in enumerate(lines) if " = " in line]
    chosen = data.draw(st.sampled_from(settable))
    lines[chosen] = f"{lines[chosen].split(' = ')[0]} = {value}"
    check("\n".join(lines))


@given(recipe=recipes, data=st.data())
def test_a_line_less_or_more_is_an_error_of_one_line(recipe: Recipe, data: Any) -> None:
    lines = write_recipe(recipe).splitlines()
    chosen = data.draw(st.integers(0, len(lines) - 1))
    check("\n".join(lines[:chosen] + lines[chosen + 1 :]))
    check("\n".join([*lines[:chosen], "lr = 1", *lines[chosen:]]))


def check(text: str) -> None:
    message = ""
    try:
        parse_recipe(text, origin="file")
    except RecipeError as error:
        message = str(error)
    assert message == "" or message.startswith("file: ")
    assert len(message.splitlines()) < 2 or "not valid TOML" in message
    assert len(message) < 700
