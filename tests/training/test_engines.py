"""Which engine trains is decided once, and a block of seeds goes through the pool as one unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from rich.console import Console
from torch import nn

from bench.campaign import Plan
from bench.challenges import DIGITS
from bench.commands.options import ENGINES as CHOICES
from bench.datasets import load_embedded_digits
from bench.errors import EngineError
from bench.executors import processes
from bench.foreign import change_epochs
from bench.interruption import Interruption
from bench.iterations import list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.progress import Progress
from bench.records import FIRST_TUNING_SEED, EpochScore, Run
from bench.session import Session, choose_workers, start_campaign, train_campaign
from bench.training import engines, loop
from bench.training.engines import (
    AUTO,
    ENGINES,
    BlockReport,
    Engine,
    EngineChoice,
    choose_engine,
    one_by_one,
)
from bench.training.loop import ResidentImages, Training
from bench.training.runs import Trainer, Unit, build_network, count_iteration
from models.recipe import Recipe

LATEST = change_epochs(list_iterations()[-1], epochs=1)
CPU = torch.device("cpu")


def refuse_gelu(network: nn.Module, recipe: Recipe, device: torch.device) -> str | None:
    """Refuse as an engine with few kernels would."""
    for name, module in network.named_modules():
        if isinstance(module, nn.GELU):
            return f"has no kernel for {name}: nn.GELU"
    return None


def train_pairs(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    *,
    training: ResidentImages,
    validation: ResidentImages,
    seeds: tuple[int, ...],
    width: int,
    window: int,
    report: BlockReport | None,
) -> list[Training]:
    """Train at most two seeds in one call, as an engine of blocks does."""
    assert len(seeds) <= width == 2
    return ENGINES["eager"].train(
        build, recipe, training=training, validation=validation, seeds=seeds, width=width,
        window=window, report=report,
    )  # fmt: skip


PICKY = Engine(train=one_by_one(loop.train), explain_refusal=refuse_gelu)
PAIRS = Engine(train=train_pairs, default_block=lambda *_: 2)


class PairsTrainer(Trainer):
    """A worker's trainer that knows the engine of this test."""

    def train(self, unit: Unit, report: BlockReport | None = None) -> list[Run]:
        ENGINES["pairs"] = PAIRS
        return super().train(unit, report)


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "picky", PICKY)
    monkeypatch.setitem(ENGINES, "pairs", PAIRS)
    monkeypatch.setattr(engines, "FASTEST", {"cpu": "picky"})


def choose(asked: str, network: nn.Module, block: int | None = None) -> EngineChoice:
    return choose_engine(
        asked,
        block,
        iteration="iteration_9",
        network=network,
        recipe=LATEST.recipe,
        device=CPU,
    )


def test_every_engine_can_be_asked_for() -> None:
    """The command line knows the names of the table."""
    assert set(ENGINES) <= set(CHOICES)
    assert CHOICES[0] == AUTO


def test_auto_takes_the_fastest_engine_that_can(picky: None) -> None:
    """And says in a sentence why it did not take the fastest."""
    assert choose("auto", nn.Sequential(nn.ReLU())) == EngineChoice(
        engine="picky", block=1, notice=None
    )
    assert choose("auto", nn.Sequential(nn.GELU())) == EngineChoice(
        engine="eager",
        block=1,
        notice="iteration_9 trains with the eager engine: "
        "the picky engine has no kernel for 0: nn.GELU",
    )


