"""Model files as the public writes them: each is trained or refused, and it is said why.

Parameters are counted by hand, layer by layer: a convolution has `outputs x inputs x kernel`
weights and `outputs` biases, a dense layer `inputs x outputs + outputs`, batch normalisation two
for each channel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from bench.errors import BenchError
from bench.executors.inspection import Inspection, inspect_iteration
from bench.foreign import find_iterations

MODELS = Path(__file__).parent / "models"
CPU = torch.device("cpu")
DENSE = 784 * 10 + 10


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model file, its parameters, and parts of the sentences that are said of it, all of them."""

    name: str
    parameters: int
    unreached: int = 0
    notes: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    adapted: dict[str, object] = field(default_factory=dict)


EXTRACTED = "was extracted with what it refers to, because the file works when it is imported"
LOG = "returns log-probabilities: trained by their negative log-likelihood"

TRAINED = (
    Case(
        name="works_at_import.py",
        parameters=72 + 2 * 8 + 720,
        notes=(
            EXTRACTED,
            "imports matplotlib_that_is_not_here.pyplot, torchsummary_that_is_not_here, "
            "tqdm_that_is_not_here, which are not installed and not needed",
            LOG,
        ),
        adapted={"extracted": True},
    ),
    Case(
        name="absent_imports.py",
        parameters=DENSE,
        notes=(
            "class Net was extracted with what it refers to, because the file cannot be imported",
            "imports google_colab_that_is_not_here, tensorboard_that_is_not_here.summary, which",
        ),
        adapted={"extracted": True},
    ),
    Case(name="loops_for_ever.py", parameters=DENSE, notes=(EXTRACTED,)),
    Case(
        name="arguments.py",
        parameters=(9 + 1) * 4 + 2 * 4 + 4 * 10 + 10,
        arguments=("channels=4", "dropout=0.1", "norm='group'"),
    ),
    Case(name="logits.py", parameters=(9 + 1) * 4 + 4 * 10 + 10),
    Case(
        name="probabilities.py",
        parameters=(25 + 1) * 4 + 4 * 12 * 12 * 10 + 10,
        notes=(EXTRACTED, "returns probabilities: trained by the negative log-likelihood of their "
               "logarithms, where its file's cross-entropy would take a second softmax"),
        adapted={"training": "probabilities", "evaluation": "probabilities"},
    ),
    Case(
        name="double_softmax.py",
        parameters=DENSE,
        notes=("takes the softmax of a softmax, which flattens its gradients", LOG),
    ),
    Case(
        name="squeezes.py",
        parameters=(9 + 1) * 10,
        notes=("drops a batch of one image (squeeze()): it is put back",),
        adapted={"reshaped": True},
    ),
    Case(
        name="norm_of_points.py",
        parameters=784 * 8 + 2 * 8 + 8 * 10 + 10,
        notes=("cannot train on a single image: an epoch whose last batch has one will be",),
        adapted={"least_batch": 2},
    ),
    Case(
        name="never_called.py",
        parameters=(9 + 1) * 4 + 100 * 50 + 50 + 4 * 10 + 10,
        unreached=100 * 50 + 50,
        notes=("5,050 of its 5,140 parameters are reached by no gradient (old_fc): declared, and "
               "counted in the budget",),
    ),
    Case(
        name="bias_before_norm.py",
        parameters=(9 + 1) * 6 + 2 * 6 + (6 * 9 + 1) * 10 + 2 * 10,
    ),
    Case(
        name="drops_in_evaluation.py",
        parameters=784 * 8 + 8 + 8 * 10 + 10,
        notes=("is random in evaluation too: F.dropout drops unless",),
    ),
    Case(name="crops.py", parameters=(9 + 1) * 10),
    Case(
        name="overrides_call.py", parameters=(9 + 1) * 4 + 4 * 10 + 10, adapted={"calls": True}
    ),
    Case(name="reused.py", parameters=(9 + 1) * 8 + (8 * 9 + 1) * 8 + 8 * 10 + 10),
    Case(
        name="three_channels.py",
        parameters=(3 * 25 + 1) * 6 + 6 * 10 + 10,
        notes=("wants 3 channels: the one of the images is repeated",),
        adapted={"channels": 3, "side": None},
    ),
    Case(
        name="lenet_padded.py",
        parameters=61_706,  # LeNet-5 with dense connections, as its tutorials count it
        notes=("takes no images of 28 x 28 pixels: they are padded with background to 32 x 32",),
        adapted={"channels": None, "side": 32},
    ),
    Case(
        name="cifar_net.py",
        parameters=(3 * 25 + 1) * 6 + (6 * 25 + 1) * 16 + 400 * 10 + 10,
        notes=("padded with background to 32 x 32", "wants 3 channels"),
        adapted={"channels": 3, "side": 32},
    ),
    Case(
        name="same_name.py",
        parameters=(784 + 1) * 4 + 4 * 10 + 10,
        notes=("defines 3 classes Net; the last one counts, as in Python",),
    ),
    Case(name="several.py:Small", parameters=(9 + 1) * 2 + 2 * 10 + 10),
    Case(
        name="returns_tuple.py",
        parameters=(25 + 1) * 4 + 4 * 10 + 10,
        notes=("returns 2 values: number 1 is taken for the class scores",),
        adapted={"element": 1},
    ),
    Case(
        name="auxiliary.py",
        parameters=2 * DENSE,
        notes=("returns 2 values in training: number 0 is taken for the class scores",
               "returns probabilities: trained", "returns class scores in training, else prob",
               "7,850 of its 15,700 parameters are reached by no gradient (auxiliary)"),
        unreached=DENSE,
        adapted={"element": 0, "training": "class scores", "evaluation": "probabilities"},
    ),
    Case(name="views_of_maps.py", parameters=(25 + 1) * 4 + 4 * 8 * 8 * 10 + 10,
         adapted={"contiguous": True}),
    Case(
        name="wants_vectors.py",
        parameters=784 * 16 + 16 + 16 * 10 + 10,
        notes=("wants vectors: the images are flattened",),
        adapted={"flat": True},
    ),
    Case(
        name="star_imports.py",
        parameters=(9 + 1) * 6 + 6 * 10 + 10,
        notes=(EXTRACTED, "imports torchsummary_that_is_not_here, which is not installed"),
        adapted={"extracted": True, "stand_ins": True},
    ),
    Case(
        name="seeds_itself.py",
        parameters=DENSE,
        notes=("its constructor seeds torch, which has no effect: each run has its own seed",),
    ),
    Case(name="shared_layer.py", parameters=DENSE, notes=(EXTRACTED,)),
    Case(
        name="prints_and_writes.py",
        parameters=DENSE,
        notes=("printed ", "wrote stray.txt into its working directory, which is removed"),
    ),
    Case(name="own_recipe.py", parameters=DENSE, adapted={"extracted": False}),
    Case(name="lazy.py", parameters=(9 + 1) * 4 + 26 * 26 * 4 * 10 + 10),
    Case(
        name="combined.py",
        parameters=(3 * 784 + 1) * 6 + 3 * 3 + 3 + 6 * 10 + 10,
        unreached=3 * 3 + 3,
        notes=(
            EXTRACTED,
            "imports wandb_that_is_not_here, which is not installed and not needed",
            "wants 3 channels",
            "drops a batch of one image",
            "returns probabilities",
            "12 of its 14,200 parameters are reached by no gradient (unused)",
        ),
    ),
    Case(
        name="notebook.ipynb",
        parameters=(9 + 1) * 5 + 5 * 10 + 10,
        notes=(
            "code cell 4 is not valid Python and was left out",
            EXTRACTED,
            "imports google.colab_that_is_not_here, which is not installed and not needed",
            LOG,
        ),
    ),
)  # fmt: skip

