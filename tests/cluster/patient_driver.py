"""Trains one seed of each iteration that is named on a cluster, with patience: run by a test."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from bench.campaign import Plan
from bench.challenges import DIGITS
from bench.datasets import load_embedded_digits
from bench.executors.cluster.connection import connect
from bench.foreign import change_epochs, find_iterations
from bench.interruption import Interruption
from bench.progress import Progress
from bench.session import Session, start_campaign, train_campaign


def main(address: str, ledger: str, seconds: str, *names: str) -> None:
    """Print why seeds were given up, a line each, and how many runs of each iteration are done."""
    iterations = find_iterations(names, recipe="iteration_1")
    with connect(address):
        from bench.executors.cluster.machines import find_machines

        machines = find_machines(
            [change_epochs(each, epochs=1) for each in iterations],
            DIGITS,
            device="cpu",
            engine="auto",
            block=None,
            most=None,
        )
        session = Session(
            iterations=tuple(found.iteration for found in machines.found.values()),
            challenge=DIGITS,
            dataset=load_embedded_digits(),
            device=machines.device,
            engines={name: found.choice for name, found in machines.found.items()},
            costs={name: found.cost for name, found in machines.found.items()},
            workers=machines.count_slots(),
            ledger=Path(ledger),
            patience_seconds=float(seconds),
            machines=machines,
        )
        plan = Plan(seeds=(0,), until_decided=False, time_budget_seconds=None)
        campaign = start_campaign(session, plan)
        with Progress(Console(quiet=True), campaign) as progress:
            outcome = train_campaign(session, campaign, progress, Interruption())
    for failure in outcome.given_up:
        print(f"{failure.iteration}: {failure.reason}")  # noqa: T201
    for name in campaign.iterations:
        print(f"{name}: {campaign.count_done(name)} done")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
