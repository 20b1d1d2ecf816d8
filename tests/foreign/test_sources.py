"""Names, notebooks, extraction and fingerprints of model files: nothing of them is executed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import IterationError, RecipeError, SettingsError
from bench.foreign import change_epochs, find_iterations, find_source, write_words
from bench.foreign.extraction import extract_class, works_when_imported
from bench.foreign.notebooks import strip_magics
from bench.iterations import Iteration

NET = """
import torch.nn as nn

WIDTH = 4


class Net(nn.Module):
    '''A network.'''

    def __init__(self, dropout=0.1):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def write(folder: Path, text: str = NET, name: str = "model.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(
    path: Path, *arguments: str, recipe: str = "iteration_4", network: str = ":Net"
) -> Iteration:
    (found,) = find_iterations(
        [f"{path}{network}"], recipe=recipe, arguments=arguments, root=path.parent
    )
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("784, 10)", "784, 10, bias=False)"),
        ("WIDTH = 4", "WIDTH = 5"),
        ("dropout=0.1", "dropout=0.2"),
    ],
)
def test_code_changes_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    """Anything of the file may be what the class depends on."""
    before = read(write(tmp_path)).fingerprint
    assert read(write(tmp_path, NET.replace(old, new))).fingerprint != before


@pytest.mark.parametrize(
    ("old", "new"), [("'''A network.'''", "'''Another one.'''"), ("WIDTH = 4", "WIDTH = 4  # ?")]
)
def test_words_leave_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    """Comments and docstrings move no number."""
    before = read(write(tmp_path)).fingerprint
    assert read(write(tmp_path, NET.replace(old, new))).fingerprint == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'RECIPE = {"width": 4}\nWIDTH = RECIPE["width"]',
            'RECIPE = {"width": 5}\nWIDTH = RECIPE["width"]',
        ),
        (
            "NARRATIVE = Narrative(title='a', target=())\nWIDTH = len(NARRATIVE.title)",
            "NARRATIVE = Narrative(title='bb', target=())\nWIDTH = len(NARRATIVE.title)",
        ),
        ("WIDTH = RECIPE = 4", "WIDTH = RECIPE = 5"),
        ("WIDTH = 4\nRECIPE = change(Net)", "WIDTH = 4"),
    ],
)
def test_a_recipe_that_the_file_uses_enters_the_fingerprint(
    tmp_path: Path, before: str, after: str
) -> None:
    """Whatever it is called, a name that is read is code, and so is a call."""
    first = read(write(tmp_path, NET.replace("WIDTH = 4", before))).fingerprint
    assert read(write(tmp_path, NET.replace("WIDTH = 4", after))).fingerprint != first


def test_a_recipe_that_a_module_beside_it_uses_enters_the_fingerprint(tmp_path: Path) -> None:
    """It may import it from the model file."""
    write(tmp_path, "import model\nWIDTH = model.RECIPE", "blocks.py")
    text = "import blocks\nRECIPE = 4\n" + NET
    first = read(write(tmp_path, text)).fingerprint
    assert read(write(tmp_path, text.replace("RECIPE = 4", "RECIPE = 5"))).fingerprint != first


@pytest.mark.parametrize(
    "old", ["NARRATIVE = Narrative(title='a', target=())", "RECIPE = dict(a=1)"]
)
def test_words_that_nothing_reads_leave_the_fingerprint(tmp_path: Path, old: str) -> None:
    """A recipe that is not the one it is trained by is no more than words."""
    first = read(write(tmp_path, f"{NET}\n{old}\n")).fingerprint
    assert read(write(tmp_path, f"{NET}\n")).fingerprint == first


def test_class_arguments_recipe_and_epochs_change_the_fingerprint(tmp_path: Path) -> None:
    """Each of them trains something else; how a literal is written does not matter."""
    path = write(tmp_path, NET + NET.replace("class Net", "class Other"))
    first = read(path)
    others = [
        read(path, network=":Other"),
        read(path, "dropout=0.3"),
        read(path, recipe="iteration_1"),
        change_epochs(first, epochs=2),
    ]
    assert len({each.fingerprint for each in [first, *others]}) == 5
    assert read(path, "dropout=0.30").fingerprint == read(path, "dropout=.3").fingerprint


