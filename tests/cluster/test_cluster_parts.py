"""What travels to a cluster arrives as it was, and nodes are told apart by what they would do."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

from builders import CONDITIONS, COST, make_iteration
from msgspec.structs import replace

from bench.adaptation import Adaptation
from bench.datasets import load_embedded_digits
from bench.errors import ClusterError, DataError, IterationError
from bench.executors.cluster.luggage import (
    digest_code,
    pack_dataset,
    pack_iteration,
    unpack_dataset,
    unpack_iteration,
)
from bench.executors.cluster.machines import (
    Answer,
    Node,
    choose_group,
    choose_kind,
    explain_difference,
)
from bench.executors.cluster.reports import Mailbox, Sender, open_letters
from bench.executors.cluster.worker import Finding, Inquiry, find_place, look
from bench.executors.inspection import Inspection
from bench.foreign import change_epochs, find_iterations
from bench.iterations import Iteration, list_iterations, read_iteration
from bench.training.engines import EngineChoice

FOREIGN = Path(__file__).parents[1] / "foreign" / "models"
EAGER = replace(CONDITIONS, engine="eager")
NATIVE = replace(CONDITIONS, engine="native")


def send(iteration: Iteration, folder: Path) -> Iteration:
    """Return an iteration as it arrives on a machine that has no file of it."""
    return unpack_iteration(pack_iteration(iteration), folder)


def fingerprint(iteration: Iteration) -> str:
    return change_epochs(iteration, epochs=iteration.recipe.epochs).fingerprint


@pytest.mark.parametrize("name", ["star_imports.py", "shared_layer.py", "squeezes.py"])
def test_a_model_file_travels_with_what_its_fingerprint_covers(name: str, tmp_path: Path) -> None:
    """With the modules beside it, and with nothing else of its folder."""
    (iteration,) = find_iterations([str(FOREIGN / name)], recipe="iteration_1", root=FOREIGN)
    arrived = send(iteration, tmp_path)
    assert arrived.path.is_relative_to(tmp_path)
    assert fingerprint(arrived) == iteration.fingerprint
    assert dataclasses.replace(arrived, path=iteration.path) == iteration


def test_a_package_travels_as_a_package(tmp_path: Path) -> None:
    """A file that imports relative to its package finds it, folder names and all."""
    package = tmp_path / "here" / "nets" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("WIDTH = 3\n")
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(
        "from torch import nn\nfrom .. import WIDTH\n\n\nclass Net(nn.Module):\n    width = WIDTH\n"
    )
    (iteration,) = find_iterations(
        [f"{package / 'model.py'}:Net"], recipe="iteration_1", root=tmp_path
    )
    arrived = send(iteration, tmp_path / "there")
    assert arrived.path == tmp_path / "there" / iteration.name / "nets" / "inner" / "model.py"
    assert fingerprint(arrived) == iteration.fingerprint


def test_an_iteration_of_ones_own_travels_with_its_modules(tmp_path: Path) -> None:
    """The harness's own are where the harness is."""
    own = tmp_path / "models"
    own.mkdir()
    text = list_iterations()[-1].path.read_text()
    (own / "iteration_9.py").write_text(f"from models import extras\n{text}\nextras\n")
    (own / "extras.py").write_text("WIDTH = 3\n")
    (own / "unrelated.py").write_text("WIDTH = 4\n")
    iteration = read_iteration(own / "iteration_9.py")
    arrived = send(iteration, tmp_path / "there")
    assert fingerprint(arrived) == iteration.fingerprint
    assert sorted(path.name for path in arrived.path.parent.iterdir()) == [
        "extras.py", "iteration_9.py",
    ]  # fmt: skip
    for ours in list_iterations():
        assert send(ours, tmp_path / "there") == ours


def test_images_arrive_as_they_were() -> None:
    """Their digest is computed again, and a changed pixel is an error."""
    dataset = load_embedded_digits()
    packed = pack_dataset(dataset)
    arrived = unpack_dataset(packed)
    assert (arrived.digest, arrived.mean, arrived.deviation, arrived.classes) == (
        dataset.digest, dataset.mean, dataset.deviation, dataset.classes,
    )  # fmt: skip
    packed.arrays[0][0, 0, 0] ^= 1  # shared with the dataset: these are its own arrays
    with pytest.raises(DataError, match="not those that were sent"):
        unpack_dataset(packed)


def make_answer(name: str, cores: int, **found: object) -> Answer:
    node = Node(identity=name, name=name, cores=cores, gpus=0)
    return Answer(node=node, finding=Finding(**found))  # type: ignore[arg-type]


