"""How long the page of a large ledger takes to write and to open: `python tests/perf --report`.

Plants 1,000 runs for each of 8 iterations, varied from those of the committed ledger; writes their
page with `bench report` in processes that cannot import torch; opens it in Chromium, and points at
seeds. The fastest of a few rounds counts, for pointing the median. Exit code 1 says that a figure
is over its budget.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bench.challenges import MNIST
from bench.errors import BenchError
from bench.iterations import MODELS, Iteration, list_iterations
from bench.ledger import encode_run, ledger_path, read_ledger
from bench.records import EpochScore, Run
from perf.stored import RESULTS, ReportCost, describe_host, read_load, write_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
ITERATIONS = 8
RUNS = 1_000
ROUNDS = 3
POINTED = 20
BUDGETS = {
    "seconds": (5.0, "s to read, judge and write"),
    "mebibytes": (6.0, "MiB of page"),
    "drawn_seconds": (2.0, "s until the first charts are drawn"),
}

WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "torchvision", "fvcore", "sklearn", "PIL"):
    sys.modules[name] = None
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""

WATCH = """
const watch = () => {
  const root = document.documentElement;
  const near = [...document.querySelectorAll("figure[data-chart]")].filter(each =>
    each.getBoundingClientRect().top < innerHeight);
  if (root?.dataset.ready && near.length && near.every(each => each.dataset.drawn))
    root.dataset.drawnAt = String(performance.now());
  else requestAnimationFrame(watch);
};
requestAnimationFrame(watch);
"""
"""Runs before the page's own scripts: when all charts in the first screen are drawn."""

