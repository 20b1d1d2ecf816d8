"""How often `bench gate --against` is wrong, and how many pairs of seeds it takes to be right.

The rule counts signs, so what it does depends on the chance that a pair is on one side of the
margin, and on nothing else: its chances are computed exactly. They are simulated as well, with the
code of the gate's own thresholds, beside Welch's interval read once and after every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import special

import bench
from bench.baselines import DEFAULT_MARGIN
from bench.calibration.draws import Counts, Flags, Floats, make_generator, split_batches
from bench.calibration.intervals import POPULATIONS, Population, draw_normal, draw_skewed
from bench.challenges import MNIST
from bench.consistency import find_boundaries
from bench.evidence import select_evidence
from bench.findings.scores import mean_window_accuracy
from bench.iterations import MODELS, read_iteration
from bench.ledger import ledger_path, read_outlines

CONFIDENCE = 0.95
MARGIN = float(DEFAULT_MARGIN * 10_000)
"""Images of 10,000."""

PAIRS = (5, 10, 20, 33, 60, 100, 200)
MOST_PAIRS = PAIRS[-1]
FIRST_WELCH = 3
"""Runs of either side from which on Welch's interval is read."""

DEVIATIONS = (3.0, 5.0, 7.0, 10.0)
RECORDED = "iteration_4"
LEDGER = Path(bench.__file__).parent.parent / "reports" / "ledger"
TRUTHS = ("at the margin", "equal")
RULES = ("signs (used), after every pair", "Welch, once", "Welch, after every pair")

Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]


class BaselineErrors(Struct, frozen=True, kw_only=True):
    """Campaigns in which a rule was wrong by so many pairs (`PAIRS`).

    At the margin NOT WORSE is wrong, and where both are equal WORSE is.
    """

    data: str
    truth: str
    rule: str
    campaigns: int
    wrong: tuple[int, ...]


class BaselinePower(Struct, frozen=True, kw_only=True):
    """Chance that a rule has answered rightly by so many pairs; exact for the signs.

    It is that of NOT WORSE where both are equal, and of WORSE after a slip of the whole margin.
    """

    rule: str
    deviation: float | None
    right: tuple[float, ...]


def measure_baselines(campaigns: int) -> Iterator[BaselineErrors]:
    """Simulate pairs whose truth is planted, and count what each rule says wrongly."""
    for row, (data, old, new) in enumerate(_list_data()):
        shifts = _center(old, new, row)
        for column, truth in enumerate(TRUTHS):
            generator = make_generator(4, len(TRUTHS) * row + column)
            slip = -MARGIN if truth == TRUTHS[0] else 0.0
            counts = {rule: np.zeros(len(PAIRS), np.int64) for rule in RULES}
            for batch in split_batches(campaigns):
                before = old(generator, (batch, MOST_PAIRS))
                after = new(generator, (batch, MOST_PAIRS)) + slip
                for rule, said in _judge(before, after, shifts, truth):
                    counts[rule] += said[:, np.array(PAIRS) - 1].sum(axis=0)
            for rule, wrong in counts.items():
                yield BaselineErrors(
                    data=data,
                    truth=truth,
                    rule=rule,
                    campaigns=campaigns,
                    wrong=tuple(wrong.tolist()),
                )


def compute_baseline_power() -> Iterator[BaselinePower]:
    """Compute the chances of the signs by following every path, and of Welch read once."""
    yield BaselinePower(rule="wrong, whatever the data", deviation=None, right=cross_by(0.5))
    for deviation in DEVIATIONS:
        within = float(special.ndtr(MARGIN / (deviation * 2**0.5)))
        yield BaselinePower(
            rule="signs (used), after every pair", deviation=deviation, right=cross_by(within)
        )
        yield BaselinePower(rule="Welch, once", deviation=deviation, right=_welch_power(deviation))


def cross_by(chance: float) -> tuple[float, ...]:
    """Return how likely the signs refute a fair coin by so many pairs, if heads have a chance."""
    least = _find_least()
    undecided = np.zeros(MOST_PAIRS + 1)
    undecided[0], crossed, by = 1.0, 0.0, []
    for pairs in range(1, MOST_PAIRS + 1):
        undecided[1:] = undecided[1:] * (1 - chance) + undecided[:-1] * chance
        undecided[0] *= 1 - chance
        crossed += float(undecided[least[pairs - 1] :].sum())
        undecided[least[pairs - 1] :] = 0.0
        by.append(crossed)
    return tuple(by[pairs - 1] for pairs in PAIRS)