def test_modules_beside_it_enter_the_fingerprint(tmp_path: Path) -> None:
    """Also those that are imported by what it imports, and packages; others do not."""
    path = write(tmp_path, "from blocks import *\nfrom parts.heads import Head\n" + NET)
    write(tmp_path, "import more", "blocks.py")
    write(tmp_path, "X = 1", "more.py")
    write(tmp_path, "", "parts/__init__.py")
    write(tmp_path, "Head = None", "parts/heads.py")
    seen = [read(path).fingerprint]
    for name in ("blocks.py", "more.py", "parts/__init__.py", "parts/heads.py"):
        write(tmp_path, "Y = 2", name)
        seen.append(read(path).fingerprint)
        if name == "blocks.py":
            write(tmp_path, "import more", "blocks.py")
    assert len(set(seen)) == len(seen)
    write(tmp_path, "Z = 3", "stranger.py")
    assert read(path).fingerprint == seen[-1]


def test_relative_imports_enter_the_fingerprint(tmp_path: Path) -> None:
    """A file of a package may import from it with a dot."""
    path = write(tmp_path, "from .blocks import WIDTH\n" + NET, "package/model.py")
    write(tmp_path, "WIDTH = 1", "package/blocks.py")
    before = read(path).fingerprint
    write(tmp_path, "WIDTH = 2", "package/blocks.py")
    assert read(path).fingerprint != before


def test_the_name_in_the_ledger_is_the_place_in_the_project_and_the_class(tmp_path: Path) -> None:
    """Wherever the project lies, and whatever the folder that holds it is called."""
    for project in (tmp_path / "one", tmp_path / "two"):
        path = write(project, name="sub missions/anna.2/model.py")
        (found,) = find_iterations([f"{path}:Net"], recipe="iteration_4", root=project)
        assert found.name == "sub_missions-anna.2-model-Net"


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their runs would lie in one file of the ledger."""
    first, second = write(tmp_path, name="a-b/model.py"), write(tmp_path, name="a/b-model.py")
    with pytest.raises(IterationError, match="has the same name in the ledger as"):
        find_iterations([f"{first}:Net", f"{second}:Net"], recipe="iteration_4", root=tmp_path)


def test_a_module_path_finds_the_file_and_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's __init__.py would raise, were it executed."""
    write(tmp_path, "raise SystemExit", "package/__init__.py")
    path = write(tmp_path, name="package/model.py")
    monkeypatch.chdir(tmp_path)
    (found,) = find_iterations(["package.model:Net"], recipe="iteration_4")
    assert found.path.samefile(path)
    assert found.name == "package-model-Net"


@pytest.mark.parametrize("packages", [(), ("outer",), ("outer/inner",)], ids=str)
def test_a_module_path_may_lead_through_folders_without_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...]
) -> None:
    """Folders are packages too, alone or below or above one with an __init__.py."""
    path = write(tmp_path, name="outer/inner/net.py")
    for package in packages:
        write(tmp_path, "raise SystemExit", f"{package}/__init__.py")
    monkeypatch.chdir(tmp_path)
    (found,) = find_iterations(["outer.inner.net:Net"], recipe="iteration_4")
    assert found.path.samefile(path)
    for absent in ("outer.inner.no:Net", "outer.no.net:Net", "outer.inner:Net"):
        with pytest.raises(IterationError):
            find_iterations([absent], recipe="iteration_4")


