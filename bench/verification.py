"""What a recorded run is worth: checks on paper, and against the same seed trained again.

Nothing here trains or imports torch; docs/protocol.md (Threat model) states the rules and their
error rate.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise

import numpy as np
from msgspec import Struct
from scipy import stats

from bench.consistency import adjust_holm
from bench.iterations import Iteration
from bench.records import FIRST_TUNING_SEED, Challenge, Conditions, EpochScore, Run, Status

ERROR_RATE = 0.01
"""Chance at most that the statistical rule contradicts an honest ledger in one verification."""

MOST_OTHERS = 1_000
"""So many recorded runs at most are compared with those trained again."""

THREADED_ENGINES = frozenset({"plain"})
"""Engines that train one seed on all cores, whose number moves bits and is not recorded."""

COMPILED_ENGINES = frozenset({"native"})
"""Engines whose arithmetic a compiler on the machine arranges."""

_Scores = tuple[tuple[float, float], ...]


class Outcome(StrEnum):
    """What became of a run that was looked at."""

    IDENTICAL = "identical"
    COMPATIBLE = "compatible"
    CONTRADICTED = "contradicted"
    UNVERIFIED = "unverified"


class Check(Struct, frozen=True, kw_only=True):
    """The outcome for one run, with one sentence why."""

    iteration: str
    seed: int
    conditions: Conditions
    outcome: Outcome
    why: str


class Pair(Struct, frozen=True, kw_only=True):
    """A recorded run, and the same seed trained again."""

    recorded: Run
    again: Run


def make_check(run: Run, outcome: Outcome, why: str) -> Check:
    """Return the check of a run."""
    return Check(
        iteration=run.iteration,
        seed=run.seed,
        conditions=run.conditions,
        outcome=outcome,
        why=why,
    )


def choose_sample(runs: Iterable[Run], count: int, *, random_seed: int) -> list[Run]:
    """Return `count` runs that whoever wrote the ledger could not foresee.

    The order is that of the SHA-256 of random seed and run: the same on every machine and for every
    order of the lines.
    """
    return sorted(runs, key=lambda run: _draw(run, random_seed))[:count]


def check_on_paper(runs: Sequence[Run], iteration: Iteration, challenge: Challenge) -> list[Check]:
    """Return the runs of today's code that contradict themselves or each other, in seed order."""
    lone = [
        make_check(run, Outcome.CONTRADICTED, why)
        for run in runs
        if (why := _explain_contradiction(run, iteration, challenge)) is not None
    ]
    return sorted(lone + _find_copies(runs), key=lambda check: (check.conditions, check.seed))


def compare_bits(pair: Pair) -> Check | None:
    """Return the check that two trainings of one seed allow on their own, `None` when none.

    Identical when status, counts, losses, mistakes and parameters are; contradicted when they
    differ where they must not.
    """
    recorded, again = pair.recorded, pair.again
    if again.dataset != recorded.dataset:
        return make_check(
            recorded,
            Outcome.UNVERIFIED,
            f"recorded on images {recorded.dataset[:12]}, and those here are {again.dataset[:12]}",
        )
    difference = _find_difference(recorded, again)
    if _count_parameters(recorded) != _count_parameters(again):
        return make_check(recorded, Outcome.CONTRADICTED, difference or "")
    if difference is None and recorded.conditions == again.conditions:
        epochs = len(recorded.epochs)
        return make_check(recorded, Outcome.IDENTICAL, f"all {epochs} epochs, to the last bit")
    if not must_agree(recorded, again):
        return None
    return make_check(
        recorded, Outcome.CONTRADICTED, f"same conditions, processor and torch, but {difference}"
    )


def must_agree(recorded: Run, again: Run) -> bool:
    """Say whether two trainings of one seed owe each other the same bits.

    They do on one kind of processor with one version of torch (and for the native engine of the
    compiler), under the same conditions, by an engine that trains a seed on one core. A line that
    does not tell generation or compiler owes nothing.
    """
    return (
        recorded.conditions == again.conditions
        and recorded.conditions.device == "cpu"
        and recorded.conditions.engine not in THREADED_ENGINES
        and _tells_kind(recorded)
        and _kind(recorded) == _kind(again)
    )