def load_recorded() -> Floats:
    """Return the window means of the committed seeds of an iteration, in images of 10,000."""
    iteration = read_iteration(MODELS / f"{RECORDED}.py")
    runs = read_outlines(ledger_path(LEDGER, MNIST.name, RECORDED)).runs
    evidence = select_evidence(runs, iteration).evidence[0]
    means = [mean_window_accuracy(run, MNIST) for run in evidence.runs]
    return np.array([float(mean * 10_000) for mean in means])


def _list_data() -> list[tuple[str, Draw, Draw]]:
    recorded = load_recorded()

    def draw_recorded(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return np.asarray(generator.choice(recorded, shape))

    alike: list[tuple[str, Population | Draw]] = [(each.name, each) for each in POPULATIONS]
    rows = [(name, each.draw, each.draw) for name, each in alike if isinstance(each, Population)]
    return [
        *rows,
        (f"recorded seeds of {RECORDED}, drawn again", draw_recorded, draw_recorded),
        ("old normal, new skewed", draw_normal, draw_skewed),
    ]


def _center(old: Draw, new: Draw, row: int) -> tuple[float, float]:
    """Return the median of a difference and the difference of means before anything is planted."""
    if old is new:
        return 0.0, 0.0
    generator = make_generator(5, row)
    difference = new(generator, (2_000_000,)) - old(generator, (2_000_000,))
    return float(np.median(difference)), float(difference.mean())


def _judge(
    before: Floats, after: Floats, shifts: tuple[float, float], truth: str
) -> Iterator[tuple[str, Flags]]:
    """Yield for each rule whether it has said the wrong thing by each number of pairs."""
    median, mean = shifts
    wrong = _read_wrong(*show_by_signs(after - median - before), truth)
    yield RULES[0], np.logical_or.accumulate(wrong, axis=1)
    welch = _read_wrong(*show_by_welch(before, after - mean), truth)
    yield RULES[1], welch
    yield RULES[2], np.logical_or.accumulate(welch, axis=1)


def _read_wrong(above_margin: Flags, below_zero: Flags, truth: str) -> Flags:
    return above_margin if truth == TRUTHS[0] else below_zero & ~above_margin


def show_by_signs(differences: Floats) -> tuple[Flags, Flags]:
    """Return whether the median is shown to be above the margin, and below zero."""
    rounded = np.round(differences, 6)  # thirds of images are not exact, and ties are meant
    least = _find_least()
    shown = [
        np.logical_or.accumulate(np.cumsum(heads, axis=1) >= least, axis=1)
        for heads in (rounded > -MARGIN, rounded < 0)
    ]
    return shown[0], shown[1]


def show_by_welch(before: Floats, after: Floats) -> tuple[Flags, Flags]:
    """Return the same by the means and one-sided bounds of Welch's t after each pair."""
    runs = np.arange(1, before.shape[1] + 1)
    moments = [_accumulate(values, runs) for values in (before, after)]
    errors = [variance / runs for _, variance in moments]
    total = errors[0] + errors[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = total**2 / ((errors[0] ** 2 + errors[1] ** 2) / (runs - 1))
        reach = special.stdtrit(degrees, CONFIDENCE) * np.sqrt(total)
    reach = np.where(total > 0, reach, 0.0)
    difference = moments[1][0] - moments[0][0]
    readable = runs >= FIRST_WELCH
    return (difference - reach > -MARGIN) & readable, (difference + reach < 0) & readable


def _accumulate(values: Floats, runs: Counts) -> tuple[Floats, Floats]:
    """Return mean and sample variance of the first 1, 2, ... values of each row."""
    origin = values[:, :1]
    centered = values - origin
    mean = np.cumsum(centered, axis=1) / runs
    squares = np.cumsum(centered**2, axis=1) - runs * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(squares, 0.0) / (runs - 1)
    return mean + origin, np.where(variance > 1e-9, variance, 0.0)


def _welch_power(deviation: float) -> tuple[float, ...]:
    """Return the chance of t's one-sided bound with equal deviations, by the noncentral t."""
    chances = []
    for pairs in PAIRS:
        degrees = 2 * (pairs - 1)
        shift = MARGIN / (deviation * (2 / pairs) ** 0.5)
        needed = special.stdtrit(degrees, CONFIDENCE)
        chances.append(1.0 - float(special.nctdtr(degrees, shift, needed)))
    return tuple(chances)


def _find_least() -> NDArray[np.int64]:
    least, _ = find_boundaries(MOST_PAIRS, reliability=Fraction(1, 2), confidence=MNIST.confidence)
    return least
