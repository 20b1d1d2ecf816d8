"""A fingerprint changes with everything that can move a run's numbers, and with nothing else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.errors import IterationError
from bench.foreign import change_epochs
from bench.iterations import MODELS, list_iterations, read_iteration

ROOT = Path(bench.__file__).parent.parent
EVERY_VALUE_SPELLED_OUT = """\
RECIPE = Recipe(
    optimizer=SGD(momentum=0.9, nesterov=True, weight_decay=0.0005),
    schedule=MultiStep(rate=0.1, milestones=(10,), factor=0.2),
    batch_size=128,
    epochs=15,
    augmentation=Affine(
        degrees=7.0, translate=0.1, scale=(0.9, 1.1), shear=5.0, interpolation="bilinear"
    ),
    label_smoothing=0.1,
    averaging=EMA(decay=0.99),
    precision="bf16",
)
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a copy of the folder of iterations that a test may change."""
    folder = tmp_path / "models"
    shutil.copytree(MODELS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def fingerprint(models: Path, name: str = "iteration_4") -> str:
    return read_iteration(models / f"{name}.py").fingerprint


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first `old` in a file, which must be there."""
    text = file.read_text()
    assert old in text, f"{file.name} has no {old!r}: adapt the test"
    file.write_text(text.replace(old, new, 1))


def set_recipe(models: Path, recipe: str, name: str = "iteration_4") -> Path:
    """Give an iteration another recipe and return its file."""
    file = models / f"{name}.py"
    lines = file.read_text().splitlines(keepends=True)
    for node in ast.parse("".join(lines)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RECIPE":
            lines[node.lineno - 1 : node.end_lineno] = recipe
    file.write_text("".join(lines))
    return file


def with_recipe_value(old: str, new: str) -> str:
    assert old in EVERY_VALUE_SPELLED_OUT
    return EVERY_VALUE_SPELLED_OUT.replace(old, new, 1)


def test_a_fingerprint_is_a_sha_256(models: Path) -> None:
    """Fingerprints are 64 hexadecimal digits, and each iteration has its own."""
    fingerprints = [iteration.fingerprint for iteration in list_iterations(models)]

    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in fingerprints)
    assert len(set(fingerprints)) == len(fingerprints) >= 4


def test_a_copy_elsewhere_has_the_same_fingerprints(models: Path) -> None:
    """Where a checkout lies does not matter to its evidence."""
    copied = [iteration.fingerprint for iteration in list_iterations(models)]

    assert copied == [iteration.fingerprint for iteration in list_iterations()]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("iteration_4.py", "class Network", "# a remark\nclass Network"),
        ("iteration_4.py", "Recipe(\n", "Recipe(  # a remark\n"),
        ("skeleton.py", "        self.gap", "        # a remark\n        self.gap"),
        ("iteration_4.py", '"""Iteration 4', '"""The fourth'),
        ("iteration_4.py", '"""The skeleton with dropout', '"""Dropout'),
        ("skeleton.py", '"""Class scores', '"""Scores'),
        ("skeleton.py", '"""Score each image', '"""Rate each image'),
        ("skeleton.py", '        """Score each image against the ten digits."""\n', ""),
        ("iteration_4.py", "A learning-rate schedule", "Another title"),
        ("iteration_4.py", "Consistent in the final epochs.", "Not at all consistent."),
        ("iteration_4.py", "validation_accuracy=99.42", "validation_accuracy=99.99"),
        ("iteration_4.py", "class Network", "\n\n\nclass Network"),
        ("iteration_4.py", "batch_size=", "batch_size  =  "),
        ("iteration_4.py", "super().__init__(", "super().__init__(\n            "),
        ("skeleton.py", "inputs: int, outputs: int,", "inputs:  int,\n    outputs:  int,"),
        ("iteration_3.py", "super().__init__(", "self.width = 8\n        super().__init__("),
        ("recipe/__init__.py", '"""How a network is trained.', '"""The way a network is trained.'),
    ],
)
def test_what_moves_no_number_leaves_the_fingerprint(
    models: Path, file: str, old: str, new: str
) -> None:
    """Comments, docstrings, narrative, layout and other iterations do not make evidence stale."""
    before = fingerprint(models)

    edit(models / file, old, new)

    assert fingerprint(models) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("iteration_4.py", "(dropout=0.", "(dropout=1."),
        ("iteration_4.py", "super().__init__(", "self.width = 8\n        super().__init__("),
        ("iteration_4.py", "(Skeleton)", "(Skeleton, torch.nn.Module)"),
        ("skeleton.py", "nn.ReLU()", "nn.GELU()"),
        ("skeleton.py", "kernel=3", "kernel=5"),
        ("skeleton.py", "dropout > 0", "dropout >= 0"),
        ("skeleton.py", "bias=False", "bias=True"),
        ("skeleton.py", "        nn.ReLU(),\n        nn.BatchNorm2d(outputs),",
         "        nn.BatchNorm2d(outputs),\n        nn.ReLU(),"),
        ("skeleton.py", "scores.flatten(1)", "scores.flatten(1).log_softmax(1)"),
    ],
)  # fmt: skip
def test_a_change_of_the_network_changes_the_fingerprint(
    models: Path, file: str, old: str, new: str
) -> None:
    """Evidence goes stale with the iteration's own code and with the skeleton that it imports."""
    before = fingerprint(models)

    edit(models / file, old, new)

    assert fingerprint(models) != before


