"""The rule by which runs that owe each other no bits are judged, and the sample they are from."""

from __future__ import annotations

import itertools
import random
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from planted_runs import CONDITIONS, LATEST, MACHINE, make_run, make_runs
from scipy import stats

from bench.challenges import MNIST
from bench.records import Run, Status
from bench.verification import (
    COMPILED_ENGINES,
    ERROR_RATE,
    THREADED_ENGINES,
    Outcome,
    Pair,
    check_on_paper,
    choose_sample,
    compare_bits,
    judge_pairs,
    must_agree,
    permute_ranks,
)

ELSEWHERE = replace(MACHINE, processor="Another CPU")


def pair_with(recorded: Run, **changes: object) -> Pair:
    return Pair(recorded=recorded, again=replace(recorded, **changes))


def change_loss(run: Run) -> Run:
    """Return a run whose last training loss is the next float."""
    last = run.epochs[-1]
    changed = replace(last, training_loss=float(np.nextafter(last.training_loss, 1)))
    return replace(run, epochs=(*run.epochs[:-1], changed))


def make_varied(count: int, *, base: int, seed: int) -> list[Run]:
    """Return runs whose final windows scatter around a count of correct images."""
    scatter = random.Random(seed)
    return [
        make_run(seed=n, final=tuple(base + scatter.randint(-6, 6) for _ in range(3)))
        for n in range(count)
    ]


def enumerate_p(new: list[int], others: list[int]) -> float:
    """Return the p of every way to choose, counted one by one."""
    ranks = stats.rankdata([*new, *others])
    centre = len(new) * (len(ranks) + 1) / 2
    found = abs(ranks[: len(new)].sum() - centre)
    sums = [abs(sum(chosen) - centre) for chosen in itertools.combinations(ranks, len(new))]
    return sum(each >= found - 1e-9 for each in sums) / len(sums)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.lists(st.integers(0, 6), min_size=0, max_size=6),
)
def test_p_is_that_of_every_permutation_counted(new: list[int], others: list[int]) -> None:
    """With ties, without, and with nothing to compare with, where p is 1."""
    p, least = permute_ranks(new, others)

    assert p == pytest.approx(enumerate_p(new, others))
    assert least <= p + 1e-12


def test_p_without_ties_is_that_of_mann_and_whitney() -> None:
    """The same as scipy's exact test."""
    new, others = [3.0, 9.0, 12.0], [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0]

    p, least = permute_ranks(new, others)

    assert p == pytest.approx(stats.mannwhitneyu(new, others, method="exact").pvalue)
    assert least == pytest.approx(2 / comb(11, 3))


def test_honest_runs_are_contradicted_as_rarely_as_stated() -> None:
    """Of 2,000 honest ledgers, of 3 runs beside 12, at most the error rate and its noise."""
    generator = np.random.default_rng(6)
    found = [
        permute_ranks(draws[:3], draws[3:])[0] <= ERROR_RATE
        for draws in generator.integers(9_930, 9_950, size=(2_000, 15)).tolist()
    ]

    assert sum(found) <= stats.binom.ppf(0.999, 2_000, ERROR_RATE)


def test_a_sample_is_its_random_seed_s_and_no_order_s() -> None:
    """The same runs on every machine and for every order of lines; another seed draws others."""
    runs = make_runs(range(50))
    backwards = choose_sample(reversed(runs), 5, random_seed=1)

    assert choose_sample(runs, 5, random_seed=1) == backwards
    assert choose_sample(runs, 5, random_seed=2) != backwards
    assert len(choose_sample(runs, 99, random_seed=1)) == 50


def test_every_seed_is_drawn_as_often_as_another() -> None:
    """Over 2,000 random seeds, each of 10 runs is drawn first about 200 times."""
    runs = make_runs(range(10))
    first = [choose_sample(runs, 1, random_seed=s)[0].seed for s in range(2_000)]

    assert stats.chisquare(np.bincount(first, minlength=10)).pvalue > 0.001


def test_the_last_bit_of_a_loss_is_enough() -> None:
    """One float beside is contradicted where bits are owed, and left to statistics elsewhere."""
    run = make_run()
    here = compare_bits(Pair(recorded=run, again=change_loss(run)))
    elsewhere = compare_bits(Pair(recorded=run, again=replace(change_loss(run), machine=ELSEWHERE)))

    assert here is not None
    assert here.outcome is Outcome.CONTRADICTED
    assert "epoch 15 has training loss 0.0625 recorded" in here.why
    assert elsewhere is None


def test_equal_bits_are_identical_wherever_they_come_from() -> None:
    """Another machine that gives the same bits is no less a proof."""
    check = compare_bits(pair_with(make_run(), machine=ELSEWHERE, wall_seconds=1.0))

    assert check is not None
    assert check.outcome is Outcome.IDENTICAL