def test_commands_name_a_model_with_recipe_and_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed can be pasted into a shell."""
    write(tmp_path, name="my model.py")
    monkeypatch.chdir(tmp_path)
    (found,) = find_iterations(["my model.py"], recipe="iteration_4", arguments=["dropout='no ne'"])
    assert write_words(found) == (
        "'my model.py:Net' --recipe iteration_4 --argument 'dropout='\"'\"'no ne'\"'\"''"
    )


def test_an_iteration_named_by_its_file_is_that_iteration() -> None:
    """It has evidence already, under its own name."""
    (known,) = find_iterations(["iteration_2"])
    assert find_iterations([str(known.path)]) == (known,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dropout"], "--argument 'dropout': write NAME=VALUE"),
        (["dropout=x"], "not a literal of Python"),
        (["dropout=1", "dropout=2"], "dropout is given twice"),
        (["2=3"], "write NAME=VALUE"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Before any file is read."""
    with pytest.raises(SettingsError, match=message):
        read(write(tmp_path), *arguments)


def test_a_model_needs_a_recipe(tmp_path: Path) -> None:
    """Its own or another's, and one that exists; an iteration has its own."""
    path = write(tmp_path)
    with pytest.raises(IterationError, match="no recipe to train it by; add --recipe iteration_4"):
        find_iterations([f"{path}:Net"])
    with pytest.raises(RecipeError):
        read(path, recipe="iteration_77")
    with pytest.raises(SettingsError, match="it is for model files"):
        find_iterations(["iteration_1"], recipe="iteration_4")
    own = write(tmp_path, "RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), "
                "batch_size=32, epochs=3)\n" + NET)  # fmt: skip
    (found,) = find_iterations([f"{own}:Net"])
    assert found.recipe.epochs == 3
    assert read(own).recipe.epochs == 15


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    """As some systems write it; a class may follow."""
    path = write(tmp_path, name="Up.PY")
    for network in ("", ":Net"):
        assert read(path, network=network).name == "Up-Net"


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    """Too large, no notebook, a folder, out of its folder."""
    large = write(tmp_path, "#" * (1 << 20) + "\n" + NET, "large.py")
    broken = write(tmp_path, '{"cells": 3}', "broken.ipynb")
    folder = tmp_path / "folder.py"
    folder.mkdir()
    for path in (large, broken, folder):
        with pytest.raises(IterationError, match=str(path)):
            read(path)


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("!pip install x\nimport y", "pass\nimport y"),
        ("%matplotlib inline", "pass"),
        ("! pip install x\nimport y", "pass\nimport y"),
        ("!pip install x \\\n  y \\\n  z\nimport y", "pass\n\n\nimport y"),
        ("if a:\n    files = ! ls \\\n      x\n    b()", "if a:\n    files = None\n\n    b()"),
        ("!ls\nx = 1 + \\\n    2", "pass\nx = 1 + \\\n    2"),
        ("!ls\nx = (a\n     != b)", "pass\nx = (a\n     != b)"),
        ("if a:\n    !ls\n    b()", "if a:\n    pass\n    b()"),
        ("files = !ls", "files = None"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%bash\nls -l", ""),
        ("%%writefile model.py\nimport x", ""),
        ("model?", "pass"),
        ("x = (a\n     % b)", "x = (a\n     % b)"),
        ("print 'python 2'", None),
    ],
)
def test_magics_are_taken_out_of_a_cell(cell: str, python: str | None) -> None:
    """What is Python already stays as it is."""
    assert strip_magics(cell) == python


def test_a_notebook_of_format_3_is_read(tmp_path: Path) -> None:
    """Its cells lie in worksheets, their text under another name."""
    cell = {"cell_type": "code", "input": NET.splitlines(keepends=True)}
    path = write(tmp_path, json.dumps({"worksheets": [{"cells": [cell]}]}), "old.ipynb")
    assert read(path).network == "Net"