POINT = """seed => new Promise(done => {
  const figure = document.querySelector('figure[data-chart="accuracy"]').figure;
  const { svg, items } = figure;
  const item = items.filter(each => each.seed === seed).at(-1);
  const box = svg.getBoundingClientRect();
  const factor = box.width / svg.viewBox.baseVal.width;
  const [clientX, clientY] = [box.left + item.px * factor, box.top + item.py * factor];
  const begun = performance.now();
  figure.stage.dispatchEvent(new PointerEvent("pointermove", {clientX, clientY, bubbles: true}));
  const lit = svg.querySelectorAll(".on").length;
  requestAnimationFrame(() => setTimeout(() => done([lit, performance.now() - begun])));
})"""
"""From the pointer's event until the frame that shows the seed has been painted."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print and store; return 1 when a figure is over its budget."""
    parser = argparse.ArgumentParser(prog="python tests/perf --report", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each of 8 iterations")
    parser.add_argument("--output", type=Path, default=RESULTS / "report.json")
    options = parser.parse_args(arguments)
    load = read_load()
    cost = measure(options.runs, load)
    write_result(options.output, cost)
    for name, (budget, what) in BUDGETS.items():
        figure = getattr(cost, name)
        print(f"{figure:.2f} {what}, budget {budget:g}{': OVER' if figure > budget else ''}")
    print(f"{cost.pointing_milliseconds:.0f} ms to light a seed")
    return int(any(getattr(cost, name) > budget for name, (budget, _) in BUDGETS.items()))


def measure(runs: int, load: float) -> ReportCost:
    """Plant a ledger of so many runs an iteration, write its page and open it."""
    _check_playwright()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant_models(folder / "models")
        size = plant_ledger(folder / "ledger", list_iterations(folder / "models"), runs)
        rounds = [write_report(folder) for _ in range(ROUNDS)]
        page = folder / "index.html"
        version, ready, drawn, pointing = open_page(page)
        return ReportCost(
            host=describe_host(load),
            iterations=ITERATIONS,
            runs=runs,
            ledger_bytes=size,
            page_bytes=page.stat().st_size,
            seconds=round(min(seconds for seconds, _, _ in rounds), 2),
            cpu_seconds=round(min(cpu for _, cpu, _ in rounds), 2),
            peak_mebibytes=round(max(peak for _, _, peak in rounds), 1),
            browser=f"Chromium {version}",
            ready_seconds=round(ready, 2),
            drawn_seconds=round(drawn, 2),
            pointing_milliseconds=round(pointing, 1),
        )


def _check_playwright() -> None:
    try:
        import playwright  # noqa: F401
    except ImportError as error:
        raise BenchError(
            "--report opens the page in Chromium by playwright, which is not installed here; "
            "`nox -s perf -- --report` installs it"
        ) from error


def plant_models(folder: Path) -> None:
    """Copy `models` and repeat its iterations until there are eight."""
    shutil.copytree(MODELS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    known = list_iterations(folder)
    for number in range(len(known) + 1, ITERATIONS + 1):
        shutil.copy(known[(number - 1) % len(known)].path, folder / f"iteration_{number}.py")


def plant_ledger(folder: Path, iterations: Sequence[Iteration], runs: int) -> int:
    """Write so many runs for each iteration, varied from real ones; return the bytes of all."""
    real = {
        iteration.fingerprint: _read_main_runs(iteration) for iteration in list_iterations(MODELS)
    }
    size = 0
    for number, iteration in enumerate(iterations):
        random = Random(number)
        pool = real.get(iteration.fingerprint) or next(iter(real.values()))
        path = ledger_path(folder, MNIST.name, iteration.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for seed in range(runs):
                run = vary(pool[seed % len(pool)], random)
                run = replace(
                    run, seed=seed, iteration=iteration.name, fingerprint=iteration.fingerprint
                )
                size += file.write(encode_run(run))
    return size


def _read_main_runs(iteration: Iteration) -> list[Run]:
    """Return an iteration's committed runs under the conditions that have most of them."""
    path = ledger_path(ROOT / "reports" / "ledger", MNIST.name, iteration.name)
    runs = read_ledger(path).runs
    conditions = [run.conditions for run in runs]
    most = max(conditions, key=conditions.count)
    return [run for run in runs if run.conditions == most]


def vary(run: Run, random: Random) -> Run:
    """Return a run whose epochs differ by a few images from those of a real one."""
    return replace(run, epochs=tuple(_vary_epoch(epoch, random) for epoch in run.epochs))


def _vary_epoch(epoch: EpochScore, random: Random) -> EpochScore:
    correct = epoch.validation_correct + random.randint(-6, 6)
    return replace(
        epoch,
        validation_correct=min(epoch.validation_total, correct),
        training_correct=epoch.training_correct - random.randrange(90),
        training_loss=epoch.training_loss * (1 + random.random() / 100),
        validation_loss=epoch.validation_loss * (1 + random.random() / 50),
    )


def write_report(folder: Path) -> tuple[float, float, float]:
    """Write the page in a process of its own; return its seconds, processor seconds and peak."""
    arguments = [
        *(sys.executable, "-c", WITHOUT_TORCH, "report"),
        *("--ledger", str(folder / "ledger"), "--page", str(folder / "index.html")),
    ]
    environment = {name: each for name, each in os.environ.items() if name != "BENCH_DATA"}
    environment["PYTHONPATH"] = str(ROOT)  # `models` is that of the folder
    begun = time.perf_counter()
    with subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise BenchError(f"bench report: exit code {process.returncode}")
    per_mebibyte = 1 << (20 if sys.platform == "darwin" else 10)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / per_mebibyte


def open_page(page: Path) -> tuple[str, float, float, float]:
    """Return the browser's version, seconds until ready and drawn, milliseconds of pointing."""
    from browser.chromium import start_chromium

    with start_chromium() as browser:
        opened = [_open_once(browser, page) for _ in range(ROUNDS)]
        pointing = _point(browser, page)
        version = browser.version
    return version, min(ready for ready, _ in opened), min(drawn for _, drawn in opened), pointing


def _open_once(browser: Browser, page: Path) -> tuple[float, float]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.add_init_script(WATCH)
    opened.goto(page.as_uri())
    opened.locator("html[data-drawn-at]").wait_for(state="attached")
    root = opened.locator("html")
    ready, drawn = (root.get_attribute(f"data-{name}") or "nan" for name in ("ready", "drawn-at"))
    opened.close()
    return float(ready) / 1e3, float(drawn) / 1e3


def _point(browser: Browser, page: Path) -> float:
    """Return the median milliseconds until a seed is lit in accuracy by epoch and its strip."""
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.goto(page.as_uri())
    chart = opened.locator('figure[data-chart="accuracy"]').first
    chart.evaluate("each => each.scrollIntoView({block: 'center', behavior: 'instant'})")
    chart.locator(".plot > svg").wait_for()
    taken = []
    for seed in range(POINTED):
        lit, milliseconds = opened.evaluate(POINT, seed)
        if not lit:
            raise BenchError("pointing at a seed lights nothing: the page has changed")
        taken.append(milliseconds)
    opened.close()
    return median(taken)
