"""Learning-rate schedules of a recipe, as tables of one rate a step, and of one momentum a step.

Each says which of `torch.optim.lr_scheduler` it is; the tests step torch's beside the tables. The
optimiser's step number `t` (counted from 0) trains with the rate after `t` calls of the scheduler's
`step()`, which comes after each batch or after each epoch, as `per` says. Iteration files import
these from `models.recipe`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from models.recipe.optimizers import require

Per = Literal["epoch", "batch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """One learning rate from the first step to the last."""

    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        return [self.rate] * (epochs * steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """`StepLR`: times `factor` after every `every` epochs, or batches."""

    rate: float
    every: int
    factor: float = 0.1
    per: Per = "epoch"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        require(holds=self.every >= 1, text=f"every={self.every}: must be at least 1")

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""

        def reduce(rates: int) -> list[float]:
            count = -(-rates // self.every)
            levels = accumulate(
                range(1, count), lambda rate, _: rate * self.factor, initial=self.rate
            )
            return [level for level in levels for _ in range(self.every)][:rates]

        return _spread(reduce, self.per, epochs, steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiStep:
    """`MultiStepLR`: times `factor` after each epoch, or batch, in `milestones`."""

    rate: float
    milestones: tuple[int, ...]
    factor: float = 0.1
    per: Per = "epoch"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        least = min(self.milestones, default=0)
        require(holds=least >= 0, text=f"milestones: {least} is negative and never comes")

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        milestones = sorted(self.milestones)

        def reduce(rates: int) -> list[float]:
            return [self.rate * self.factor ** bisect_right(milestones, t) for t in range(rates)]

        return _spread(reduce, self.per, epochs, steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exponential:
    """`ExponentialLR`: times `factor` after every epoch, or batch."""

    rate: float
    factor: float
    per: Per = "epoch"

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        step = Step(rate=self.rate, every=1, factor=self.factor, per=self.per)
        return step.table(epochs=epochs, steps_per_epoch=steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cosine:
    """`CosineAnnealingLR`: from `rate` to `final` in `period` batches, or epochs, and back again.

    Without a period it takes the whole run, stepped once a batch (Loshchilov 2017).
    """

    rate: float
    final: float = 0.0
    period: int | None = None
    per: Per = "batch"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_rate(self.final, name="final")
        short = self.period is not None and self.period < 1
        require(holds=not short, text=f"period={self.period}: must be at least 1")

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""

        def anneal(rates: int) -> list[float]:
            if self.period is not None:
                return self._recur(rates, self.period)
            return [_cosine(self.rate, self.final, step / rates) for step in range(rates)]

        return _spread(anneal, self.per, epochs, steps_per_epoch)

    def _recur(self, rates: int, period: int) -> list[float]:
        """Return torch's own recursion: past the period, rounding makes it differ from a cosine."""

        def follow(rate: float, step: int) -> float:
            if (step - 1 - period) % (2 * period) == 0:
                return rate + (self.rate - self.final) * (1 - math.cos(math.pi / period)) / 2
            before = 1 + math.cos(math.pi * (step - 1) / period)
            now = 1 + math.cos(math.pi * step / period)
            return now / before * (rate - self.final) + self.final

        return list(accumulate(range(1, rates), follow, initial=self.rate))


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycle:
    """`OneCycleLR`: up to `peak` during the fraction `warmup`, and down below where it began.

    `momentum` is the optimiser's own throughout, `cycle_momentum=False`; or it is given as its
    lowest and highest value, and cycles against the rate: torch's default is (0.85, 0.95), for Adam
    of `beta1`, in place of what the optimiser says. `steps` are torch's `total_steps`, all of the
    run unless given; a run that has more ends with an error in torch, and is refused here.
    """

    peak: float
    warmup: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4
    anneal: Literal["cos", "linear"] = "cos"
    momentum: tuple[float, float] | Literal["constant"] = "constant"
    three_phase: bool = False
    steps: int | None = None
    per: Per = "batch"

    def __post_init__(self) -> None:
        _check_rate(self.peak, name="peak")
        require(holds=0 <= self.warmup <= 1, text=f"warmup={self.warmup}: must be from 0 to 1")
        for name in ("start_divisor", "final_divisor"):
            value = getattr(self, name)
            require(holds=value > 0, text=f"{name}={value}: must be above 0")
        if self.momentum != "constant":
            inside = all(0 <= value < 1 for value in self.momentum)
            require(holds=inside, text=f"momentum={self.momentum}: each must be from 0 to below 1")
        short = self.steps is not None and self.steps < 1
        require(holds=not short, text=f"steps={self.steps}: must be at least 1")

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps.

        Raises:
            ValueError: the run has more steps than the cycle.
        """
        start = self.peak / self.start_divisor
        end = start / self.final_divisor
        values = [start, self.peak, start, end] if self.three_phase else [start, self.peak, end]
        return self._cycle(values, epochs, steps_per_epoch)

    def momenta(self, *, epochs: int, steps_per_epoch: int) -> list[float] | None:
        """Return the momentum of each step, `None` where it is the optimiser's own.

        Raises:
            ValueError: the run has more steps than the cycle.
        """
        if self.momentum == "constant":
            return None
        low, high = self.momentum
        values = (high, low, high, high) if self.three_phase else (high, low, high)
        return self._cycle(values, epochs, steps_per_epoch)

    def _cycle(self, values: Sequence[float], epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the values that the phases, one fewer than `values`, go between."""

        def anneal(rates: int) -> list[float]:
            total = rates if self.steps is None else self.steps
            require(
                holds=rates <= total,
                text=f"steps={total}: the run has {rates} of them, and OneCycleLR stops with an "
                "error after its last; leave the number out for the whole run",
            )
            ends = [self.warmup * total - 1, float(total - 1)]
            if self.three_phase:
                ends.insert(1, float(2 * self.warmup * total) - 2)
            return [self._interpolate(step, values, ends) for step in range(rates)]

        return _spread(anneal, self.per, epochs, steps_per_epoch)

    def _interpolate(self, step: int, values: Sequence[float], ends: Sequence[float]) -> float:
        phase = next((i for i, end in enumerate(ends) if step <= end), len(ends) - 1)
        start = ends[phase - 1] if phase else 0.0
        length = ends[phase] - start
        fraction = (step - start) / length if length else 1.0  # torch divides by zero there
        first, last = values[phase], values[phase + 1]
        if self.anneal == "linear":
            return (last - first) * fraction + first
        return _cosine(first, last, fraction)