def test_auto_without_a_fast_engine_is_eager_and_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is not installed is no news."""
    monkeypatch.setattr(engines, "FASTEST", {"cpu": "missing"})
    assert choose("auto", nn.ReLU()) == EngineChoice(engine="eager", block=1, notice=None)


def test_an_engine_that_cannot_is_an_error_when_asked_for(picky: None) -> None:
    """One line: the engine, the iteration, why, and what to do."""
    with pytest.raises(EngineError) as error:
        choose("picky", nn.Sequential(nn.GELU()))
    assert str(error.value) == (
        "--engine picky: iteration_9: this engine has no kernel for 0: nn.GELU; use --engine eager"
    )


def test_an_engine_that_is_not_here_is_an_error(picky: None) -> None:
    """The message lists those that are."""
    with pytest.raises(EngineError, match=r"--engine missing: no such engine here; choose from"):
        choose("missing", nn.ReLU())


def test_only_engines_of_blocks_take_a_block(picky: None) -> None:
    """Their own width unless told; one for all the others, where it cannot be changed."""
    assert choose("pairs", nn.ReLU()).block == 2
    assert choose("pairs", nn.ReLU(), block=64).block == 64
    with pytest.raises(EngineError, match=r"^--block 64: iteration_9 trains with the eager"):
        choose("eager", nn.ReLU(), block=64)


def test_the_plain_engine_has_one_worker() -> None:
    """It takes all cores for one seed."""
    plain = {"iteration_4": EngineChoice(engine="plain", block=1, notice=None)}
    assert choose_workers(CPU, None, plain) == 1
    assert choose_workers(CPU, 1, plain) == 1
    with pytest.raises(EngineError, match=r"^--workers 3: the plain engine"):
        choose_workers(CPU, 3, plain)


def make_session(tmp_path: Path, engine: str, block: int) -> Session:
    return Session(
        iterations=(LATEST,),
        challenge=DIGITS,
        dataset=load_embedded_digits(),
        device=CPU,
        engines={LATEST.name: EngineChoice(engine=engine, block=block, notice=None)},
        costs={LATEST.name: count_iteration(LATEST)},
        workers=1,
        ledger=tmp_path / engine,
    )


def make_plan(*seeds: int) -> Plan:
    return Plan(seeds=seeds, until_decided=False, time_budget_seconds=None)


def test_blocks_are_seeds_of_one_iteration_in_order(tmp_path: Path) -> None:
    """As many as fit, the rest last, and never tuning seeds beside others."""
    first = FIRST_TUNING_SEED
    session = make_session(tmp_path, "pairs", block=2)
    campaign = start_campaign(session, make_plan(4, 0, 7, first, first + 1))
    handed_out = []
    while (chosen := campaign.next_block()) is not None:
        handed_out.append(chosen[1])
    assert handed_out == [(4, 0), (7,), (first, first + 1)]


class Listener(Progress):
    """Progress that remembers which epochs of which seeds it was told of."""

    def note_epoch(self, iteration: str, seed: int, epoch: int, score: EpochScore) -> None:
        told.append((seed, epoch))


told: list[tuple[int, int]] = []


def test_a_block_gives_a_run_and_a_report_for_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real worker trains three seeds in blocks of two: the numbers are those of one by one."""
    monkeypatch.setattr(processes, "Trainer", PairsTrainer)
    monkeypatch.setitem(ENGINES, "pairs", PAIRS)
    runs = {}
    for engine, block in (("eager", 1), ("pairs", 2)):
        told.clear()
        session = make_session(tmp_path, engine, block)
        campaign = start_campaign(session, make_plan(0, 1, 2))
        with Listener(Console(quiet=True), campaign) as progress:
            train_campaign(session, campaign, progress, Interruption())
        path = ledger_path(session.ledger, DIGITS.name, LATEST.name)
        runs[engine] = read_ledger(path).runs
        assert sorted(told) == [(0, 1), (1, 1), (2, 1)]
    assert [run.seed for run in runs["pairs"]] == [0, 1, 2]
    assert {run.conditions.block for run in runs["pairs"]} == {2}
    for alone, beside in zip(runs["eager"], runs["pairs"], strict=True):
        assert beside.mistakes == alone.mistakes
        assert replace(beside.epochs[0], seconds=0.0) == replace(alone.epochs[0], seconds=0.0)
        assert beside.conditions == replace(alone.conditions, engine="pairs", block=2)


def test_networks_are_built_to_look_at_without_a_trace() -> None:
    """Choosing an engine leaves the caller's random numbers alone."""
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    choose("auto", build_network(dataclasses.replace(LATEST)))
    assert torch.equal(torch.rand(4), expected)