def test_a_change_of_the_skeleton_leaves_iterations_that_do_not_import_it(models: Path) -> None:
    """Iteration 1 has its own network, and keeps its evidence when the skeleton changes."""
    before = fingerprint(models, "iteration_1")

    edit(models / "skeleton.py", "nn.ReLU()", "nn.GELU()")

    assert fingerprint(models, "iteration_1") == before


def test_white_space_inside_a_string_of_the_network_is_not_layout(models: Path) -> None:
    """A string that the code uses counts to the last space."""
    edit(models / "skeleton.py", "kernel, bias", 'kernel, padding_mode="zeros", bias')
    before = fingerprint(models)

    edit(models / "skeleton.py", '"zeros"', '"zeros "')

    assert fingerprint(models) != before


@pytest.mark.parametrize(
    "statement",
    [
        "from models.layers import WIDTH",
        "from models import layers",
        "from .layers import WIDTH",
        "from . import layers",
        "import models.layers",
        "import models.layers as parts",
    ],
)
@pytest.mark.parametrize("importer", ["iteration_4.py", "skeleton.py"])
def test_an_imported_file_counts_however_it_is_imported(
    models: Path, statement: str, importer: str
) -> None:
    """Files imported from models/ enter the fingerprint, directly or through the skeleton."""
    (models / "layers.py").write_text("WIDTH = 8\n")
    edit(models / importer, "\nclass ", f"\n{statement}\n\nclass ")
    before = fingerprint(models)

    (models / "layers.py").write_text("WIDTH = 9\n")

    assert fingerprint(models) != before


@pytest.mark.parametrize(
    ("statement", "file"),
    [
        ("from models.parts.layers import WIDTH", "parts/layers.py"),
        ("from models.parts import WIDTH", "parts/__init__.py"),
        ("from models import WIDTH", "__init__.py"),
    ],
)
def test_an_imported_package_counts(models: Path, statement: str, file: str) -> None:
    """Code in a package below models/, or in models/ itself, cannot change unnoticed."""
    (models / "parts").mkdir()
    (models / "parts" / "__init__.py").touch()
    (models / file).write_text("WIDTH = 8\n")
    edit(models / "iteration_4.py", "\nclass ", f"\n{statement}\n\nclass ")
    before = fingerprint(models)

    (models / file).write_text("WIDTH = 9\n")

    assert fingerprint(models) != before