@pytest.mark.parametrize(
    ("changes", "owed"),
    [
        ({}, True),
        ({"machine": replace(MACHINE, python="3.14.0", commit=None)}, True),
        ({"machine": replace(MACHINE, torch="2.13.1")}, False),
        ({"machine": ELSEWHERE}, False),
        ({"machine": replace(MACHINE, instructions="cpu family 25, model 1, ...")}, False),
        ({"machine": replace(MACHINE, compiler="g++ 14.1.0")}, True),
        ({"conditions": replace(CONDITIONS, torch="2.14")}, False),
    ],
)
def test_bits_are_owed_by_one_processor_and_one_torch(
    changes: dict[str, object], owed: bool
) -> None:
    """Python and the commit move none; a patch of torch may."""
    pair = pair_with(make_run(), **changes)
    assert must_agree(pair.recorded, pair.again) is owed


def test_the_native_engine_owes_bits_to_one_compiler() -> None:
    """Another compiler may arrange its sums in another order."""
    run = make_run(conditions=replace(CONDITIONS, engine="native"))
    other = replace(run, machine=replace(MACHINE, compiler="g++ 14.1.0"))

    assert must_agree(run, run)
    assert not must_agree(run, other)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_a_line_that_does_not_tell_the_processor_owes_no_bits(engine: str) -> None:
    """Lines from before it was recorded: the name alone may hide another generation."""
    machine = replace(MACHINE, instructions=None, compiler=None)
    run = make_run(conditions=replace(CONDITIONS, engine=engine), machine=machine)

    assert not must_agree(run, run)


def test_the_compiled_engines_are_those_of_the_table() -> None:
    """Whoever adds an engine that a compiler arranges must name it here."""
    from bench.training.engines import ENGINES

    assert set(ENGINES) > COMPILED_ENGINES


def test_no_bits_are_owed_by_engines_of_many_cores_and_by_gpus() -> None:
    """The number of cores is not recorded, and kernels of a GPU add in no fixed order."""
    for conditions in (
        replace(CONDITIONS, engine="plain"),
        replace(CONDITIONS, device="cuda sm_90"),
    ):
        run = make_run(conditions=conditions)
        assert not must_agree(run, run)


def test_the_engines_of_many_cores_are_those_of_the_table() -> None:
    """The names here, where torch is not imported, and the flags there."""
    from bench.training.engines import ENGINES

    assert {name for name, engine in ENGINES.items() if engine.all_cores} == THREADED_ENGINES


def test_runs_on_other_images_cannot_be_verified() -> None:
    """Neither identical nor contradicted: the images are another question."""
    check = compare_bits(pair_with(make_run(), dataset="e" * 64))

    assert check is not None
    assert check.outcome is Outcome.UNVERIFIED


def test_a_diverged_run_that_diverges_again_is_identical() -> None:
    """And one that was said to diverge, and does not, is contradicted."""
    lost = replace(make_run(), status=Status.DIVERGED, epochs=(), mistakes=())

    again, never = (
        compare_bits(pair_with(lost)),
        compare_bits(Pair(recorded=lost, again=make_run())),
    )

    assert again is not None
    assert again.outcome is Outcome.IDENTICAL
    assert never is not None
    assert never.outcome is Outcome.CONTRADICTED
    assert "diverged after 0 epochs recorded, finished after 15 here" in never.why


@pytest.mark.parametrize(
    ("base", "outcome"), [(9_940, Outcome.COMPATIBLE), (9_920, Outcome.CONTRADICTED)]
)
def test_runs_trained_elsewhere_are_judged_together(base: int, outcome: Outcome) -> None:
    """Four seeds that scatter as 20 others do, and four that are 20 images below."""
    recorded = make_varied(24, base=9_940, seed=1)
    again = make_varied(4, base=base, seed=2)
    pairs = [Pair(recorded=r, again=a) for r, a in zip(recorded, again, strict=False)]

    checks = judge_pairs(pairs, recorded, MNIST)

    assert [check.outcome for check in checks] == [outcome] * 4
    assert "like 20 other seeds recorded" in checks[0].why


def test_too_few_runs_contradict_nothing_and_say_so() -> None:
    """One run beside two cannot be unlikely: the least possible p is told."""
    recorded = make_runs(range(3))
    pair = Pair(recorded=recorded[0], again=make_run(final=(1, 1, 1)))

    (check,) = judge_pairs([pair], recorded, MNIST)

    assert check.outcome is Outcome.COMPATIBLE
    assert "at the least" in check.why


def test_copies_are_found_under_other_conditions_too() -> None:
    """A copy that says it was trained on a GPU is a copy."""
    runs = [
        make_run(seed=0),
        make_run(seed=1, conditions=replace(CONDITIONS, device="cuda sm_90")),
    ]

    checks = [c for c in check_on_paper(runs, LATEST, MNIST) if "a copy" in c.why]

    assert [check.seed for check in checks] == [1]


def test_one_seed_under_two_conditions_may_have_equal_losses() -> None:
    """Two versions of torch may well give the same bits: that is no copy."""
    runs = [make_run(), make_run(conditions=replace(CONDITIONS, torch="2.14"))]

    assert [c for c in check_on_paper(runs, LATEST, MNIST) if "a copy" in c.why] == []


def test_a_run_of_too_few_epochs_contradicts_its_recipe() -> None:
    """A finished run has as many epochs as its recipe, or it was not finished."""
    run = make_run()
    (check,) = check_on_paper([replace(run, epochs=run.epochs[:12])], LATEST, MNIST)

    assert check.why == "12 epochs of a recipe of 15"
