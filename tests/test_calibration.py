"""The simulations against closed forms, scipy and hand-made campaigns; the page against both."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.calibration.__main__ import main
from bench.calibration.draws import make_generator, split_batches
from bench.calibration.intervals import (
    POPULATIONS,
    Population,
    bootstrap_bounds,
    compare_welch,
    compute_binomial_coverage,
    make_resamples,
    measure_coverage,
    measure_families,
)
from bench.calibration.page import (
    Calibration,
    Sizes,
    calibrate,
    cut_percent,
    lift_percent,
    render,
)
from bench.calibration.rivals import (
    PLANTED,
    Campaigns,
    claim_best_epoch,
    claim_bootstrap,
    claim_five_of_five,
    claim_repeated_t_test,
    claim_trimmed,
    compute_pass_rate,
    find_mean,
    simulate_campaigns,
)
from bench.calibration.verdicts import VerdictRates, judge_campaigns, measure_verdicts
from bench.consistency import decide, find_boundaries
from bench.records import Answer

PAGE = Path(__file__).parents[1] / "docs" / "calibration.md"
SMALL = Sizes(verdicts=300, rivals=100, samples=200, baselines=50)
Q, CONFIDENCE = Fraction("0.90"), Fraction("0.95")


@pytest.fixture(scope="module")
def small() -> Calibration:
    return calibrate(SMALL)


def read_tables(text: str) -> list[list[list[str]]]:
    """Return the rows of every Markdown table without its header and rule."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    return [
        [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block[2:]]
        for block in blocks
    ]


def percent(cell: str) -> float:
    return float(cell.removesuffix(" %"))


def make_campaign(last_epochs: list[int], best_of_first: int = 9_900) -> Campaigns:
    """Return one campaign whose every window is flat at the given score of its seed."""
    windows = np.repeat(np.array(last_epochs, float)[None, :, None], 3, axis=2)
    earlier = np.full((1, 12), float(best_of_first))
    return Campaigns(windows=windows, first_seed=np.concatenate((earlier, windows[:, 0]), axis=1))


# Wrong verdicts


@pytest.mark.parametrize("pass_rate", [0.3, 0.88, 0.93, 0.99])
def test_campaigns_are_judged_as_decide_judges_them(pass_rate: float) -> None:
    """Forty random campaigns of 120 runs end in the answer that `decide` gives."""
    runs = np.random.default_rng(3).random((40, 120)) < pass_rate

    holds, fails = judge_campaigns(runs, find_boundaries(120, reliability=Q, confidence=CONFIDENCE))

    for path, held, failed in zip(runs, holds, fails, strict=True):
        answer = decide(path.tolist(), reliability=Q, confidence=CONFIDENCE).answer
        assert (answer is Answer.HOLDS, answer is Answer.FAILS) == (held, failed)


def test_simulated_rates_agree_with_exact_chances() -> None:
    """Every row of 4,000 campaigns lies within four and a half standard errors of the exact one."""
    for row in measure_verdicts(4_000):
        for count, chance in ((row.holds, row.exact_holds), (row.fails, row.exact_fails)):
            error = np.sqrt(max(chance * (1 - chance), 1e-12) / row.campaigns)
            assert abs(count / row.campaigns - chance) <= 4.5 * error + 1e-9


@pytest.mark.parametrize(("p", "wrong"), [("0.899", 7), ("0.90", 3), ("0.91", 3)])
def test_holds_is_wrong_below_the_reliability_and_fails_at_it_and_above(p: str, wrong: int) -> None:
    """Of 7 HOLDS and 3 FAILS the HOLDS are wrong when p < q, the FAILS when p >= q."""
    row = VerdictRates(
        reliability=Q,
        pass_rate=Fraction(p),
        campaigns=100,
        holds=7,
        fails=3,
        exact_holds=0.07,
        exact_fails=0.03,
    )

    assert row.wrong == wrong
    assert row.exact_wrong == wrong / 100
    one_sided = stats.binomtest(wrong, 100, alternative="less").proportion_ci(0.99, "exact")
    assert row.wrong_at_most == pytest.approx(one_sided.high)


def test_rows_draw_from_generators_of_their_own() -> None:
    """A row's numbers depend on its table and place alone, and batches add up."""
    assert make_generator(1, 2).random() == make_generator(1, 2).random()
    assert len({make_generator(t, r).random() for t, r in product(range(3), repeat=2)}) == 9
    assert list(split_batches(2_500, 1_000)) == [1_000, 1_000, 500]


# Coverage and comparisons


