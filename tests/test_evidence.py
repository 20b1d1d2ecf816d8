"""The rules of evidence: each test names the wrong verdict that its rule prevents."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from planted_runs import CLEAN, CONDITIONS, LATEST, LUCKY, make_epoch, make_run, make_runs

from bench.challenges import DIGITS, MNIST
from bench.evidence import Evidence, Selection, run_holds, select_evidence
from bench.records import Answer, Challenge, Run, Status
from bench.verdict import judge

ENOUGH = 33
"""Clean seeds after which HOLDS is first reached at q = 0.90 (the issue's table)."""


def select(runs: Iterable[Run]) -> Selection:
    return select_evidence(runs, LATEST)


def the_evidence(runs: Iterable[Run]) -> Evidence:
    """Return the evidence of runs that are all under one set of conditions."""
    [evidence] = select(runs).evidence
    return evidence


def answer(runs: Iterable[Run]) -> Answer:
    return judge(select(runs), LATEST, MNIST).answer


def seeds(runs: Iterable[Run]) -> list[int]:
    return [run.seed for run in runs]


def test_enough_clean_seeds_hold() -> None:
    """The control of all tests here: 33 clean runs without a flaw in their evidence HOLD."""
    assert answer(make_runs(range(ENOUGH))) is Answer.HOLDS
    assert answer(make_runs(range(ENOUGH - 1))) is Answer.UNDECIDED


def test_dropping_a_bad_seed_ends_the_evidence_there() -> None:
    """Without the rule, deleting the one line of seed 7 would leave 39 clean seeds: HOLDS."""
    runs = [run for run in make_runs(range(40)) if run.seed != 7]

    evidence = the_evidence(runs)

    assert seeds(evidence.runs) == list(range(7))
    assert evidence.waiting == tuple(range(8, 40))
    assert evidence.missing == (7,)
    assert answer(runs) is Answer.UNDECIDED


def test_runs_that_wait_count_once_the_gap_is_filled() -> None:
    """Seed 7 trained at last, the seeds behind it count, in the order of their seeds."""
    runs = [run for run in make_runs(range(40)) if run.seed != 7]

    evidence = the_evidence([*runs, make_run(seed=7, final=LUCKY)])

    assert seeds(evidence.runs) == list(range(40))
    assert evidence.waiting == evidence.missing == ()


def test_every_missing_seed_is_named() -> None:
    """Seeds 2, 4 and 5 keep 3 and 6 waiting; what lies behind the last run is not missing."""
    evidence = the_evidence(make_runs([0, 1, 3, 6]))

    assert seeds(evidence.runs) == [0, 1]
    assert evidence.waiting == (3, 6)
    assert evidence.missing == (2, 4, 5)


def test_a_campaign_that_starts_at_a_lucky_seed_is_no_evidence() -> None:
    """Without the rule, choosing seeds 100 to 139 because they are good would HOLD."""
    runs = make_runs(range(100, 140))

    evidence = the_evidence(runs)

    assert evidence.runs == ()
    assert evidence.missing == tuple(range(100))
    assert answer(runs) is Answer.UNDECIDED


@settings(deadline=None)
@given(st.permutations(make_runs([0, 1, 2, 3, 5, 6, 1_000_000])))
def test_the_order_of_lines_does_not_matter(runs: list[Run]) -> None:
    """However git merged the lines, the evidence is the same."""
    evidence = the_evidence(runs)

    assert seeds(evidence.runs) == [0, 1, 2, 3]
    assert evidence.waiting == (5, 6)
    assert evidence.missing == (4,)


def test_tuning_seeds_never_count() -> None:
    """Without the rule, 40 clean runs of the seeds a recipe was tuned with would HOLD."""
    runs = make_runs(range(1_000_000, 1_000_040))

    assert select(runs).tuning == 40
    assert select(runs).evidence == ()
    assert answer(runs) is Answer.UNDECIDED


def test_tuning_begins_at_a_million() -> None:
    """Seed 999,999 is a claim seed that waits, seed 1,000,000 a tuning seed."""
    selection = select(make_runs([999_999, 1_000_000]))

    assert selection.tuning == 1
    assert selection.evidence[0].waiting == (999_999,)


def test_a_diverged_run_does_not_hold() -> None:
    """Without the rule, two runs that diverged after good epochs would count as clean: HOLDS."""
    diverged = make_runs(range(2), status=Status.DIVERGED)
    assert diverged[0].epochs == make_run().epochs

    assert not any(run_holds(run, MNIST) for run in diverged)
    assert answer([*diverged, *make_runs(range(2, 40))]) is Answer.FAILS


def test_a_run_that_diverged_in_its_first_epoch_is_a_run() -> None:
    """A run without a single epoch counts and does not hold: dropped, it would flatter."""
    runs = make_runs(range(2), status=Status.DIVERGED, epochs=(), mistakes=())

    assert len(the_evidence(runs).runs) == 2
    assert answer(runs) is Answer.FAILS


@pytest.mark.parametrize("changed", ["device", "precision", "engine", "torch"])
def test_unlike_conditions_are_never_pooled(changed: str) -> None:
    """Without the rule, 17 clean seeds here and 17 other ones there would HOLD as 34."""
    elsewhere = replace(CONDITIONS, **{changed: "another"})
    here_and_there = [
        *make_runs(range(17)),
        *make_runs(range(17, 34), conditions=elsewhere),
    ]
    assert answer(make_runs(range(34))) is Answer.HOLDS

    first, second = select(here_and_there).evidence

    assert (first.conditions, seeds(first.runs)) == (CONDITIONS, list(range(17)))
    assert (second.conditions, second.runs) == (elsewhere, ())
    assert answer(here_and_there) is Answer.UNDECIDED


def test_a_gap_is_not_filled_by_a_run_from_elsewhere() -> None:
    """Without the rule, a seed that fails on the CPU could be replaced by one from a GPU."""
    on_gpu = replace(CONDITIONS, device="cuda sm_90")
    runs = [run for run in make_runs(range(40)) if run.seed != 3]

    selection = select([*runs, make_run(seed=3, conditions=on_gpu)])

    assert selection.under(CONDITIONS) == the_evidence(runs)


def test_unlike_datasets_are_never_pooled() -> None:
    """Without the rule, 17 seeds on MNIST and 17 on a copy without its hard digits would HOLD."""
    easier = "e" * 64
    runs = [*make_runs(range(17)), *make_runs(range(17, 34), dataset=easier)]

    first, second = select(runs).evidence

    assert (len(first.runs), len(second.runs)) == (17, 0)
    assert first.dataset != second.dataset == easier
    assert answer(runs) is Answer.UNDECIDED


def test_the_same_seed_on_two_datasets_is_two_pieces_of_evidence() -> None:
    """Seeds 0 to 4 on each of two datasets are five runs twice, not ten and not five."""
    both = [*make_runs(range(5)), *make_runs(range(5), dataset="e" * 64)]

    assert [len(evidence.runs) for evidence in select(both).evidence] == [5, 5]


def test_runs_of_other_code_are_refused() -> None:
    """Without the rule, 40 clean runs of an earlier network would HOLD for today's."""
    stale = make_runs(range(40), fingerprint="0" * 64)

    assert select(stale).stale == 40
    assert select(stale).evidence == ()
    assert answer(stale) is Answer.UNDECIDED


def test_runs_of_other_code_do_not_fill_a_gap() -> None:
    """Two runs of today's code are two, whatever an earlier network did with the other seeds."""
    selection = select([*make_runs(range(2)), *make_runs(range(2, 40), fingerprint="0" * 64)])

    assert len(selection.evidence[0].runs) == 2
    assert selection.stale == 38


def test_evidence_with_the_most_runs_comes_first() -> None:
    """The default verdict is the one with the most seeds behind it, not the one read first."""
    on_gpu = replace(CONDITIONS, device="cuda sm_90")

    selection = select([*make_runs(range(3)), *make_runs(range(5), conditions=on_gpu)])

    assert [len(evidence.runs) for evidence in selection.evidence] == [5, 3]
    assert selection.under(None) == selection.evidence[0]
    assert selection.under(CONDITIONS) == selection.evidence[1]
    assert selection.under(replace(CONDITIONS, torch="1.0")) is None


def test_no_runs_are_no_evidence() -> None:
    """An empty ledger gives nothing to judge and nothing refused."""
    assert select([]) == Selection(evidence=(), stale=0, tuning=0)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_exactly_the_target_holds_and_one_image_less_does_not(epoch: int) -> None:
    """9,940 of 10,000 in every epoch of the window is 99.4 %; 9,939 in any one of them is not."""
    exact = [9_940, 9_940, 9_940]
    short = exact.copy()
    short[epoch] = 9_939

    assert run_holds(make_run(final=tuple(exact)), MNIST)
    assert not run_holds(make_run(final=tuple(short)), MNIST)


def test_the_best_epoch_never_counts() -> None:
    """Without the rule, a peak of 9,990 in epoch 12 would make a run hold that ends below."""
    assert not run_holds(make_run(final=(9_990, 9_945, 9_945, 9_939)), MNIST)
    assert run_holds(make_run(final=(9_990, 9_945, 9_945, 9_940)), MNIST)


def test_epochs_before_the_window_do_not_count() -> None:
    """A bad epoch just before the last three is forgiven: the claim is about the last three."""
    assert run_holds(make_run(final=(9_000, *CLEAN)), MNIST)


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_run_of_too_few_epochs_does_not_hold(epochs: int) -> None:
    """Without the rule, one good epoch would stand for three, and none at all for any."""
    run = make_run(epochs=(make_epoch(9_990),) * epochs)

    assert not run_holds(run, MNIST)
    assert run_holds(replace(run, epochs=(make_epoch(9_990),) * 3), MNIST)


def test_the_required_count_is_rounded_up() -> None:
    """97 % of the 359 digits are 348.23, so 349 must be right and 348 are not enough."""
    at_target = make_run(epochs=(make_epoch(349, total=359),) * 3)
    below = make_run(epochs=(make_epoch(348, total=359),) * 3)

    assert run_holds(at_target, DIGITS)
    assert not run_holds(below, DIGITS)


@settings(deadline=None)
@given(
    target=st.integers(min_value=1, max_value=10_000),
    total=st.integers(min_value=1, max_value=100_000),
)
def test_the_required_count_is_the_first_at_the_target(target: int, total: int) -> None:
    """Decimal arithmetic agrees: the required count reaches the target and one less does not."""
    challenge: Challenge = replace(MNIST, target=Fraction(target, 10_000))

    required = challenge.required(total)

    assert Decimal(required) * 10_000 >= Decimal(target) * total
    assert Decimal(required - 1) * 10_000 < Decimal(target) * total


def test_a_float_would_have_asked_for_one_image_too_many() -> None:
    """7 % of 100 images are 7, although 0.07 * 100 is above 7 in floating point."""
    assert 0.07 * 100 > 7

    assert replace(MNIST, target=Fraction("0.07")).required(100) == 7
