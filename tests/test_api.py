"""`from bench import ...`: names, models, results, and the example of docs/api.md."""

from __future__ import annotations

import functools
import importlib
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from export_reader import need
from msgspec.structs import replace
from planted_runs import CLEAN, LATEST, LUCKY, make_run, make_runs, plant_ledger

import bench
from bench.api.counts import MOST_BLOCK, MOST_EPOCHS, MOST_WORKERS
from bench.api.models import find_iteration
from bench.api.running import _make_plan
from bench.commands.run import command as run_command
from bench.errors import BenchError, IterationError, SettingsError
from bench.interruption import Interruption
from models.recipe import SGD, Constant, OneCycle, Recipe

ROOT = Path(bench.__file__).parent.parent
DOC = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
RECIPE = Recipe(optimizer=SGD(momentum=0.9), schedule=Constant(rate=0.1), batch_size=64, epochs=5)
NETWORK = """
import math

from torch import nn

UNUSED = 7
WIDTH = 8
CLASSES = 10


def pick(width=WIDTH):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.Linear(width, CLASSES))


class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.layers = pick(width)

    def forward(self, images):
        return self.layers(images)
"""


def python(program: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *more, *(("-c", program) if program else ())],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Any:
    """Return an imported module with a network and a function that returns one."""
    (tmp_path / "nets.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    return importlib.import_module("nets")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Any:
    """Return a main module that has executed cells, as a notebook's kernel keeps them."""
    main = types.ModuleType("__main__")
    cells = ["", "%matplotlib inline\nimport torch", NETWORK, "bench.run(Net)"]
    main.In = cells
    exec(NETWORK, vars(main))  # noqa: S102
    monkeypatch.setitem(sys.modules, "__main__", main)
    return main


@pytest.mark.parametrize("call", ["bench.run(Net)", "from bench import run\nrun(Net, seeds=2)"])
def test_our_own_calls_are_no_part_of_a_network(notebook: Any, call: str) -> None:
    """A cell that hands a class to `bench.run` does not change it, and is not cut out with it."""
    notebook.In[3] = call

    written = find_iteration(notebook.Net, RECIPE, {}).path.read_text()

    assert "run(" not in written
    assert "bench" not in written


def test_every_name_is_there_and_documented() -> None:
    """`bench.__all__` is the one list: each name can be had, and docs/api.md tells of it."""
    for name in bench.__all__:
        assert getattr(bench, name) is not None
        assert f"`bench.{name}" in DOC
    assert set(bench.__all__) <= set(dir(bench))
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        bench.train  # noqa: B018


@pytest.mark.parametrize("program", ["import bench", "import bench; bench.__version__"])
def test_importing_bench_is_quick(program: str, tmp_path: Path) -> None:
    """It loads nothing that computes, and the version, which the build reads, needs nothing."""
    done = python(f"{program}; import sys; print(*sys.modules)", tmp_path)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "bench" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "scipy", "msgspec", "rich", "click", "models"})


def test_judging_needs_no_torch(tmp_path: Path) -> None:
    """Nor do the result, its page and its picture."""
    plant_ledger(tmp_path / "ledger", make_runs(range(33)))
    program = """
import sys
sys.modules["torch"] = None
import bench
result = bench.judge("iteration_4", challenge="mnist", ledger="ledger")
result.write_page("page.html")
print(result.answer, len(result.runs), "svg" in result._repr_html_())
"""
    done = python(program, tmp_path)

    assert (done.stdout, done.stderr) == ("HOLDS 33 True\n", "")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_a_result_tells_what_the_command_tells(tmp_path: Path) -> None:
    """Answer, reason and conditions are those of `bench judge`."""
    ledger = plant_ledger(tmp_path / "ledger", make_runs(range(2), final=LUCKY))

    result = bench.judge("iteration_4", challenge="mnist", ledger=ledger)

    assert result.answer is bench.Answer.FAILS
    assert repr(result) == f"iteration_4: FAILS ({result.why})"
    assert result.why.startswith("0 of 2 seeds hold (2 reached the target")
    assert result.conditions == result.runs[0].conditions
    other = replace(result.runs[0].conditions, device="cuda sm_90")
    none = bench.judge("iteration_4", challenge="mnist", ledger=ledger, conditions=other)
    assert (none.answer, none.runs) == (bench.Answer.UNDECIDED, ())