def make_able(name: str, cores: int, engine: str = "native", *, stand_ins: bool = False) -> Answer:
    adaptation = Adaptation(shape=(1, 28, 28), classes=10, stand_ins=stand_ins)
    iteration = dataclasses.replace(make_iteration(name="model"), adaptation=adaptation)
    inspection = Inspection(
        cost=COST,
        choice=EngineChoice(engine=engine, block=1, notice=None),
        iteration=iteration,
        notes=(),
    )
    return make_answer(
        name,
        cores,
        inspections={"model": inspection},
        conditions={"model": replace(CONDITIONS, engine=engine)},
    )


def test_the_nodes_with_the_most_room_under_equal_conditions_train() -> None:
    """Two of three cores each beat one of five; the other is left out, for a reason."""
    answers = [make_able("a", 3), make_able("b", 5, "eager"), make_able("c", 3)]
    group = choose_group(answers, "cpu")
    assert [answer.node.name for answer in group] == ["a", "c"]
    reason = explain_difference(answers[1], group[0])
    assert f"it would train model under other conditions ({EAGER})" in reason


def test_nodes_that_read_a_model_file_otherwise_are_not_alike() -> None:
    """One has a package that the file imports, the other has a stand-in for it."""
    answers = [make_able("a", 3), make_able("b", 2, stand_ins=True)]
    assert choose_group(answers, "cpu") == answers[:1]
    assert explain_difference(answers[1], answers[0]).startswith("other packages are installed")


def test_other_code_is_an_error_that_names_the_node() -> None:
    """Though the other nodes would do."""
    answers = [make_able("a", 3), make_answer("b", 2, mismatch="computes the fingerprint 0123")]
    with pytest.raises(ClusterError, match=r"^--cluster: node b computes the fingerprint 0123"):
        choose_group(answers, "cpu")


def test_where_no_node_can_train_one_of_them_says_why() -> None:
    """What is wrong with a file comes before what is wrong with a node."""
    failed = make_answer("a", 1, failure="--device cuda: torch sees no CUDA device")
    with pytest.raises(ClusterError, match=r"^--cluster: node a: --device cuda"):
        choose_group([failed], "cuda")
    with pytest.raises(IterationError, match=r"^model.py: cannot be run"):
        choose_group(
            [failed, make_answer("b", 1, refusals={"m": "model.py: cannot be run"})], "cpu"
        )
    with pytest.raises(ClusterError, match="no node has answered"):
        choose_group([], "cpu")


def test_gpus_train_where_there_are_any() -> None:
    """A GPU without a core to feed it does not count; what is asked for is taken."""
    cpu = Node(identity="a", name="a", cores=8, gpus=0)
    gpu = Node(identity="b", name="b", cores=4, gpus=2)
    idle = Node(identity="c", name="c", cores=0, gpus=2)
    assert choose_kind("auto", [cpu, gpu]) == "cuda"
    assert choose_kind("auto", [cpu, idle]) == "cpu"
    assert choose_kind("cpu", [gpu]) == "cpu"
    assert (gpu.count_slots("cuda"), gpu.count_slots("cpu"), cpu.count_slots("cuda")) == (2, 4, 0)


def ask(iteration: Iteration, code: str) -> Finding:
    inquiry = Inquiry(
        iterations=(pack_iteration(iteration),), code=code, device="cpu", engine="auto",
        block=None, shape=(1, 28, 28), classes=10,
    )  # fmt: skip
    return look(inquiry)


def test_a_node_says_when_its_code_or_its_fingerprint_is_another() -> None:
    """Before it executes anything."""
    iteration = list_iterations()[-1]
    other = dataclasses.replace(iteration, fingerprint="f" * 64)
    assert f"computes the fingerprint {iteration.fingerprint[:12]}" in str(
        ask(other, digest_code()).mismatch
    )
    assert "imports other code of bench" in str(ask(iteration, "0" * 64).mismatch)


@pytest.mark.parametrize(
    ("gpu", "visible", "place"),
    [("2", None, 2), ("3", "2,3", 1), ("GPU-b", "GPU-a,GPU-b", 1), ("0", "", 0)],
)
def test_a_gpu_is_found_where_torch_counts_it(gpu: str, visible: str | None, place: int) -> None:
    """Ray names GPUs as CUDA_VISIBLE_DEVICES does where that is set, as in a Slurm allocation."""
    assert find_place(gpu, visible) == place


class Line:
    """A mailbox of this process, called as a Ray actor is."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.letters = 0
        self._mailbox = mailbox
        self.put = self

    def remote(self, letter: bytes) -> None:
        self.letters += 1
        self._mailbox.put(letter)


def test_reports_are_sent_in_batches_and_in_order() -> None:
    """A block of seeds ends its epoch at once: one message, not one a seed."""
    mailbox = Mailbox()
    line = Line(mailbox)
    sender = Sender(line)
    received: list[int] = []
    for number in range(1_000):
        sender.put(number)
    deadline = time.monotonic() + 30
    while len(received) < 1_000 and time.monotonic() < deadline:
        received += open_letters(mailbox.take())
        time.sleep(0.05)
    assert received == list(range(1_000))
    assert line.letters <= 3
