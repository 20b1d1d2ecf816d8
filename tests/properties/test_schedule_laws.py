"""Tables of rates and momenta against torch's own schedulers, stepped beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from models.recipe import (
    SGD,
    Adadelta,
    Adam,
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Recipe,
    Schedule,
    Step,
)

Make = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
NEARLY = 1e-12
"""Relative: torch multiplies step by step what a table computes at once."""

lengths = st.tuples(st.integers(1, 12), st.integers(1, 40))
rates = st.floats(1e-5, 10)
per = st.sampled_from(["epoch", "batch"])


def step_torch(
    make: Make, *, rate: float, epochs: int, steps: int, per: str, adam: bool = False
) -> tuple[list[float], list[float]]:
    """Return rate and momentum of every step, of a loop that steps torch's scheduler as `per`."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam([parameter], lr=rate)
        if adam
        else torch.optim.SGD([parameter], lr=rate, momentum=0.9)
    )
    group = optimizer.param_groups[0]
    found: tuple[list[float], list[float]] = ([], [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps without gradients
        scheduler = make(optimizer)
        for step in range(epochs * steps):
            found[0].append(group["lr"])
            found[1].append(group["betas"][0] if adam else group["momentum"])
            if per == "batch" or (step + 1) % steps == 0:
                scheduler.step()
    return found


def check(schedule: Schedule, make: Make, length: tuple[int, int], *, rate: float) -> None:
    epochs, steps = length
    table = schedule.table(epochs=epochs, steps_per_epoch=steps)
    expected, _ = step_torch(
        make, rate=rate, epochs=epochs, steps=steps, per=getattr(schedule, "per", "batch")
    )
    np.testing.assert_allclose(table, expected, rtol=NEARLY, atol=0)


@given(length=lengths, rate=rates, every=st.integers(1, 30), factor=st.floats(0.3, 1.2), per=per)
def test_step(length: tuple[int, int], rate: float, every: int, factor: float, per: str) -> None:
    """`StepLR`, in epochs and in batches."""
    check(
        Step(rate=rate, every=every, factor=factor, per=per),  # type: ignore[arg-type]
        lambda optimizer: lr_scheduler.StepLR(optimizer, every, factor),
        length,
        rate=rate,
    )


@given(
    length=lengths,
    rate=rates,
    milestones=st.lists(st.integers(0, 60), max_size=6),
    factor=st.floats(0.1, 1.2),
    per=per,
)
def test_multi_step(
    length: tuple[int, int], rate: float, milestones: list[int], factor: float, per: str
) -> None:
    """`MultiStepLR`: milestones in any order, twice, at 0, and beyond the end."""
    check(
        MultiStep(rate=rate, milestones=tuple(milestones), factor=factor, per=per),  # type: ignore[arg-type]
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, factor),
        length,
        rate=rate,
    )


@given(length=lengths, rate=rates, factor=st.floats(0.7, 1.05), per=per)
def test_exponential(length: tuple[int, int], rate: float, factor: float, per: str) -> None:
    """`ExponentialLR`."""
    check(
        Exponential(rate=rate, factor=factor, per=per),  # type: ignore[arg-type]
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, factor),
        length,
        rate=rate,
    )


@given(length=lengths, rate=rates, period=st.integers(1, 200), final=st.floats(0, 0.01), per=per)
def test_cosine_beyond_its_period(
    length: tuple[int, int], rate: float, period: int, final: float, per: str
) -> None:
    """`CosineAnnealingLR`, which goes up again after `T_max` steps, rounding as torch does."""
    check(
        Cosine(rate=rate, final=final, period=period, per=per),  # type: ignore[arg-type]
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, period, eta_min=final),
        length,
        rate=rate,
    )


@given(length=lengths, rate=rates, per=per)
def test_cosine_over_the_whole_run(length: tuple[int, int], rate: float, per: str) -> None:
    """Without a period it is `T_max` of all the run's steps; rounding aside near its end of 0."""
    epochs, steps = length
    total = epochs if per == "epoch" else epochs * steps
    table = Cosine(rate=rate, per=per).table(epochs=epochs, steps_per_epoch=steps)  # type: ignore[arg-type]
    expected, _ = step_torch(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, total),
        rate=rate,
        epochs=epochs,
        steps=steps,
        per=per,
    )
    np.testing.assert_allclose(table, expected, rtol=1e-9, atol=1e-15)


cycles = st.builds(
    OneCycle,
    peak=rates,
    warmup=st.floats(0, 1),
    start_divisor=st.floats(1, 100),
    final_divisor=st.floats(1, 1e5),
    anneal=st.sampled_from(["cos", "linear"]),
    momentum=st.tuples(st.floats(0.5, 0.9), st.floats(0.9, 0.99)),
    three_phase=st.booleans(),
    steps=st.none() | st.integers(1, 500),
    per=per,
)