def test_a_frame_has_the_ledgers_numbers(tmp_path: Path) -> None:
    """The columns are those of `bench export`."""
    need("pandas")
    ledger = plant_ledger(tmp_path / "ledger", make_runs(range(3)))

    result = bench.judge("iteration_4", challenge="mnist", ledger=ledger)

    assert list(result.to_frame().last_correct) == [CLEAN[-1]] * 3
    epochs = result.to_frame("epochs")
    assert len(epochs) == 45
    assert list(epochs[epochs.seed == 1].validation_correct)[-3:] == list(CLEAN)


def test_one_page_has_several_results(tmp_path: Path) -> None:
    """In the order given; none, or results of different challenges, are an error."""
    ledger = plant_ledger(tmp_path / "ledger", make_runs(range(2)))
    results = [
        bench.judge(name, challenge="mnist", ledger=ledger)
        for name in ("iteration_4", "iteration_3")
    ]

    page = bench.write_page(results, tmp_path / "page.html").read_text(encoding="utf-8")

    assert page.index("iteration_4") < page.index("iteration_3")
    digits = bench.judge("iteration_4", challenge="digits", ledger=ledger)
    with pytest.raises(SettingsError, match="different challenges"):
        bench.write_page([results[0], digits])
    with pytest.raises(SettingsError, match="no results"):
        bench.write_page([])


class Marks(HTMLParser):
    """Counts elements and keeps attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def heights(self, tag: str, name: str) -> list[float]:
        """Return a coordinate of the marks that stand for seeds."""
        return [float(a[name] or "") for t, a in self.attributes if t == tag and "data-seed" in a]


def test_a_notebook_shows_every_seed(tmp_path: Path) -> None:
    """A line a seed; seeds that hold are dots above the target, others are crosses."""
    runs = [*make_runs(range(3)), *make_runs(range(3, 5), final=LUCKY)]
    ledger = plant_ledger(tmp_path / "ledger", runs)

    html = bench.judge("iteration_4", challenge="mnist", ledger=ledger)._repr_html_()

    marks = Marks(html)
    assert marks.tags.count("polyline") == 5
    assert marks.tags.count("circle") == 3
    assert marks.tags.count("path") == 2
    target = next(float(a["y1"] or "") for t, a in marks.attributes if t == "line")
    top = next(float(a["y"] or "") for t, a in marks.attributes if t == "svg" and "y" in a)
    assert all(top + y < target for y in marks.heights("circle", "cy"))
    assert "UNDECIDED" in marks.text
    assert "3 of 5 seeds hold" in marks.text
    assert "99.4 %" in marks.text
    assert not {"script", "style", "link", "img"} & set(marks.tags)


def test_a_strangers_text_stays_text(tmp_path: Path) -> None:
    """What a ledger says of its conditions is no markup in a notebook."""
    hostile = replace(make_run().conditions, device="<script>alert(1)</script>")
    ledger = plant_ledger(tmp_path / "ledger", make_runs(range(2), conditions=hostile))

    marks = Marks(bench.judge("iteration_4", challenge="mnist", ledger=ledger)._repr_html_())

    assert "script" not in marks.tags
    assert "<script>alert(1)</script>" in marks.text


def test_no_runs_are_shown_too(tmp_path: Path) -> None:
    """Nothing is drawn, and the reason says what to do."""
    result = bench.judge("iteration_4", challenge="mnist", ledger=tmp_path)

    marks = Marks(result._repr_html_())
    assert "svg" not in marks.tags
    assert "bench run iteration_4" in marks.text
    assert LATEST.name in marks.text


def test_a_class_of_a_module_is_its_file(module: Any, tmp_path: Path) -> None:
    """By the recipe that is given, which the ledger's commands find again."""
    iteration = find_iteration(module.Net, RECIPE, {"width": 4})

    assert (iteration.path, iteration.network) == (tmp_path / "nets.py", "Net")
    assert iteration.recipe == RECIPE
    assert iteration.arguments == (("width", "4"),)
    assert iteration == find_iteration(functools.partial(module.Net, width=4), RECIPE, None)
    named = find_iteration(f"{tmp_path / 'nets.py'}:Net", RECIPE, {"width": 4})
    assert iteration.fingerprint == named.fingerprint


def test_a_function_is_cut_out_of_its_file(module: Any, tmp_path: Path) -> None:
    """With all that it refers to; what it does not need may change."""
    before = find_iteration(module.pick, RECIPE, None)
    (tmp_path / "nets.py").write_text(NETWORK.replace("UNUSED = 7", "UNUSED = 8"))
    same = find_iteration(module.pick, RECIPE, None)
    (tmp_path / "nets.py").write_text(NETWORK.replace("WIDTH = 8", "WIDTH = 9"))
    other = find_iteration(module.pick, RECIPE, None)

    assert before.fingerprint == same.fingerprint != other.fingerprint
    assert before.name == other.name == "nets-pick-Network"
    assert "class Net(" not in before.path.read_text()