def test_a_recipe_imported_from_another_iteration_counts(models: Path) -> None:
    """A network that reads iteration 3's recipe goes stale when iteration 3's recipe changes."""
    statement = "from models.iteration_3 import RECIPE as EARLIER"
    edit(models / "iteration_4.py", "\nclass ", f"\n{statement}\n\nclass ")
    before = fingerprint(models)

    set_recipe(models, EVERY_VALUE_SPELLED_OUT, "iteration_3")

    assert fingerprint(models) != before


def test_files_that_import_each_other_have_a_fingerprint(models: Path) -> None:
    """A circle of imports is followed once and ends."""
    (models / "layers.py").write_text("from models.skeleton import Skeleton\n")
    edit(models / "skeleton.py", "\nclass ", "\nfrom models.layers import Skeleton\n\nclass ")

    assert re.fullmatch("[0-9a-f]{64}", fingerprint(models))


def test_every_recipe_value_has_a_fingerprint_of_its_own(models: Path) -> None:
    """Changing any one value of a recipe, or leaving it out, gives a fingerprint never seen."""
    changes = [
        ("", ""),
        ("momentum=0.9", "momentum=0.8"),
        ("nesterov=True", "nesterov=False"),
        ("weight_decay=0.0005", "weight_decay=0.0004"),
        (", weight_decay=0.0005", ""),
        ("SGD(momentum=0.9, nesterov=True, weight_decay=0.0005)", "SGD()"),
        ("SGD(momentum=0.9, nesterov=True, weight_decay=0.0005)", "Adam()"),
        ("SGD(momentum=0.9, nesterov=True, weight_decay=0.0005)", "AdamW()"),
        ("rate=0.1", "rate=0.10000001"),
        ("(10,)", "(11,)"),
        ("(10,)", "(10, 13)"),
        ("factor=0.2", "factor=0.3"),
        ("MultiStep(rate=0.1, milestones=(10,), factor=0.2)", "Constant(rate=0.1)"),
        ("MultiStep(rate=0.1, milestones=(10,), factor=0.2)", "Cosine(rate=0.1)"),
        ("MultiStep(rate=0.1, milestones=(10,), factor=0.2)", "OneCycle(peak=0.1)"),
        ("batch_size=128", "batch_size=64"),
        ("epochs=15", "epochs=14"),
        ("degrees=7.0", "degrees=8.0"),
        ("translate=0.1", "translate=0.2"),
        ("scale=(0.9, 1.1)", "scale=(1.1, 0.9)"),
        ("shear=5.0", "shear=-5.0"),
        ('interpolation="bilinear"', 'interpolation="nearest"'),
        ("label_smoothing=0.1", "label_smoothing=0.0"),
        ("averaging=EMA(decay=0.99)", "averaging=EMA(decay=0.999)"),
        ("averaging=EMA(decay=0.99)", "averaging=SWA(start=12)"),
        ("averaging=EMA(decay=0.99)", "averaging=None"),
        ('precision="bf16"', 'precision="fp32"'),
    ]
    fingerprints = []
    for old, new in changes:
        set_recipe(models, with_recipe_value(old, new))
        fingerprints.append(fingerprint(models))

    assert len(set(fingerprints)) == len(changes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate=0.1", "rate=1e-1"),
        ("batch_size=128,\n    epochs=15,", "epochs=15,\n    batch_size=0x80,"),
        ('precision="bf16"', "precision='bf' '16'"),
        ("milestones=(10,)", "milestones=(\n        10,\n    )"),
    ],
)
def test_a_recipe_value_counts_and_not_its_spelling(models: Path, old: str, new: str) -> None:
    """The same values written or ordered otherwise are the same recipe."""
    set_recipe(models, EVERY_VALUE_SPELLED_OUT)
    before = fingerprint(models)

    set_recipe(models, with_recipe_value(old, new))

    assert fingerprint(models) == before