@pytest.mark.parametrize("population", POPULATIONS, ids=lambda population: population.name)
def test_populations_have_the_mean_that_they_state(population: Population) -> None:
    """The mean of 200,000 draws lies within five standard errors of the stated one."""
    values = population.draw(np.random.default_rng(5), (200_000,))

    assert abs(values.mean() - population.mean) <= 5 * values.std() / 200_000**0.5


def test_bootstrap_bounds_are_those_of_all_resamples() -> None:
    """At n = 3 the bounds equal the percentiles over all 27 resamples, written out."""
    values = np.array([[9_938.0, 9_941.0, 9_950.0], [9_940.0, 9_940.0, 9_931.0]])
    times, weights = make_resamples(np.random.default_rng(0), 3)

    lower, upper = bootstrap_bounds(values, times, weights)

    for row, low, high in zip(values, lower, upper, strict=True):
        means = [sum(chosen) / 3 for chosen in product(row, repeat=3)]
        expected = np.percentile(means, [2.5, 97.5], method="inverted_cdf")
        assert (low, high) == pytest.approx(tuple(expected))
    assert weights.sum() == pytest.approx(1)


def test_large_samples_are_resampled_at_random() -> None:
    """At n = 30 every resample draws thirty values, and the bounds are near numpy's."""
    values = np.random.default_rng(1).normal(size=30)
    times, weights = make_resamples(np.random.default_rng(2), 30)

    lower, upper = bootstrap_bounds(values[None], times, weights)

    assert set(times.sum(axis=1)) == {30.0}
    drawn = values[np.random.default_rng(3).integers(0, 30, (20_000, 30))].mean(axis=1)
    assert (lower[0], upper[0]) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.05)


def test_iterations_are_compared_by_welchs_test() -> None:
    """The p-values equal scipy's on each pair; samples without any spread are not different."""
    first, second = np.random.default_rng(9).normal(size=(2, 4, 5)) * [[[1.0]], [[3.0]]]

    expected = stats.ttest_ind(first, second, axis=1, equal_var=False).pvalue

    np.testing.assert_allclose(compare_welch(first, second), expected)
    assert compare_welch(np.ones((1, 3)), np.ones((1, 3))).tolist() == [1.0]


def test_binomial_coverage_sums_the_chances_of_the_counts_that_cover() -> None:
    """At n = 5 the coverage equals a sum written with scipy.stats.binomtest."""
    coverage = compute_binomial_coverage(5)

    for p, covered in zip((0.5, 0.8, 0.9, 0.95, 0.99), coverage.covered, strict=True):
        inside = [
            stats.binom.pmf(s, 5, p)
            for s in range(6)
            if (ci := stats.binomtest(s, 5).proportion_ci(0.95, "exact")).low <= p <= ci.high
        ]
        assert covered == pytest.approx(sum(inside))
    assert 0.95 <= coverage.minimum <= min(coverage.covered)


def test_student_t_covers_what_it_claims_and_the_bootstrap_does_not() -> None:
    """On normal data, 2,000 samples: Student t 95 % within two points, bootstrap below 90 %."""
    rows = {(row.interval, row.data): row for row in measure_coverage(2_000)}

    student = rows["mean, Student t", POPULATIONS[0].name]
    bootstrap = rows["mean, percentile bootstrap (not used)", POPULATIONS[0].name]
    assert all(abs(n / 2_000 - 0.95) < 0.02 for n in student.covered)
    assert all(n / 2_000 < 0.90 for n in bootstrap.covered[:2])


def test_holm_keeps_the_family_below_five_percent_and_nothing_else_does() -> None:
    """On normal data Holm's rate is at most 5 % within four standard errors; without, above 8 %."""
    for row in measure_families(3_000):
        assert row.corrected / 3_000 <= 0.05 + 4 * (0.05 * 0.95 / 3_000) ** 0.5
        if row.data == POPULATIONS[0].name:
            assert row.uncorrected / 3_000 > 0.08


# What others do


def test_five_of_five_asks_for_five_seeds_that_hold() -> None:
    """One image short in one of the five is refused; the sixth seed does not count."""
    assert claim_five_of_five(make_campaign([9_940] * 5 + [9_900]))
    assert not claim_five_of_five(make_campaign([9_940] * 4 + [9_939, 9_990]))


def test_dropping_the_worst_forgives_one_seed() -> None:
    """One failing seed of five is dropped as the worst; of two, one remains."""
    assert claim_trimmed(make_campaign([9_940, 9_940, 9_000, 9_940, 9_940]))
    assert not claim_trimmed(make_campaign([9_940, 9_000, 9_000, 9_940, 9_940]))


def test_the_best_epoch_of_one_seed_is_enough_for_those_who_take_it() -> None:
    """One lucky epoch of the first seed claims success, whatever the others do."""
    assert claim_best_epoch(make_campaign([9_930] * 5, best_of_first=9_940))
    assert not claim_best_epoch(make_campaign([9_939] + [9_990] * 4, best_of_first=9_939))