def make_one_cycle(cycle: OneCycle, total: int) -> Make:
    assert isinstance(cycle.momentum, tuple)
    low, high = cycle.momentum
    return lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=cycle.peak,
        total_steps=cycle.steps or total,
        pct_start=cycle.warmup,
        anneal_strategy=cycle.anneal,
        cycle_momentum=True,
        base_momentum=low,
        max_momentum=high,
        div_factor=cycle.start_divisor,
        final_div_factor=cycle.final_divisor,
        three_phase=cycle.three_phase,
    )


@settings(max_examples=200)
@given(cycle=cycles, length=lengths, adam=st.booleans())
def test_one_cycle_sets_rate_and_momentum(
    cycle: OneCycle, length: tuple[int, int], adam: bool
) -> None:
    """`OneCycleLR` with all its arguments; a run longer than the cycle is an error of both."""
    epochs, steps = length
    total = epochs if cycle.per == "epoch" else epochs * steps

    def run_torch() -> tuple[list[float], list[float]]:
        return step_torch(
            make_one_cycle(cycle, total),
            rate=0.1,
            epochs=epochs,
            steps=steps,
            per=cycle.per,
            adam=adam,
        )

    if cycle.steps is not None and total > cycle.steps:
        with pytest.raises(ValueError, match=f"steps={cycle.steps}: the run has {total}"):
            cycle.table(epochs=epochs, steps_per_epoch=steps)
        with pytest.raises((ValueError, ZeroDivisionError)):
            run_torch()
        return
    try:
        expected = run_torch()
    except ZeroDivisionError:  # of a phase of no length, which torch cannot compute
        return
    rates = cycle.table(epochs=epochs, steps_per_epoch=steps)
    momenta = cycle.momenta(epochs=epochs, steps_per_epoch=steps)
    np.testing.assert_allclose(rates, expected[0], rtol=NEARLY, atol=0)
    np.testing.assert_allclose(momenta or [], expected[1], rtol=NEARLY, atol=0)


def test_torchs_defaults_of_a_cycle() -> None:
    """Fields left out are torch's arguments left out, the momentum aside."""
    cycle = OneCycle(peak=0.1, momentum=(0.85, 0.95))
    expected = step_torch(
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=3, steps_per_epoch=20),
        rate=0.1,
        epochs=3,
        steps=20,
        per="batch",
    )
    np.testing.assert_allclose(cycle.table(epochs=3, steps_per_epoch=20), expected[0], rtol=NEARLY)
    momenta = cycle.momenta(epochs=3, steps_per_epoch=20)
    np.testing.assert_allclose(momenta or [], expected[1], rtol=NEARLY)
    assert OneCycle(peak=0.1).momenta(epochs=3, steps_per_epoch=20) is None


@given(
    length=lengths,
    knots=st.lists(
        st.tuples(st.floats(0, 15), st.floats(0, 1)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0],
    ),
)
def test_lines_between_points(length: tuple[int, int], knots: list[tuple[float, float]]) -> None:
    """`numpy.interp` at each batch's epoch, as a `LambdaLR` of notebooks has it."""
    epochs, steps = length
    points = tuple(sorted(knots))
    x, y = zip(*points, strict=True)
    table = PiecewiseLinear(points=points).table(epochs=epochs, steps_per_epoch=steps)
    expected = np.interp(np.arange(epochs * steps) / steps, x, y)
    np.testing.assert_allclose(table, expected, rtol=1e-6, atol=1e-12)
    whole = PiecewiseLinear(points=points, per="epoch").table(epochs=epochs, steps_per_epoch=steps)
    np.testing.assert_allclose(
        whole, np.repeat(np.interp(range(epochs), x, y), steps), rtol=1e-6, atol=1e-12
    )


def test_a_constant_rate_is_constant() -> None:
    assert Constant(rate=0.3).table(epochs=2, steps_per_epoch=2) == [0.3] * 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Constant(rate=-1), "rate=-1"),
        (lambda: Step(rate=1, every=0), "every=0"),
        (lambda: MultiStep(rate=1, milestones=(-1,)), "milestones: -1"),
        (lambda: Cosine(rate=1, period=0), "period=0"),
        (lambda: OneCycle(peak=1, warmup=1.5), "warmup=1.5"),
        (lambda: OneCycle(peak=1, start_divisor=0), "start_divisor=0"),
        (lambda: OneCycle(peak=1, momentum=(0.9, 1.0)), "momentum="),
        (lambda: OneCycle(peak=1, steps=0), "steps=0"),
        (lambda: PiecewiseLinear(points=()), "at least one"),
        (lambda: PiecewiseLinear(points=((1, 1), (1, 2))), "must increase"),
        (lambda: SGD(nesterov=True), "needs a momentum"),
        (lambda: Adam(beta1=1), "beta1=1"),
        (
            lambda: Recipe(
                optimizer=Adadelta(),
                schedule=OneCycle(peak=1, momentum=(0.85, 0.95)),
                batch_size=1,
                epochs=1,
            ),
            "Adadelta has no momentum",
        ),
    ],
)
def test_values_that_mean_nothing_are_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
