"""What is told of files while they are looked at: prints, litter, and why a file may hang."""

from __future__ import annotations

import py_compile
from pathlib import Path

import pytest
import torch

from bench.errors import IterationError
from bench.executors.inspection import Inspection, inspect_iteration
from bench.foreign import find_iterations
from bench.iterations import MODELS, read_iteration

CPU = torch.device("cpu")


def test_notes_tell_what_an_iteration_of_ours_printed_and_wrote(tmp_path: Path) -> None:
    """Bytes that are no text are counted as well, and file names steer no terminal."""
    path = tmp_path / "iteration_9.py"
    path.write_text(
        (MODELS / "iteration_2.py").read_text()
        + "\nimport os\nos.write(1, bytes(range(256)) * 1000)\nopen('a\\x1b[2J', 'w').close()\n"
    )
    found = inspect_iteration(read_iteration(path), CPU, engine="eager")
    assert found.notes == (
        "printed 256,000 bytes while it was tried, which are not shown",
        r"wrote a\x1b[2J into its working directory, which is removed",
    )
    assert found.iteration.adaptation is None


def test_nothing_is_told_of_a_quiet_iteration() -> None:
    """Neither what torch warns of, nor what the harness does itself."""
    found = inspect_iteration(read_iteration(MODELS / "iteration_2.py"), CPU, engine="eager")
    assert found.notes == ()


@pytest.mark.trainings
def test_a_file_that_hangs_is_told_with_why_it_was_executed(tmp_path: Path) -> None:
    """Its class alone lacks a name, so the whole file is tried, and that never ends."""
    path = tmp_path / "model.py"
    path.write_text(
        "import torch.nn as nn\nexec('SIZE = 784')\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(SIZE, 10)\n"
        "\n    def forward(self, x):\n        return self.fc(x.flatten(1))\n\n\nwhile True: pass\n"
    )
    (iteration,) = find_iterations([str(path)], recipe="iteration_1", root=tmp_path)
    with pytest.raises(IterationError) as caught:
        inspect_iteration(iteration, CPU, engine="eager", limit_seconds=10)
    assert "takes longer than 10 seconds" in str(caught.value)
    assert "alone does not do: NameError: name 'SIZE' is not defined" in str(caught.value)

    path.write_text(path.read_text().replace("while True: pass\n", ""))
    (iteration,) = find_iterations([str(path)], recipe="iteration_1", root=tmp_path)
    found = inspect_iteration(iteration, CPU, engine="eager")
    assert "the whole file was executed: its class alone does not do" in found.notes


NET = """
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def inspect(folder: Path, text: str) -> Inspection:
    path = folder / "model.py"
    path.write_text(text)
    (iteration,) = find_iterations([f"{path}:Net"], recipe="iteration_4", root=folder)
    return inspect_iteration(iteration, CPU, engine="eager")


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("F.relu = torch.zeros_like", "torch.nn.functional.relu"),
        ("nn.ReLU.forward = nn.Identity.forward", "torch.nn.modules.activation.ReLU.forward"),
        ("nn.Linear.__call__ = nn.Module.__call__", "torch.nn.modules.linear.Linear.__call__"),
        (
            "class Net(Net):\n    def forward(self, x):\n        torch.relu = torch.abs\n"
            "        return super().forward(x)",
            "torch.relu",
        ),
        (
            "class Net(Net):\n    def __init__(self):\n        super().__init__()\n"
            "        nn.modules.module.register_module_forward_hook(lambda *given: None)",
            "torch.nn.modules.module._global_forward_hooks",
        ),
    ],
)
def test_a_file_that_changes_torch_itself_is_refused(
    tmp_path: Path, line: str, changed: str
) -> None:
    """It would change what is trained after it in the same process."""
    with pytest.raises(IterationError) as caught:
        inspect(tmp_path, f"{NET}\n\n{line}\n")
    assert f"changes torch itself ({changed})" in str(caught.value)


def test_an_iteration_of_ours_that_changes_torch_is_refused(tmp_path: Path) -> None:
    """Its workers are those of the others as well."""
    path = tmp_path / "iteration_9.py"
    text = (MODELS / "iteration_2.py").read_text()
    path.write_text(f"{text}\nimport torch\ntorch.nn.functional.hardswish = torch.abs\n")
    with pytest.raises(IterationError, match="changes torch itself"):
        inspect_iteration(read_iteration(path), CPU, engine="eager")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.fc(x.flatten(1))", "F.log_softmax(self.fc(x.flatten(1)), dim=0)"),
        ("self.fc(x.flatten(1))", "F.batch_norm(self.fc(x.flatten(1)), None, None, training=True)"),
        (
            "self.fc = nn.Linear(784, 10)",
            "self.fc = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 4, 9), "
            "nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.LazyLinear(10))",
        ),
    ],
)
def test_scores_that_depend_on_the_batch_are_refused(tmp_path: Path, old: str, new: str) -> None:
    """How many validation images are scored at once would decide the verdict."""
    assert old in NET
    with pytest.raises(IterationError, match="its scores of an image depend on the others"):
        inspect(tmp_path, NET.replace(old, new))


def test_batch_norm_with_running_statistics_is_none_of_them(tmp_path: Path) -> None:
    """In evaluation it does the same to every image; in training it does not."""
    new = "nn.Sequential(nn.Linear(784, 10), nn.BatchNorm1d(10))"
    found = inspect(tmp_path, NET.replace("nn.Linear(784, 10)", new))
    assert found.cost.parameters == 784 * 10 + 10 + 2 * 10


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "self.fc =",
            "open(__file__.replace('model.py', 'cfg.json')).read()\n        self.fc =",
            "reads cfg.json, which its fingerprint does not cover; write it into the file",
        ),
        (
            "    def __init__",
            "    b = __import__('importlib').import_module('parts.blocks')\n    def __init__",
            "reads parts/blocks.py, which its fingerprint does not cover; import it by a statement",
        ),
    ],
)
def test_a_file_that_no_digest_covers_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Its content could change the network, and not the fingerprint."""
    (tmp_path / "cfg.json").write_text("{}")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "blocks.py").write_text("WIDTH = 4\n")
    py_compile.compile(str(tmp_path / "parts" / "blocks.py"))  # which is then all that is read
    assert old in NET
    with pytest.raises(IterationError) as caught:
        inspect(tmp_path, NET.replace(old, new))
    assert said in str(caught.value)


def test_modules_that_are_imported_and_files_that_are_written_are_none(tmp_path: Path) -> None:
    """The digest has the ones, and the others are removed."""
    (tmp_path / "blocks.py").write_text("WIDTH = 4\n")
    text = NET.replace("import torch\n", "import torch\nfrom blocks import WIDTH\n", 1)
    new = "open('x', 'w').write('y')\n        open('x').read()\n        self.fc ="
    found = inspect(tmp_path, text.replace("self.fc =", new))
    assert found.notes == ("wrote x into its working directory, which is removed",)