def test_a_default_spelled_out_equals_its_absence(models: Path) -> None:
    """A new field with its default in a recipe does not make old evidence stale."""
    short = "RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), batch_size=8, epochs=1)"
    set_recipe(models, short + "\n")
    before = fingerprint(models)

    set_recipe(
        models,
        """\
RECIPE = Recipe(
    optimizer=SGD(momentum=0.0, nesterov=False, weight_decay=0.0),
    schedule=Constant(rate=0.1),
    batch_size=8,
    epochs=1,
    augmentation=None,
    label_smoothing=0.0,
    averaging=None,
    precision="fp32",
)
""",
    )

    assert fingerprint(models) == before


def test_a_feature_with_all_its_defaults_is_not_its_absence(models: Path) -> None:
    """`augmentation=Affine()` draws random numbers, so it is another recipe than none."""
    short = "RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), batch_size=8, epochs=1"
    set_recipe(models, f"{short})\n")
    before = fingerprint(models)

    set_recipe(models, f"{short}, augmentation=Affine())\n")

    assert fingerprint(models) != before


def test_other_epochs_on_the_command_line_are_another_recipe(models: Path) -> None:
    """`--epochs 3` has the fingerprint of a file that says 3, and 15 that of the file as it is."""
    iteration = read_iteration(models / "iteration_4.py")
    shorter = change_epochs(iteration, epochs=3)

    edit(models / "iteration_4.py", f"epochs={iteration.recipe.epochs},\n", "epochs=3,\n")

    assert shorter.recipe.epochs == 3
    assert shorter.fingerprint == fingerprint(models) != iteration.fingerprint


def test_a_file_that_cannot_be_run_has_a_fingerprint(models: Path) -> None:
    """Nothing is imported: files that raise and that leave traces are read all the same."""
    trace = models / "trace"
    for file in ("__init__.py", "iteration_4.py", "skeleton.py", "recipe/__init__.py"):
        with (models / file).open("a") as text:
            text.write(f"\nopen({str(trace)!r}, 'w')\nraise SystemExit('this file was run')\n")

    assert re.fullmatch("[0-9a-f]{64}", fingerprint(models))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("epochs=15", "epochs=5 * 3", 5),
        ("epochs=15", "epochs=EPOCHS", 5),
        ("epochs=15", 'epochs=int("15")', 5),
        ("epochs=15", 'epochs=__import__("os").getpid()', 5),
        ("epochs=15", "epochs=[15][0]", 5),
        ("epochs=15", "epochs=15 if True else 14", 5),
        ("milestones=(10,)", "milestones=tuple(range(10, 11))", 3),
        ("milestones=(10,)", "milestones=(FIRST,)", 3),
        ("milestones=(10,)", "milestones={[10]}", 3),
        ("momentum=0.9", "0.9", 2),
        ("momentum=0.9", "speed=0.9", 2),
        ("momentum=0.9", '**{"momentum": 0.9}', 2),
        ("rate=0.1, ", "", 3),
        ("EMA(decay=0.99)", "Momentum(decay=0.99)", 10),
        ('"bf16"', 'f"bf{16}"', 11),
    ],
)
def test_a_recipe_that_is_not_literal_is_refused_with_its_line(
    models: Path, old: str, new: str, line: int
) -> None:
    """A value that only running the file could tell is named by file and line, never guessed."""
    file = set_recipe(models, with_recipe_value(old, new))
    above = file.read_text().partition("RECIPE = ")[0].count("\n")

    with pytest.raises(IterationError, match=rf"^{file}:{above + line}: "):
        read_iteration(file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs=15", 'epochs="15"'),
        ("epochs=15", "epochs=0"),
        ("batch_size=128", "batch_size=-1"),
        ("milestones=(10,)", "milestones={10}"),
        ("averaging=EMA(decay=0.99)", "averaging=SGD()"),
        ('precision="bf16"', 'precision="fp64"'),
    ],
)
def test_a_recipe_value_of_the_wrong_kind_is_refused(models: Path, old: str, new: str) -> None:
    """A value that cannot be trained with is an error that names the file, not a fingerprint."""
    file = set_recipe(models, with_recipe_value(old, new))

    with pytest.raises(IterationError, match=re.escape(str(file))):
        read_iteration(file)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("class Network", "class Net", "defines no class Network"),
        ("RECIPE = ", "SETTINGS = ", "no RECIPE = Recipe"),
        ("NARRATIVE = ", "STORY = ", "no NARRATIVE = Narrative"),
        ("RECIPE = Recipe(", "RECIPE = Recipe((", "not valid Python"),
    ],
)
def test_a_file_that_is_no_iteration_is_refused(
    models: Path, old: str, new: str, complaint: str
) -> None:
    """What an iteration file lacks is named together with the file."""
    file = models / "iteration_4.py"
    edit(file, old, new)

    with pytest.raises(IterationError, match=f"^{file}: {complaint}"):
        read_iteration(file)