REFUSED = {
    "arguments.py": "its constructor needs channels, dropout; add --argument channels=VALUE "
    "--argument dropout=VALUE",
    "needed_import.py": "the class needs einops_that_is_not_here: install it, or leave it out",
    "several.py": "defines several networks (Small, Large); name one, as in ",
    "several.py:Medium": "defines no class Medium; its networks are Block, Small, Large",
    "eleven_outputs.py": "returns 11 scores an image, and there are 10 classes; give its last "
    "layer 10 outputs",
    "class_numbers.py": "returns whole numbers, no class scores; return the scores before argmax",
    "asks_for_cuda.py": "it asks for a CUDA device by itself: take out .cuda()",
    "batch_in_view.py": "works with batches of 64 images only: a batch size is",
    "broken.py": "not valid Python",
    "no_network.py": "defines no class that extends nn.Module (it imports classes from several)",
    "no_network.py:Small": "imports Small from several; name the file that defines it",
    "random_each_time.py": "two networks from one seed differ, so that no run could be repeated",
    "absent.py": "there is no file",
}


def inspect(name: str, arguments: tuple[str, ...] = ()) -> Inspection:
    (iteration,) = find_iterations(
        [str(MODELS / name)], recipe="iteration_4", arguments=arguments, root=MODELS
    )
    return inspect_iteration(iteration, CPU, engine="auto" if name == "logits.py" else "eager")


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_a_model_file_is_counted_and_what_was_done_to_it_is_said(case: Case) -> None:
    """Declared and reached parameters are those of a hand count; no sentence is more or less."""
    found = inspect(case.name, case.arguments)

    assert found.cost.parameters == case.parameters
    assert found.cost.reached_parameters == case.parameters - case.unreached
    for said, expected in zip(found.notes, case.notes, strict=True):
        assert expected in said
    adaptation = found.iteration.adaptation
    assert adaptation is not None
    assert {name: getattr(adaptation, name) for name in case.adapted} == case.adapted


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_with_the_reason(name: str) -> None:
    """One line that begins with the file as it was named."""
    with pytest.raises(BenchError) as caught:
        inspect(name)
    message = str(caught.value)
    assert REFUSED[name] in message
    assert message.startswith(str(MODELS / name.partition(":")[0]))
    assert "\n" not in message


