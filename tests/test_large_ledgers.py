"""Training goes on with a ledger file that is too large to be read with every mistake."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from planted_runs import make_epoch, make_run, plant_ledger
from rich.console import Console

import bench
from bench.campaign import Plan
from bench.challenges import DIGITS
from bench.datasets import load_embedded_digits
from bench.executors.processes import Collected, give_up
from bench.foreign import change_epochs
from bench.interruption import Interruption
from bench.iterations import list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.progress import Progress
from bench.records import LayerCost, Run
from bench.session import Outcome, Session, start_campaign, train_campaign
from bench.training.devices import describe_conditions
from bench.training.engines import EngineChoice
from bench.training.runs import Unit, count_iteration

LATEST = change_epochs(list_iterations()[-1], epochs=1)
CPU = torch.device("cpu")
PLAN = Plan(seeds=(0, 1, 2), until_decided=False, time_budget_seconds=None)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session on the digits whose ledger has every seed of the plan."""
    dataset = load_embedded_digits()
    conditions = describe_conditions(CPU, LATEST.recipe.precision, engine="eager")
    layer = LayerCost(
        name="a", kind="Linear", output_shape=(1,), parameters=1, macs=1, receptive_field=None
    )
    run = make_run(iteration=LATEST, conditions=conditions, dataset=dataset.digest)
    run = replace(
        run,
        challenge=DIGITS.name,
        cost=replace(run.cost, layers=(layer,)),
        epochs=(make_epoch(350, total=359),) * 3,
    )
    return Session(
        iterations=(LATEST,),
        challenge=DIGITS,
        dataset=dataset,
        device=CPU,
        engines={LATEST.name: EngineChoice(engine="eager", block=1, notice=None)},
        costs={LATEST.name: count_iteration(LATEST)},
        workers=1,
        ledger=plant_ledger(tmp_path, (replace(run, seed=seed) for seed in PLAN.seeds)),
    )


def go_on(session: Session) -> tuple[Outcome, tuple[Run, ...]]:
    """Start again, and return what went wrong and the runs that count."""
    campaign = start_campaign(session, PLAN)
    with Progress(Console(quiet=True), campaign) as progress:
        outcome = train_campaign(session, campaign, progress, Interruption())
    evidence = campaign.verdict(LATEST.name).evidence
    return outcome, tuple(evidence.runs) if evidence else ()


def test_a_campaign_goes_on_with_a_file_beyond_what_is_read_whole(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bound of a byte nothing is left to train, and no seed is lost."""
    monkeypatch.setattr("bench.ledger.MOST_WHOLE_FILE_BYTES", 1)
    monkeypatch.setattr("bench.claims.MOST_WHOLE_FILE_BYTES", 1)

    outcome, runs = go_on(session)

    assert outcome == Outcome()
    assert [run.seed for run in runs] == list(PLAN.seeds)


class Cramped:
    """A pool in which every block of several seeds is too wide for the memory."""

    has_room = True

    def __init__(self) -> None:
        self._units: list[Unit] = []

    @property
    def in_flight(self) -> int:
        return len(self._units)

    def submit(self, unit: Unit) -> None:
        assert unit.conditions.block > 1
        self._units.append(unit)

    def collect(self, *, timeout_seconds: float) -> Collected:
        wide = tuple(give_up(u, "no memory", too_wide=u.conditions.block) for u in self._units)
        self._units.clear()
        return Collected(given_up=wide)

    def stop(self) -> tuple[Run, ...]:
        return ()


def test_halving_a_block_reads_such_a_file_too(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of one seed a time are in the file already, so that nothing is left to train."""
    monkeypatch.setattr("bench.ledger.MOST_WHOLE_FILE_BYTES", 1)
    monkeypatch.setattr("bench.session._start_pool", lambda session, campaign: Cramped())
    pairs = {LATEST.name: EngineChoice(engine="eager", block=2, notice=None)}

    outcome, runs = go_on(dataclasses.replace(session, engines=pairs))

    assert outcome == Outcome()
    assert [(run.seed, run.conditions.block) for run in runs] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("whole", [False, True])
def test_runs_are_read_whole_where_they_are_handed_on(session: Session, *, whole: bool) -> None:
    """Else without mistakes and layers, which no verdict needs."""
    _, runs = go_on(dataclasses.replace(session, whole=whole))

    assert [bool(run.mistakes) for run in runs] == [whole] * 3
    assert [bool(run.cost.layers) for run in runs] == [whole] * 3


def test_a_result_of_recorded_runs_has_their_mistakes(session: Session) -> None:
    """`bench.run` trains none of them, and its page shows the images that they got wrong."""
    result = bench.run(
        LATEST.name,
        seeds=len(PLAN.seeds),
        epochs=1,
        challenge=DIGITS,
        ledger=session.ledger,
        device="cpu",
        engine="eager",
        progress=False,
    )

    path = ledger_path(session.ledger, DIGITS.name, LATEST.name)
    assert result.runs == read_ledger(path).runs
