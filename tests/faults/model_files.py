"""Model files that misbehave when they are run: reported, and contained to their own runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.ledger import read_ledger
from faults.outcome import Circumstances, Outcome
from faults.samples import ENVIRONMENT, ROOT

BAD, GOOD = "iteration_9", "iteration_2"
HANG_SECONDS = 300
SOURCE = (ROOT / "models" / f"{GOOD}.py").read_text(encoding="utf-8")
STRAYS = {
    "raises at import": "raise RuntimeError('no')",
    "raises an interrupt at import": "raise KeyboardInterrupt",
    "calls sys.exit(0) at import": "import sys; sys.exit(0)",
    "calls os._exit at import": "import os; os._exit(0)",
    "loops at import": "while True: pass",
    "sleeps at import": "import time; time.sleep(10**6)",
    "kills itself at import": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "has no memory left at import": "x = bytearray(10**15)",
}
"""What a file does before there is a network: one line, exit code 2."""

CALM = {
    "prints binary at import": "import sys; sys.stdout.buffer.write(bytes(range(256)) * 9); "
    "sys.stderr.buffer.write(bytes(range(256)) * 9)",
    "closes its output at import": "import sys; sys.stdout.close()",
    "seeds the global generators at import": "import random, numpy, torch; random.seed(0); "
    "numpy.random.seed(0); torch.manual_seed(0)",
    "writes to the working directory at import": "open('stray.txt', 'w').write('x')",
    "changes the working directory at import": "import os; os.chdir('/')",
    "sets other defaults at import": "import torch; torch.set_num_threads(7)",
}
"""What does not keep a network from being trained: its runs are those of a calm file."""

TOLD = {
    "prints binary at import": "printed 4,608 bytes",
    "writes to the working directory at import": "wrote stray.txt into its working directory",
    "seeds the global generators at import": "seeds or draws from global generators",
}
"""What a user is told of it."""


def inject_strays(given: Circumstances) -> Outcome:
    """`bench run` on a file that ends, loops or raises says so in one line."""
    outcome = Outcome(fault="model file that ends, loops or raises when it is run")
    for place, (name, code) in enumerate(STRAYS.items()):
        root = _copy(given.folder / str(place), code)
        commands = [["cost", BAD], ["run", BAD, *_options(root)]]
        for arguments in commands[: given.times(2, 1)]:
            done = _bench(root, arguments)
            outcome.injected += 1
            shown = f"{name}, bench {arguments[0]}"
            if done is None:
                outcome.surprises.append(f"{shown}: hang")
                continue
            lines = [line for line in done.stderr.splitlines() if "error: " in line]
            outcome.expect(
                done.returncode == 2 and len(lines) == 1 and "Traceback" not in done.stderr,
                f"{shown}: exit code {done.returncode}, {done.stderr[-200:]!r}",
            )
    return outcome


def inject_calm(given: Circumstances) -> Outcome:
    """Files that meddle: their runs and those of a neighbour are as if they had not."""
    outcome = Outcome(fault="model file that prints, seeds, writes or changes folders when run")
    calm = _copy(given.folder / "calm", "pass")
    _bench(calm, ["run", GOOD, BAD, *_options(calm)])
    expected = [_results(calm, name) for name in (GOOD, BAD)]
    outcome.expect(all(len(each) == 2 for each in expected), "the calm file was not trained")
    for place, (name, code) in enumerate(CALM.items()):
        root = _copy(given.folder / str(place), code)
        done = _bench(root, ["run", GOOD, BAD, *_options(root)])
        outcome.injected += 1
        if done is None:
            outcome.surprises.append(f"{name}: hang")
            continue
        outcome.expect(
            done.returncode == 0 and "Traceback" not in done.stderr,
            f"{name}: exit code {done.returncode}, {done.stderr[-200:]!r}",
        )
        told = TOLD.get(name, "")
        outcome.expect(told in done.stderr, f"{name}: not reported in {done.stderr[-200:]!r}")
        outcome.expect("\x1f" not in done.stderr, f"{name}: its output is shown")
        found = [_results(root, each) for each in (GOOD, BAD)]
        outcome.runs += 4
        outcome.lost += 4 - sum(map(len, found))
        outcome.wrong += found != expected
        outcome.expect(not (root / "stray.txt").exists(), f"{name}: left a file beside the models")
    return outcome


def _copy(root: Path, code: str) -> Path:
    """Return a copy of our sources with iteration 2 once more, behind a line that misbehaves."""
    for package in ("bench", "models"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    lines = SOURCE.replace("from __future__ import annotations\n", "")
    docstring, _, rest = lines.partition('"""\n')
    path = root / "models" / f"{BAD}.py"
    path.write_text(f'{docstring}"""\nfrom __future__ import annotations\n{code}\n{rest}')
    return root


def _options(root: Path) -> list[str]:
    return [
        "--dataset", "digits", "--device", "cpu", "--epochs", "1", "--seeds", "2", "--workers",
        "2", "--ledger", str(root / "ledger"), "--page", str(root / "index.html"),
    ]  # fmt: skip


def _bench(root: Path, arguments: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command of the copy; `None` when it does not end."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments], cwd=root,
            env=ENVIRONMENT | {"PYTHONPATH": str(root)}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False, timeout=HANG_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None


def _results(root: Path, name: str) -> list[Any]:
    path = root / "ledger" / "digits" / f"{name}.jsonl"
    runs = sorted(read_ledger(path).runs, key=lambda run: run.seed)
    return [
        (run.seed, [(e.training_loss, e.validation_correct) for e in run.epochs]) for run in runs
    ]