def test_the_repeated_t_test_stops_at_the_first_small_p() -> None:
    """Claims as soon as one prefix has one-sided p < 0.05 by scipy, even if all twenty do not."""
    lucky = [9_941, 9_942, 9_943] + [9_930] * 17
    unlucky = [9_941, 9_935, 9_943] + [9_930] * 17

    for scores, claimed in ((lucky, True), (unlucky, False)):
        p = [
            stats.ttest_1samp(scores[:n], 9_940, alternative="greater").pvalue for n in range(3, 21)
        ]
        assert (min(p) < 0.05) == claimed
        assert claim_repeated_t_test(make_campaign(scores))[0] == claimed


def test_the_bootstrap_claims_when_its_lower_bound_is_at_the_target() -> None:
    """Five seeds exactly at the target claim success; one that is far below is resampled."""
    assert claim_bootstrap(make_campaign([9_940] * 5))
    assert not claim_bootstrap(make_campaign([9_941] * 4 + [9_930]))


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_shares_are_what_simulated_seeds_do(planted: float) -> None:
    """Of 60,000 simulated seeds the planted share holds, within five standard errors."""
    campaigns = simulate_campaigns(np.random.default_rng(4), find_mean(planted), 200)

    assert compute_pass_rate(find_mean(planted)) == pytest.approx(planted)
    error = (planted * (1 - planted) / 60_000) ** 0.5
    assert abs(campaigns.holds.mean() - planted) <= 5 * error


# The page


def test_figures_never_look_better_than_they_are() -> None:
    """Error rates are rounded up and coverages cut off."""
    assert lift_percent(Fraction(50_001, 1_000_000)) == "5.01 %"
    assert lift_percent(Fraction(5, 100)) == "5.00 %"
    assert cut_percent(0.94999) == "94.99 %"
    assert cut_percent(Fraction(95, 100)) == "95.00 %"


def test_the_page_is_the_same_every_time(small: Calibration) -> None:
    """Simulating and rendering again gives the same text."""
    assert render(calibrate(SMALL)) == render(small)


def test_the_command_asks_where_to_write() -> None:
    """Without --output it is a usage error."""
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_the_committed_page_has_the_shape_of_the_code(small: Calibration) -> None:
    """Same titles, tables, truths and names as a small calibration renders now."""
    committed, rendered = PAGE.read_text(encoding="utf-8"), render(small)

    def outline(text: str) -> list[object]:
        headers = [
            line for line in text.splitlines() if line.startswith(("#", "| rule", "| asked"))
        ]
        names = [[row[:2] for row in table] for table in read_tables(text)[:2]]
        return [headers, names, [len(table) for table in read_tables(text)]]

    assert outline(committed) == outline(rendered)


def test_the_committed_exact_figures_are_what_the_code_computes(small: Calibration) -> None:
    """Exact chances, worst cases and binomial coverage depend on no random number."""
    committed, rendered = (
        read_tables(text) for text in (PAGE.read_text(encoding="utf-8"), render(small))
    )

    assert [row[-1] for row in committed[1]] == [row[-1] for row in rendered[1]]
    assert committed[2] == rendered[2]
    assert committed[4] == rendered[4]


def test_the_committed_verdicts_are_wrong_in_at_most_five_percent() -> None:
    """Every row: at least 20,000 campaigns, wrong at most 5 %, upper 99 % bound at most 5.5 %."""
    text = PAGE.read_text(encoding="utf-8")
    _, verdicts, worst, *_ = read_tables(text)

    assert Sizes().verdicts >= Sizes().rivals >= 20_000
    assert f"{Sizes().verdicts:,} campaigns a row" in text
    assert len(verdicts) >= 3 * 5
    for row in verdicts:
        assert percent(row[5]) <= 5
        assert percent(row[6]) <= 5.5
        assert percent(row[7]) <= 5
    assert all(percent(cell) <= 5 for row in worst for cell in row[1:])


def test_the_committed_intervals_cover_what_they_claim() -> None:
    """Student t on normal data 94 to 96.5 % at n >= 5, the exact binomial at least 95 %."""
    _, _, _, coverage, binomial, families, *_ = read_tables(PAGE.read_text(encoding="utf-8"))

    student = next(row for row in coverage if row[:2] == ["mean, Student t", POPULATIONS[0].name])
    assert all(94 <= percent(cell) <= 96.5 for cell in student[3:])
    assert all(percent(cell) >= 95 for row in binomial for cell in row[1:])
    assert all(percent(row[3]) <= 5 for row in families)
