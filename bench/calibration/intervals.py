"""Coverage of the intervals that the report shows, and errors in families of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np
from msgspec import Struct
from scipy import stats

from bench.calibration.draws import Floats, make_generator, split_batches
from bench.consistency import adjust_holm, binomial_bounds, student_reach

CONFIDENCE = 0.95
SAMPLE_SIZES = (3, 5, 10, 30)
PASS_RATES = (0.5, 0.8, 0.9, 0.95, 0.99)
COMPARED_ITERATIONS = 6
BOOTSTRAP_RESAMPLES = 2_000
"""Resamples above five values; up to five every resample is enumerated with its weight."""

MEAN = 9_940.0


class Coverage(Struct, frozen=True, kw_only=True):
    """How many of the simulated 95 % intervals covered the truth, per sample size."""

    interval: str
    data: str
    samples: int
    covered: tuple[int, ...]


class BinomialCoverage(Struct, frozen=True, kw_only=True):
    """Exact coverage of the 95 % Clopper-Pearson interval, and its minimum over 999 pass rates."""

    runs: int
    covered: tuple[float, ...]
    minimum: float


class FamilyErrors(Struct, frozen=True, kw_only=True):
    """Families of comparisons in which at least one true "no difference" was rejected at 5 %."""

    data: str
    different: int
    seeds: int
    families: int
    corrected: int
    uncorrected: int


class Population(Struct, frozen=True, kw_only=True):
    """A distribution of a seed's images right of 10,000, with its true mean."""

    name: str
    mean: float
    draw: Callable[[np.random.Generator, tuple[int, ...]], Floats]


def draw_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from a normal distribution around the target, standard deviation 7 images."""
    return generator.normal(MEAN, 7.0, shape)


def draw_tied(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw whole images, as accuracies on MNIST are."""
    return np.rint(draw_normal(generator, shape))


def draw_skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw with a long tail of bad seeds: exponential with mean and deviation 10, downwards."""
    return MEAN + 10.0 - generator.exponential(10.0, shape)


def draw_faulty(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw whole images of which every 20th seed lacks 40: rare bad seeds, which n = 5 misses."""
    return draw_tied(generator, shape) - 40.0 * (generator.random(shape) < 0.05)


POPULATIONS = (
    Population(name="normal, sd 7 images", mean=MEAN, draw=draw_normal),
    Population(name="whole images, sd 7", mean=MEAN, draw=draw_tied),
    Population(name="skewed (exponential, sd 10)", mean=MEAN, draw=draw_skewed),
    Population(name="whole images, every 20th seed 40 worse", mean=MEAN - 2, draw=draw_faulty),
)


def measure_coverage(samples: int) -> Iterator[Coverage]:
    """Simulate Student-t, Welch and percentile-bootstrap intervals on every population."""
    intervals = (
        ("mean, Student t", _student_covers),
        ("difference of two iterations, Welch t", _welch_covers),
        ("mean, percentile bootstrap (not used)", _bootstrap_covers),
    )
    for place, (interval, covers) in enumerate(intervals):
        for row, population in enumerate(POPULATIONS):
            generator = make_generator(2, len(POPULATIONS) * place + row)
            yield Coverage(
                interval=interval,
                data=population.name,
                samples=samples,
                covered=tuple(covers(generator, population, n, samples) for n in SAMPLE_SIZES),
            )


def _student_covers(
    generator: np.random.Generator, population: Population, size: int, samples: int
) -> int:
    values = population.draw(generator, (samples, size))
    means, reach = student_reach(values, confidence=CONFIDENCE)
    return int((np.abs(means - population.mean) <= reach).sum())


def _welch_covers(
    generator: np.random.Generator, population: Population, size: int, samples: int
) -> int:
    first, second = population.draw(generator, (2, samples, size))
    return int((compare_welch(first, second) >= 1 - CONFIDENCE).sum())


