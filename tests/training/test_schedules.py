"""Learning-rate tables against torch's own schedulers."""

from __future__ import annotations

import pytest
import torch

from models.recipe import Constant, Cosine, MultiStep, OneCycle

EPOCHS, STEPS = 5, 7


def step_through(scheduler: torch.optim.lr_scheduler.LRScheduler, *, every: int) -> list[float]:
    """Return the rate of each step of a scheduler that is stepped once `every` steps."""
    rates = []
    for step in range(1, EPOCHS * STEPS + 1):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        if step % every == 0:
            scheduler.step()
    return rates


def make_optimizer(rate: float) -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)


def expected_rates(schedule: Constant | MultiStep | Cosine) -> list[float]:
    lr = torch.optim.lr_scheduler
    if isinstance(schedule, MultiStep):
        optimizer = make_optimizer(schedule.rate)
        multi = lr.MultiStepLR(optimizer, list(schedule.milestones), gamma=schedule.factor)
        return step_through(multi, every=STEPS)
    if isinstance(schedule, Cosine):
        cosine = lr.CosineAnnealingLR(
            make_optimizer(schedule.rate), EPOCHS * STEPS, eta_min=schedule.final
        )
        return step_through(cosine, every=1)
    return [schedule.rate] * (EPOCHS * STEPS)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(rate=0.01),
        MultiStep(rate=0.1, milestones=(2, 4)),
        MultiStep(rate=0.1, milestones=(3,), factor=0.5),
        Cosine(rate=0.2),
        Cosine(rate=0.2, final=0.01),
    ],
)
def test_tables_equal_torch_schedulers(schedule: Constant | MultiStep | Cosine) -> None:
    """Every step's rate is the one that torch's scheduler sets."""
    table = schedule.table(epochs=EPOCHS, steps_per_epoch=STEPS)
    assert table == pytest.approx(expected_rates(schedule), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [OneCycle(peak=0.1), OneCycle(peak=0.2, warmup=0.2, start_divisor=10.0, final_divisor=100.0)],
)
def test_one_cycle_equals_torch_step_by_step(schedule: OneCycle) -> None:
    """The one-cycle table is OneCycleLR's over the same total number of steps."""
    table = schedule.table(epochs=EPOCHS, steps_per_epoch=STEPS)
    optimizer = make_optimizer(0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=schedule.peak,
        total_steps=EPOCHS * STEPS,
        pct_start=schedule.warmup,
        div_factor=schedule.start_divisor,
        final_div_factor=schedule.final_divisor,
        cycle_momentum=False,
    )
    rates = []
    for step in range(EPOCHS * STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < EPOCHS * STEPS:
            scheduler.step()
    assert table == pytest.approx(rates, rel=1e-9)