def extract(text: str) -> str:
    return ast.unparse(extract_class(ast.parse(text), "Net").tree)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["x = 1", "y = 2", "class Net:\n    def f(self): return x"], ["x = 1"]),
        (["a = []", "a.append(1)", "class Net:\n    b = a"], ["a = []", "a.append(1)"]),
        (["import torch", "torch.manual_seed(1)", "class Net(torch.nn.Module): pass"],
         ["import torch"]),
        (["def g(): return h()", "def h(): return 1", "class Net:\n    f = g"],
         ["def g", "def h"]),
        (["class Net:\n    def f(self):\n        x = 1\n        return x", "x = run()"], []),
        (["try:\n    import a\nexcept ImportError:\n    a = None", "class Net:\n    b = a"],
         ["try:"]),
        (["n = 1", "n = n + 1", "n += 1", "class Net:\n    b = n"],
         ["n = 1", "n = n + 1", "n += 1"]),
        (["class Net: pass", "def f(self): pass", "Net.forward = f", "Net().cuda()"],
         ["def f", "Net.forward = f"]),
        (["class Net: pass", "def f(self): pass", "setattr(Net, 'forward', f)", "Net().cuda()"],
         ["def f", "setattr(Net, 'forward', f)"]),
        (["class Net: pass", "def f(c): pass", "f(Net)", "print(Net)", "summary(Net(), 1)"],
         ["def f", "f(Net)"]),
        (["class Net: pass", "def f(c): pass", "for x in [1]: setattr(Net, 'x', x)", "f(c=Net)"],
         ["for x in [1]:", "def f", "f(c=Net)"]),
        (["a = [1, 2]", "shuffle(a)", "from b import shuffle", "class Net:\n    b = a"],
         ["a = [1, 2]", "shuffle(a)", "from b"]),
        (["def init(m): pass", "class Net:\n    def f(s): init(s)", "m = Net()", "m.apply(init)"],
         ["def init"]),
        (["device = pick()", "class Net:\n    def f(s): device", "train(net, device)"],
         ["device = pick()"]),
        (["from a import b, c", "class Net(b): pass"], ["from a import b\n"]),
        (["from a import *", "from c import d", "class Net(e): pass"], ["from a import *"]),
        (["import numpy as np", "class Net:\n    def f(self, x: np.ndarray) -> np.ndarray: pass"],
         []),
        (["class Net: x = 1", "class Net: x = 2"], []),
        (["for i in range(3):\n    print(i)", "class Net:\n    def f(s): return [i for i in []]"],
         []),
        (["if __name__ == '__main__':\n    x = 1", "class Net: pass"], []),
    ],
)  # fmt: skip
def test_a_class_is_extracted_with_what_it_refers_to_and_no_more(
    lines: list[str], kept: list[str]
) -> None:
    """Each kept part is there, and there is no other statement beside the last class Net."""
    text = extract("\n".join(lines))
    for part in kept:
        assert part in f"{text}\n"
    assert len(ast.parse(text).body) == len(kept) + 1
    assert "class Net" in text


def test_what_a_class_lacks_is_named() -> None:
    """A name that nothing binds, and that no star may bring."""
    found = extract_class(ast.parse("class Net:\n    def f(self): return nothing, len"), "Net")
    assert found.missing == ("nothing",)


@pytest.mark.parametrize(
    ("text", "works"),
    [
        (NET, False),
        ("'''Words.'''\nif __name__ == '__main__':\n    train()", False),
        ("try:\n    import a\nexcept ImportError:\n    a = None", False),
        ("torch.manual_seed(1)", True),
        ("x = load()", True),
        ("for _ in x: pass", True),
    ],
)
def test_work_at_import_is_told_from_definitions(text: str, works: bool) -> None:
    """Only what works is not executed as a whole."""
    assert works_when_imported(ast.parse(text)) is works


def test_reading_a_model_needs_no_torch_and_executes_nothing(tmp_path: Path) -> None:
    """Judging and gating take strangers' files."""
    path = write(tmp_path, "import os\nos._exit(9)\n" + NET)
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from bench.foreign import find_iterations\n"
        f"print(find_iterations(['{path}:Net'], recipe='iteration_4')[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert find_source(path).notes == ()