def _bootstrap_covers(
    generator: np.random.Generator, population: Population, size: int, samples: int
) -> int:
    times, weights = make_resamples(generator, size)
    covered = 0
    for batch in split_batches(samples):
        values = population.draw(generator, (batch, size))
        lower, upper = bootstrap_bounds(values, times, weights)
        covered += int(((lower <= population.mean) & (population.mean <= upper)).sum())
    return covered


def compare_welch(first: Floats, second: Floats) -> Floats:
    """Return the two-sided p of Welch's test over the last axis; 1 where nothing varies at all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.ttest_ind_from_stats(
            *(first.mean(-1), first.std(-1, ddof=1), first.shape[-1]),
            *(second.mean(-1), second.std(-1, ddof=1), second.shape[-1]),
            equal_var=False,
        ).pvalue
    return np.asarray(np.nan_to_num(p, nan=1.0))


def make_resamples(generator: np.random.Generator, size: int) -> tuple[Floats, Floats]:
    """Return resamples, a row of how often each value is drawn, and each row's chance."""
    if size > 5:
        drawn = generator.multinomial(size, [1 / size] * size, BOOTSTRAP_RESAMPLES)
        return drawn.astype(float), np.full(BOOTSTRAP_RESAMPLES, 1 / BOOTSTRAP_RESAMPLES)
    multisets = combinations_with_replacement(range(size), size)
    times = np.array([np.bincount(chosen, minlength=size) for chosen in multisets])
    chances = [factorial(size) / prod(map(factorial, row)) / size**size for row in times.tolist()]
    return times.astype(float), np.array(chances)


def bootstrap_bounds(values: Floats, times: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the 2.5 % and 97.5 % percentiles of the resampled means of each row of values."""
    means = values @ times.T / values.shape[1]  # whole numbers stay exact before they are divided
    order = np.argsort(means, axis=1)
    chances = np.cumsum(weights[order], axis=1)
    tail = (1 - CONFIDENCE) / 2
    bounds = []
    for level in (tail, 1 - tail):
        place = np.argmax(chances >= level - 1e-12, axis=1)[:, None]
        column = np.take_along_axis(order, place, axis=1)
        bounds.append(np.take_along_axis(means, column, axis=1)[:, 0])
    return bounds[0], bounds[1]


def compute_binomial_coverage(runs: int) -> BinomialCoverage:
    """Sum the binomial chances of every count whose interval covers the pass rate."""
    counts = np.arange(runs + 1)
    bounds = np.array([binomial_bounds(s, runs, confidence=CONFIDENCE) for s in range(runs + 1)])

    def cover(pass_rates: Floats) -> Floats:
        inside = (bounds[:, :1] <= pass_rates) & (pass_rates <= bounds[:, 1:])
        return np.asarray((stats.binom.pmf(counts[:, None], runs, pass_rates) * inside).sum(axis=0))

    return BinomialCoverage(
        runs=runs,
        covered=tuple(cover(np.array(PASS_RATES)).tolist()),
        minimum=float(cover(np.arange(1, 1000) / 1000).min()),
    )


def measure_families(families: int) -> Iterator[FamilyErrors]:
    """Compare consecutive iterations of which none, or the first three, truly differ."""
    rows = [
        (population, different, seeds)
        for population in POPULATIONS
        for different in (0, 2)
        for seeds in SAMPLE_SIZES[1:]
    ]
    for row, (population, different, seeds) in enumerate(rows):
        generator = make_generator(3, row)
        values = population.draw(generator, (COMPARED_ITERATIONS, families, seeds))
        # Steps of 100 images, far beyond the noise, make the first comparisons true differences.
        values += 100.0 * np.minimum(np.arange(COMPARED_ITERATIONS), different)[:, None, None]
        p = compare_welch(values[:-1], values[1:]).T
        alpha = 1 - CONFIDENCE
        yield FamilyErrors(
            data=population.name,
            different=different,
            seeds=seeds,
            families=families,
            corrected=int((adjust_holm(p)[:, different:] <= alpha).any(axis=1).sum()),
            uncorrected=int((p[:, different:] <= alpha).any(axis=1).sum()),
        )
