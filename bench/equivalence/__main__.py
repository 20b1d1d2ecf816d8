"""`python -m bench.equivalence --output docs/equivalence.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.challenges import CHALLENGES
from bench.datasets import Dataset, find_mnist, load_dataset, split_for_tuning
from bench.equivalence.page import Equivalence, render
from bench.equivalence.samples import (
    REFERENCE,
    TRAINING_IMAGES,
    Sample,
    explain_absence,
    take_samples,
)
from bench.errors import BenchError
from bench.iterations import Iteration, select_iterations
from bench.training.devices import choose_device, count_cores, describe_machine
from bench.training.engines import ENGINES, FASTEST

KNOWN = tuple(dict.fromkeys((*ENGINES, *FASTEST.values())))
ITERATION = "iteration_4"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the short runs of every engine and write the page."""
    options = _make_parser().parse_args(arguments)
    try:
        page = measure(options)
    except BenchError as error:
        sys.stderr.write(f"bench.equivalence: error: {error}\n")
        raise SystemExit(2) from error
    options.output.write_text(page, encoding="utf-8", newline="\n")


def measure(options: argparse.Namespace) -> str:
    """Return the page of the options.

    Raises:
        BenchError: the dataset or the device is not there.
    """
    device = choose_device(options.device)
    (iteration,) = select_iterations((ITERATION,))
    folder = find_mnist(options.data) if options.dataset == "mnist" else None
    dataset = split_for_tuning(load_dataset(CHALLENGES[options.dataset], folder))
    names = dict.fromkeys((REFERENCE, *options.engines))
    reasons = {name: explain_absence(name, iteration, device) for name in names}
    present = [name for name, reason in reasons.items() if reason is None]
    samples = _train(present, iteration, dataset, device, options.seeds)
    return render(
        Equivalence(
            iteration=iteration.name,
            dataset=options.dataset,
            training_images=min(TRAINING_IMAGES, len(dataset.training_labels)),
            validation_images=len(dataset.validation_labels),
            seeds=options.seeds,
            cores=count_cores(),
            command=_name_command(options),
            machine=describe_machine(device),
            samples=samples,
            absent=tuple((name, reason) for name, reason in reasons.items() if reason),
        )
    )


def _train(
    names: Sequence[str],
    iteration: Iteration,
    dataset: Dataset,
    device: torch.device,
    seeds: int,
) -> tuple[Sample, ...]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(name, total=seeds, start=False) for name in names}

        def advance(name: str, count: int) -> None:
            progress.start_task(tasks[name])
            progress.advance(tasks[name], count)

        return take_samples(names, iteration, dataset, device=device, seeds=seeds, advance=advance)


def _name_command(options: argparse.Namespace) -> str:
    return (
        f"python -m bench.equivalence --output docs/equivalence.md --seeds {options.seeds} "
        f"--engines {','.join(options.engines)} --device {options.device} "
        f"--dataset {options.dataset}"
    )


def _parse_engines(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in KNOWN:
            raise argparse.ArgumentTypeError(f"{name}: no engine; choose from {', '.join(KNOWN)}")
    return names


def _parse_seeds(text: str) -> int:
    if not (text.isdecimal() and 2 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text}: not a number of seeds; write one from 2 to 1000")
    return int(text)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.equivalence", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where to write the page")
    parser.add_argument("--seeds", type=_parse_seeds, default=20, help="runs of each engine")
    parser.add_argument(
        "--engines",
        type=_parse_engines,
        default=KNOWN,
        help="names with commas between them; those that cannot train here are left out",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--dataset", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data", type=Path, help="folder with MNIST/raw/*-ubyte.gz")
    return parser


if __name__ == "__main__":
    main()