def print_fingerprints(python: str | Path, root: Path, models: Path) -> list[str]:
    """Return the fingerprints of `models` as a Python without packages computes them."""
    program = (
        "import sys; from pathlib import Path; from bench.iterations import list_iterations\n"
        "for i in list_iterations(Path(sys.argv[1])): print(i.fingerprint)"
    )
    done = subprocess.run(
        [python, "-S", "-B", "-c", program, models], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_another_version_of_the_engine_makes_every_fingerprint_another(
    models: Path, tmp_path: Path
) -> None:
    """Raising TRAINING_SEMANTICS by one leaves no evidence current."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bench", root / "bench", ignore=ignored)
    shutil.copytree(MODELS, root / "models", ignore=ignored)
    before = print_fingerprints(sys.executable, root, models)
    source = root / "bench" / "iterations.py"
    raised, count = re.subn(
        r"^TRAINING_SEMANTICS = (\d+)$",
        lambda match: f"TRAINING_SEMANTICS = {int(match[1]) + 1}",
        source.read_text(),
        flags=re.MULTILINE,
    )
    assert count == 1

    source.write_text(raised)

    after = print_fingerprints(sys.executable, root, models)
    assert len(after) == len(before) >= 4
    assert set(after).isdisjoint(before)


def find_python(version: str) -> str | None:
    """Return an interpreter of a version: on the path, or where pyenv and uv keep theirs."""
    home = Path.home()
    candidates: list[str | Path | None] = [
        shutil.which(f"python{version}"),
        *home.glob(f".pyenv/versions/{version}.*/bin/python"),
        *home.glob(f".local/share/uv/python/cpython-{version}.*/bin/python3"),
    ]
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "--version"], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.startswith(f"Python {version}."):
            return str(candidate)
    return None


MANY_KINDS_OF_SYNTAX = '''
async def fetch(source, /, *rest, width: int = 3, **named: "str") -> None:
    async for item in source:
        await item
    return None


def show(x, width=10):
    match x:
        case {"a": None, **others}:
            text = f"{x!r:>{width}.2f}" f"{x=}" "plain" f"{{}}{others:%H}"
        case [1, *_] | (-1.5 as y):
            text = f"{x:>{width}}" u"one" + 'two' """three"""
    try:
        y = x[1:2, ..., None] @ 0x10 + 1_000 - 1e-3j
    except* ValueError:
        y = lambda *, k=None: (k := b"1", {**{}}, [*[]], not k < 1 <= 2)
    with open("f") as a, open("g"):
        global z
        z: int = 1
        del y
    return text
'''


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_computes_the_same_fingerprints(models: Path, version: str) -> None:
    """Evidence recorded under one Python is not stale under another, whatever syntax is used."""
    python = find_python(version)
    if python is None:
        pytest.skip(f"Python {version} is not on this machine")
    with (models / "skeleton.py").open("a") as skeleton:
        skeleton.write(MANY_KINDS_OF_SYNTAX)

    expected = [iteration.fingerprint for iteration in list_iterations(models)]
    assert print_fingerprints(python, ROOT, models) == expected