def judge_pairs(
    pairs: Iterable[Pair], recorded: Iterable[Run], challenge: Challenge
) -> list[Check]:
    """Judge what need not be the same bits: the runs trained again against other recorded seeds.

    One exact permutation test for each set of runs that were recorded under one set of conditions
    and trained again under one, of the correct images in the window; Holm's correction over all.
    """
    groups: dict[tuple[object, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[(*_evidence_key(pair.recorded), pair.again.conditions)].append(pair)
    known: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in recorded:
        known[_evidence_key(run)].append(run)
    tests = [
        _compare(group, known[_evidence_key(group[0].recorded)], challenge)
        for group in groups.values()
    ]
    adjusted = adjust_holm([p for p, _, _ in tests]).tolist() if tests else []
    return [
        _conclude(pair, p, least=least, others=others)
        for group, p, (_, least, others) in zip(groups.values(), adjusted, tests, strict=True)
        for pair in group
    ]


def permute_ranks(new: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Return the exact two-sided p of the rank sum of `new` among all, and the least p possible.

    Under the null every choice of `len(new)` of all values is as likely as any other; ties share
    their mean rank (Lehmann, Nonparametrics, 1975, section 1.4).
    """
    ranks = np.rint(2 * stats.rankdata([*new, *others])).astype(int)
    chance = _spread_rank_sums(ranks, len(new))
    centre = len(new) * (len(ranks) + 1)
    away = np.abs(np.arange(len(chance)) - centre)
    possible = away[chance > 0]
    found = abs(int(ranks[: len(new)].sum()) - centre)
    return (
        min(1.0, float(chance[away >= found].sum())),
        min(1.0, float(chance[away == possible.max()].sum())),
    )


def _spread_rank_sums(ranks: np.ndarray, count: int) -> np.ndarray:
    """Return the chance of every sum of `count` ranks drawn without replacement."""
    top = int(np.sort(ranks)[-count:].sum())
    chance = np.zeros((count + 1, top + 1))
    chance[0, 0] = 1.0
    for taken, rank in enumerate(ranks.tolist()):
        left = len(ranks) - taken
        for drawn in range(min(count, taken + 1), -1, -1):
            row = chance[drawn] * (1 - max(0, count - drawn) / left)
            if drawn:
                row[rank:] += chance[drawn - 1, : top + 1 - rank] * ((count - drawn + 1) / left)
            chance[drawn] = row
    spread: np.ndarray = chance[count]
    return spread


def _draw(run: Run, random_seed: int) -> bytes:
    names = (random_seed, *map(str, _evidence_key(run)), run.seed)
    return hashlib.sha256("\n".join(map(str, names)).encode()).digest()


def _evidence_key(run: Run) -> tuple[object, ...]:
    return run.iteration, run.fingerprint, run.dataset, run.conditions


def _tells_kind(run: Run) -> bool:
    machine, compiled = run.machine, run.conditions.engine in COMPILED_ENGINES
    return machine.instructions is not None and not (compiled and machine.compiler is None)


def _kind(run: Run) -> tuple[str | None, ...]:
    machine = run.machine
    compiler = machine.compiler if run.conditions.engine in COMPILED_ENGINES else None
    processor = machine.device, machine.processor, machine.instructions
    return *processor, machine.driver, machine.system, machine.torch, compiler


def _count_parameters(run: Run) -> tuple[int, int]:
    return run.cost.parameters, run.cost.reached_parameters


def _explain_contradiction(run: Run, iteration: Iteration, challenge: Challenge) -> str | None:
    """Say in what a run of an iteration's code contradicts itself, `None` when in nothing."""
    expected = iteration.recipe.epochs
    if run.status is Status.FINISHED and len(run.epochs) != expected:
        return f"{len(run.epochs)} epochs of a recipe of {expected}"
    if len(run.epochs) > expected:
        return f"{len(run.epochs)} epochs of a recipe of {expected}"
    window = run.epochs[-challenge.window :]
    if run.status is Status.FINISHED and len(run.mistakes) != len(window):
        return f"mistakes of {len(run.mistakes)} epochs in a window of {len(window)}"
    for epoch, mistakes in zip(window, run.mistakes, strict=False):
        wrong = epoch.validation_total - epoch.validation_correct
        if run.status is Status.FINISHED and wrong != len(mistakes):
            return f"an epoch counts {wrong} wrong images and lists {len(mistakes)}"
    return None


def _find_copies(runs: Iterable[Run]) -> list[Check]:
    """Return the runs whose losses another seed has too: two seeds never agree in all digits."""
    alike: dict[tuple[str, _Scores], list[Run]] = defaultdict(list)
    for run in runs:
        if run.epochs:
            alike[run.fingerprint, _list_losses(run)].append(run)
    return [
        make_check(
            two,
            Outcome.CONTRADICTED,
            f"a copy: seed {one.seed} has the same losses to the last digit in every epoch",
        )
        for group in alike.values()
        for one, two in pairwise(sorted(group, key=lambda run: run.seed))
        if one.seed != two.seed
    ]


def _list_losses(run: Run) -> _Scores:
    return tuple((e.training_loss, e.validation_loss) for e in run.epochs)


def _find_difference(recorded: Run, again: Run) -> str | None:
    """Say where two trainings of one seed first differ, `None` when nowhere but in seconds."""
    parameters = (recorded.cost.parameters, again.cost.parameters)
    reached = (recorded.cost.reached_parameters, again.cost.reached_parameters)
    for name, (was, now) in (("parameters", parameters), ("parameters reached", reached)):
        if was != now:
            return f"{was:,} {name} recorded and {now:,} counted here"
    for number, (one, two) in enumerate(zip(recorded.epochs, again.epochs, strict=False), start=1):
        difference = _compare_epochs(one, two)
        if difference is not None:
            return f"epoch {number} {difference}"
    ends = [(run.status, len(run.epochs)) for run in (recorded, again)]
    if ends[0] != ends[1]:
        return "{} after {} epochs recorded".format(*ends[0]) + ", {} after {} here".format(
            *ends[1]
        )
    return None if recorded.mistakes == again.mistakes else "other mistakes are recorded"


def _compare_epochs(recorded: EpochScore, again: EpochScore) -> str | None:
    for name in EpochScore.__struct_fields__:
        was, now = getattr(recorded, name), getattr(again, name)
        if name != "seconds" and was != now:
            return f"has {name.replace('_', ' ')} {was} recorded and {now} here"
    return None


def _score(run: Run, challenge: Challenge) -> int:
    """Return the correct images in the window; a diverged run is worse than any other."""
    if run.status is Status.DIVERGED:
        return -1
    return sum(epoch.validation_correct for epoch in run.epochs[-challenge.window :])


def _compare(
    pairs: Sequence[Pair], recorded: Iterable[Run], challenge: Challenge
) -> tuple[float, float, int]:
    """Return p, the least p possible, and how many other seeds were compared."""
    seeds = {pair.recorded.seed for pair in pairs}
    others = [run for run in recorded if run.seed not in seeds and run.seed < FIRST_TUNING_SEED][
        :MOST_OTHERS
    ]
    again = [_score(pair.again, challenge) for pair in pairs]
    return (*permute_ranks(again, [_score(run, challenge) for run in others]), len(others))


def _conclude(pair: Pair, p: float, *, least: float, others: int) -> Check:
    recorded, again = pair.recorded, pair.again
    if recorded.conditions != again.conditions:
        where = f"trained again under {again.conditions}"
    elif not _tells_kind(recorded):
        where = "recorded without generation of the processor or compiler"
    elif _kind(recorded) != _kind(again):
        where = "trained again on another machine"
    else:
        where = "not the same bits, which these conditions do not promise"
    contradicted = p <= ERROR_RATE
    verb = "do not look" if contradicted else "look"
    return make_check(
        recorded,
        Outcome.CONTRADICTED if contradicted else Outcome.COMPATIBLE,
        f"{where}; such runs {verb} like {others} other seeds recorded (p = {p:.3g}, at the least "
        f"{least:.2g})",
    )