def test_every_model_file_is_in_a_table() -> None:
    """A file that no test looks at would say nothing."""
    tabled = {name.partition(":")[0] for name in [*REFUSED, *(case.name for case in TRAINED)]}
    files = {path.name for path in MODELS.iterdir() if path.is_file()}
    assert files - {"blocks.py"} == tabled - {"absent.py"}
    assert len(files) >= 20


def test_layers_keep_their_names_behind_an_adapter() -> None:
    """A network that has to be called by a module of ours has the layers of its own file."""
    found = inspect("overrides_call.py")
    assert [layer.name for layer in found.cost.layers] == ["conv", "fc"]


def test_a_plain_network_has_no_adapter() -> None:
    """`auto` finds the fast engine for what an engine can follow."""
    found = inspect("logits.py")
    adaptation = found.iteration.adaptation
    assert adaptation is not None
    assert not adaptation.changes_images
    assert found.choice.engine in ("native", "eager")  # eager where there is no compiler
    assert found.notes == ()


def test_a_refusal_says_what_of_a_notebook_was_left_out(tmp_path: Path) -> None:
    """The imports may have been in that cell."""
    cells = ["import torch.nn as nn\nprint 'ready'", "class Net(nn.Module):\n    pass"]
    path = tmp_path / "net.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells]}))
    (iteration,) = find_iterations([str(path)], recipe="iteration_4", root=tmp_path)
    with pytest.raises(
        BenchError, match=r"NameError.*; code cell 1 is not valid Python and was left out"
    ):
        inspect_iteration(iteration, CPU)