@pytest.mark.parametrize(("name", "expected"), [("Net", "cells-Net"), ("pick", "pick-Network")])
def test_what_a_notebook_defines_is_cut_out_of_its_cells(
    notebook: Any, name: str, expected: str
) -> None:
    """One more cell leaves the evidence as it is; a change of what the network needs does not."""
    before = find_iteration(getattr(notebook, name), RECIPE, None)
    notebook.In.append("import bench\nbench.run(Net)\n!ls")
    same = find_iteration(getattr(notebook, name), RECIPE, None)
    notebook.In.append("CLASSES = 12")
    other = find_iteration(getattr(notebook, name), RECIPE, None)

    assert before.name == f"notebook-{expected}"
    assert before.fingerprint == same.fingerprint != other.fingerprint


def test_an_older_class_of_a_notebook_is_refused(notebook: Any) -> None:
    """The cells tell of today's class only."""
    older = notebook.Net
    exec(NETWORK, vars(notebook))  # noqa: S102

    with pytest.raises(IterationError, match="Net: was defined anew since"):
        find_iteration(older, RECIPE, None)


def test_a_notebook_must_define_what_a_network_needs(notebook: Any) -> None:
    """A name that no cell binds is named."""
    notebook.In[2] = NETWORK.replace("WIDTH = 8", "")

    with pytest.raises(IterationError, match="Net: refers to WIDTH"):
        find_iteration(notebook.Net, RECIPE, None)


def test_a_function_may_build_a_class_called_network(notebook: Any) -> None:
    """The class around it takes another name, and does not build itself."""
    cell = NETWORK.replace("Net(", "Network(") + "\n\ndef make():\n    return Network()\n"
    notebook.In[2] = cell
    exec(cell, vars(notebook))  # noqa: S102

    iteration = find_iteration(notebook.make, RECIPE, None)

    assert iteration.network == "Network_"
    built: dict[str, Any] = {}
    exec(iteration.path.read_text(), built)  # noqa: S102
    assert type(built["Network_"]().network).__name__ == "Network"