@dataclass(frozen=True, kw_only=True, slots=True)
class PiecewiseLinear:
    """Straight lines between `points`, each an epoch (0 is the start) and its learning rate.

    Before the first point the rate is its, after the last one its: `numpy.interp`. In notebooks a
    `LambdaLR`. With `per="batch"` the epoch is a fraction, with `per="epoch"` a whole number.
    """

    points: tuple[tuple[float, float], ...]
    per: Per = "batch"

    def __post_init__(self) -> None:
        require(holds=bool(self.points), text="points: must have at least one")
        epochs = [epoch for epoch, _ in self.points]
        increasing = all(a < b for a, b in pairwise(epochs))
        require(holds=increasing, text="points: their epochs must increase")
        for _, rate in self.points:
            _check_rate(rate, name="points: rate")

    def table(self, *, epochs: int, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of each of the `epochs * steps_per_epoch` steps."""
        every = steps_per_epoch if self.per == "batch" else 1

        def interpolate(rates: int) -> list[float]:
            return [self._rate(step / every) for step in range(rates)]

        return _spread(interpolate, self.per, epochs, steps_per_epoch)

    def _rate(self, epoch: float) -> float:
        after = bisect_right([each for each, _ in self.points], epoch)
        if after in (0, len(self.points)):
            return self.points[0 if after == 0 else -1][1]
        (start, first), (end, last) = self.points[after - 1 : after + 1]
        return first + (last - first) * ((epoch - start) / (end - start))


Schedule = Constant | Step | MultiStep | Exponential | Cosine | OneCycle | PiecewiseLinear


def _check_rate(rate: float, name: str = "rate") -> None:
    require(holds=rate >= 0, text=f"{name}={rate}: a learning rate must not be negative")


def _spread(
    rates: Callable[[int], list[float]], per: Per, epochs: int, steps_per_epoch: int
) -> list[float]:
    """Return one value a step: what `rates` gives for a number of scheduler steps, as stepped."""
    if per == "batch":
        return rates(epochs * steps_per_epoch)
    return [rate for rate in rates(epochs) for _ in range(steps_per_epoch)]


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * fraction))