def test_modules_beside_a_notebook_are_refused(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fingerprint of cells would tell that such a module has changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.py").write_text("WIDTH = 8\n")
    notebook.In[2] = NETWORK.replace("WIDTH = 8", "from layers import WIDTH")

    with pytest.raises(IterationError, match=r"Net: needs modules of its own \(layers.py\)"):
        find_iteration(notebook.Net, RECIPE, None)


Run = Callable[[str], Any]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Run:
    """Return what executes a text as the main module, from a file, and returns the module."""

    def run(text: str) -> Any:
        main = types.ModuleType("__main__")
        main.__file__ = str(tmp_path / "script.py")
        Path(main.__file__).write_text(text)
        monkeypatch.setitem(sys.modules, "__main__", main)
        exec(compile(text, main.__file__, "exec"), vars(main))  # noqa: S102
        return main

    return run


BUILD = """
from torch import nn

{before}
def make(width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, WIDTH), nn.Linear(WIDTH, 10))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = make()

    def forward(self, images):
        return self.network(images)


{after}
"""
REBOUND = {
    "twice": ("WIDTH = 8", "WIDTH = 16"),
    "loop": ("", "for WIDTH in (8, 16):\n    pass"),
    "in a loop": ("", "for _ in range(2):\n    WIDTH = 8"),
    "augmented": ("WIDTH = 8", "WIDTH += 8"),
    "guard": ("WIDTH = 8", "if __name__ == '__main__':\n    WIDTH = 16"),
    "global": ("WIDTH = 8", "def change():\n    global WIDTH\n    WIDTH = 16"),
}


@pytest.mark.parametrize("name", ["make", "Net"])
@pytest.mark.parametrize(("before", "after"), REBOUND.values(), ids=REBOUND)
def test_a_script_that_changes_a_value_is_refused(
    before: str, after: str, name: str, script: Run
) -> None:
    """What is cut out has the last of its values, whichever it has when `bench.run` is called."""
    main = script(BUILD.format(before=before, after=after))

    with pytest.raises(IterationError, match=f"{name}: .* WIDTH has no one value"):
        find_iteration(getattr(main, name), RECIPE, None)


def test_a_network_that_is_defined_twice_is_refused(script: Run) -> None:
    """Its first form, too, is one that the source no longer tells apart."""
    again = "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))"
    main = script(BUILD.format(before="WIDTH = 8", after=again))

    with pytest.raises(IterationError, match=r"make: .* make has no one value"):
        find_iteration(main.make, RECIPE, None)


def test_names_of_other_things_may_change(script: Run) -> None:
    """A loop's variable, a function's own, what a default took once, and a repeated import."""
    before = "import torch\nFIRST = 1\nWIDTH = FIRST * 8\n"
    after = (
        "import torch\nfrom torch import nn\nFIRST = 2\n"
        "for width in (1, 2):\n    result = width\n"
        "def other():\n    for WIDTH in range(3):\n        pass"
    )
    main = script(BUILD.format(before=before, after=after))

    for name in ("make", "Net"):
        assert find_iteration(getattr(main, name), RECIPE, None).path.is_file()


def test_a_cell_that_changes_a_value_is_refused(notebook: Any) -> None:
    """Cells before the last are executed; a cell that is corrected and started again is none."""
    notebook.In.append(NETWORK.replace("WIDTH = 8", "WIDTH = 9"))
    exec(notebook.In[-1], vars(notebook))  # noqa: S102
    assert find_iteration(notebook.Net, RECIPE, None).network == "Net"
    notebook.In.append("CLASSES = 10\nbench.run(Net)\nCLASSES = 12")

    with pytest.raises(IterationError, match=r"Net: .* CLASSES has no one value"):
        find_iteration(notebook.Net, RECIPE, None)


def test_the_live_network_must_be_the_one_that_is_trained(module: Any) -> None:
    """Names and shapes of parameters are compared: no source tells of what was set in a module."""
    from bench.api.live import check_live
    from bench.executors.inspection import list_shapes

    def look(network: Any) -> Any:
        return types.SimpleNamespace(
            shapes=list_shapes(network), iteration=types.SimpleNamespace(label="nets.py: Net")
        )

    check_live(module.Net, {"width": 4}, look(module.Net(4)))
    check_live(functools.partial(module.pick, width=4), None, look(module.Net(4).layers))
    before = look(module.Net())
    check_live(module.Net, None, before)
    module.CLASSES = 12
    with pytest.raises(IterationError, match="6,370 in 4 tensors, not 6,388 in 4 tensors"):
        check_live(module.Net, None, before)


@pytest.mark.trainings
def test_what_was_set_in_a_module_is_not_trained_without_a_word(
    module: Any, tmp_path: Path
) -> None:
    """Workers read its file, which says otherwise: an error, and nothing is recorded."""
    module.CLASSES = 12

    for model in (module.Net, module.pick):
        with pytest.raises(IterationError, match="not 6,388"):
            bench.run(model, recipe=RECIPE, seeds=1, challenge="digits", ledger=tmp_path / "l")
    assert not list(tmp_path.glob("l/**/*.jsonl"))
    module.CLASSES = 10
    for model in (module.Net, module.pick):
        bench.run(model, recipe=RECIPE, seeds=1, challenge="digits", ledger=tmp_path / "l")
    assert len(list(tmp_path.glob("l/**/*.jsonl"))) == 2


def make_local() -> type:
    """Return a class that only this function can name."""

    class Local:
        pass

    return Local


@pytest.mark.parametrize(
    ("model", "arguments", "says"),
    [
        (lambda: None, None, "<lambda>: workers cannot find it again"),
        (make_local(), None, "Local: workers cannot find it again"),
        (object(), None, "object object: every seed needs a new network"),
        (functools.partial(make_local, 1), None, "has arguments without names"),
        ("iteration_4.py:Net", {"width": object()}, "width=<object"),
        (type("Made", (), {"__module__": "nowhere"}), None, "Made: its source cannot be found"),
    ],
    ids=["lambda", "local", "instance", "positional", "object", "made"],
)
def test_what_has_no_source_is_refused(model: Any, arguments: Any, says: str, cache: Path) -> None:
    """One line that says what to do, before anything is trained."""
    with pytest.raises(IterationError, match=re.escape(says)) as caught:
        find_iteration(model, RECIPE, arguments)
    assert "\n" not in str(caught.value)


def test_an_iteration_keeps_its_recipe(cache: Path) -> None:
    """A recipe beside an iteration of the project would be other evidence under its name."""
    with pytest.raises(BenchError, match="iterations have their own"):
        find_iteration("iteration_4", RECIPE, None)


def test_a_wrong_recipe_is_refused_before_training(module: Any) -> None:
    """A value that is no number for a learning rate."""
    wrong = Recipe(optimizer=SGD(), schedule=OneCycle(peak=1e40), batch_size=64, epochs=5)

    with pytest.raises(BenchError, match="1e\\+40"):
        find_iteration(module.Net, wrong, None)


@pytest.mark.parametrize(
    ("seeds", "expected", "until_decided"),
    [(3, (0, 1, 2), False), ("2-4", (2, 3, 4), False), ([7, 5, 5], (5, 7), False),
     (None, tuple(range(100)), True)],
    ids=str,
)  # fmt: skip
def test_seeds_are_a_number_a_range_or_a_list(
    seeds: Any, expected: tuple[int, ...], until_decided: bool
) -> None:
    """As on the command line; without them until decided."""
    plan = _make_plan(seeds, None, "90s")

    assert (plan.seeds, plan.until_decided) == (expected, until_decided)
    assert plan.time_budget_seconds == 90


@pytest.mark.parametrize("seeds", [np.int64(3), np.arange(3), (np.int64(n) for n in (2, 1, 0))])
def test_seeds_may_be_of_numpy(seeds: Any) -> None:
    """They are whole numbers all the same."""
    assert _make_plan(seeds, None, None).seeds == (0, 1, 2)


@pytest.mark.parametrize("seeds", [0, -1, "ten", [], [-2], 2.0, [2.0], object()])
def test_no_seeds_are_an_error(seeds: Any) -> None:
    """Of one line."""
    with pytest.raises(SettingsError, match="seeds"):
        _make_plan(seeds, None, None)


@pytest.mark.parametrize("name", ["workers", "epochs", "block"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", 1_000_000], ids=str)
def test_a_wrong_count_is_refused_before_training(name: str, value: Any, module: Any) -> None:
    """As by the command: the range is the option's."""
    with pytest.raises(SettingsError, match=rf"^{name}={value!r}: not a whole number from 1 to"):
        bench.run(module.Net, recipe=RECIPE, challenge="digits", **{name: value})


def test_the_ranges_are_those_of_the_command() -> None:
    """Of `bench run`'s options of the same names."""
    ranges = {
        option.name: option.type.max
        for option in run_command.params
        if isinstance(option.type, click.IntRange)
    }

    assert ranges == {"workers": MOST_WORKERS, "epochs": MOST_EPOCHS, "block": MOST_BLOCK}


def test_a_device_that_is_not_known_is_refused() -> None:
    """It is never the CPU without a word; `bench.run` hands its text to this."""
    from bench.training.devices import choose_device

    with pytest.raises(BenchError, match="gpu: no such device; use auto, cpu or cuda"):
        choose_device("gpu")


def test_what_is_judged_and_shown_is_checked(tmp_path: Path) -> None:
    """Conditions are no text, and there are two kinds of rows."""
    wrong: Any = "cpu"
    with pytest.raises(SettingsError, match="conditions='cpu': not"):
        bench.judge("iteration_4", challenge="mnist", ledger=tmp_path, conditions=wrong)
    result = bench.judge("iteration_4", challenge="mnist", ledger=tmp_path)
    with pytest.raises(SettingsError, match="rows='cpu': no such rows"):
        result.to_frame(wrong)


def test_a_second_interruption_leaves_the_kernel_alive() -> None:
    """Where `stop` is given it is called; the process goes on."""

    def stop() -> Any:
        raise KeyboardInterrupt

    with Interruption(stop=stop) as interruption:
        interruption.defer()
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def read_example() -> str:
    """Return the first block of Python of docs/api.md."""
    block = re.search(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert block is not None
    return block[1]


def test_the_example_type_checks(tmp_path: Path) -> None:
    """Under mypy --strict, as a user's own file; with a wrong value beside it, to see the check."""
    need("mypy")
    (tmp_path / "example.py").write_text(read_example())
    (tmp_path / "wrong.py").write_text(read_example().replace("seeds=6", "seeds=6.5"))

    done = python("", tmp_path, "-m", "mypy", "--strict", "example.py", "wrong.py")

    complaints = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert done.stderr == ""
    assert [line.split(":")[0] for line in complaints] == ["wrong.py"], done.stdout
    assert 'incompatible type "float"' in complaints[0]


@pytest.mark.trainings
def test_the_example_trains_judges_and_reports(tmp_path: Path) -> None:
    """A script without a guard of its main module; started again it trains nothing."""
    (tmp_path / "example.py").write_text(read_example())
    assert len([line for line in read_example().splitlines() if line.strip()]) <= 16

    first = python("", tmp_path, "example.py")
    again = python("", tmp_path, "example.py")

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("example-make_net-Network: ")
    assert first.stderr.count(": finished, final epochs") == 6
    assert again.stdout == first.stdout
    assert "finished" not in again.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000
    lines = list((tmp_path / "ledger" / "digits").glob("*.jsonl"))
    assert [len(file.read_text().splitlines()) for file in lines] == [6]
