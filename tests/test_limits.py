"""What a stranger's ledger, model file or settings may not do: each is one line, and no traceback.

Lines get a right checksum, so that what stands behind it is reached.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from planted_runs import CONDITIONS, LATEST, make_epoch, make_run, make_runs, plant_ledger

import bench
from bench import limits
from bench.challenges import DIGITS_DIGEST, MNIST, MNIST_DIGEST
from bench.errors import BenchError, EvidenceError, IterationError, LedgerError, SettingsError
from bench.evidence import select_evidence
from bench.findings import measure_difficulty
from bench.iterations import list_iterations, read_iteration
from bench.ledger import append_run, encode_run, ledger_path, read_ledger, read_outlines
from bench.records import Mistake, Run
from bench.report.page import render_page
from bench.settings import load_settings, locate
from bench.verdict import judge_all

ROOT = Path(bench.__file__).parent.parent
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file that runs of iteration 4 on MNIST go to."""
    file = ledger_path(tmp_path / "ledger", "mnist", LATEST.name)
    file.parent.mkdir(parents=True)
    return file


def seal(body: bytes) -> bytes:
    """Return a line with the checksum that its content has, as hashlib computes it."""
    checksum = hashlib.sha256(body[1:]).hexdigest()[:16].encode()
    return b'{"checksum":"' + checksum + b'",' + body[1:] + b"\n"


def forge(change: Change, run: Run | None = None) -> bytes:
    """Return the line of a run after a change of its fields, with a right checksum."""
    fields = json.loads(encode_run(run or make_run()))
    del fields["checksum"]
    change(fields)
    return seal(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def first_epoch(**changes: object) -> Change:
    return lambda fields: fields["epochs"][0].update(changes)


def cost(**changes: object) -> Change:
    return lambda fields: fields["cost"].update(changes)


def conditions(**changes: object) -> Change:
    return lambda fields: fields["conditions"].update(changes)


LAYER = {
    "name": "a", "kind": "b", "output_shape": [1], "parameters": 1, "macs": 1,
    "receptive_field": None,
}  # fmt: skip

FORGERIES: dict[str, Change] = {
    "negative seed": lambda fields: fields.update(seed=-1),
    "seed of a quintillion": lambda fields: fields.update(seed=10**18),
    "seed of 4,000 digits": lambda fields: fields.update(seed=10**4000),
    "no validation images": first_epoch(validation_total=0, validation_correct=0),
    "no training images": first_epoch(training_total=0, training_correct=0),
    "negative total": first_epoch(validation_total=-10_000),
    "negative count": first_epoch(validation_correct=-1),
    "more right than there are": first_epoch(validation_correct=10_001),
    "more trained than there are": first_epoch(training_correct=60_001),
    "a trillion images": first_epoch(training_total=10**12),
    "negative loss": first_epoch(training_loss=-0.5),
    "endless loss": first_epoch(validation_loss=1e300),
    "no loss": first_epoch(validation_loss=None),
    "negative seconds": first_epoch(seconds=-1),
    "ten thousand epochs": lambda fields: fields.update(epochs=fields["epochs"] * 700),
    "mistakes of more epochs": lambda fields: fields.update(mistakes=[[]] * 16),
    "one image wrong twice": lambda fields: fields.update(mistakes=[[[5, 1, 2], [5, 1, 3]]]),
    "an image beyond the last": lambda fields: fields.update(mistakes=[[[10_000, 1, 2]]]),
    "a negative image": lambda fields: fields.update(mistakes=[[[-1, 1, 2]]]),
    "a digit of a million": lambda fields: fields.update(mistakes=[[[1, 10**6, 2]]]),
    "negative parameters": cost(parameters=-1),
    "parameters of 100 digits": cost(parameters=10**100),
    "layers without end": cost(layers=[LAYER] * 10_001),
    "dimensions without end": cost(layers=[LAYER | {"output_shape": [1] * 17}]),
    "no seeds side by side": conditions(block=0),
    "a device of a book": conditions(device="x" * 101),
    "a device that moves the cursor": conditions(device="\x1b[2J"),
    "a device of two lines": conditions(device="cpu\n"),
    "a processor of a book": lambda fields: fields["machine"].update(processor="x" * 1001),
    "a way out": lambda fields: fields.update(iteration="../../iteration_4"),
    "half a character": lambda fields: fields["machine"].update(processor="\ud800"),
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_number_or_text_that_no_run_has_is_a_damaged_line(path: Path, change: Change) -> None:
    """A forged line with a right checksum is told by file and line, with a remedy."""
    path.write_bytes(encode_run(make_run(seed=1)) + forge(change))

    with pytest.raises(LedgerError) as error:
        read_ledger(path)

    assert str(error.value).startswith(f"{path}:2: damaged line (")
    assert "restore the file" in str(error.value)


def test_a_forgery_that_changes_nothing_is_read(path: Path) -> None:
    """The control of the test above: without a change the forged line is the run's."""
    path.write_bytes(forge(lambda fields: None))

    assert path.read_bytes() == encode_run(make_run())
    assert read_ledger(path).runs == (make_run(),)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("read", [read_ledger, read_outlines])
def test_brackets_without_end_are_a_damaged_line(
    path: Path, bracket: bytes, read: Callable[[Path], object]
) -> None:
    """A hundred thousand open brackets in a field that nobody knows take no stack."""
    path.write_bytes(seal(b'{"a":' + bracket * 100_000 + b"}"))

    with pytest.raises(LedgerError, match="nested too deeply"):
        read(path)


def test_bytes_that_are_no_text_are_a_damaged_line(path: Path) -> None:
    """A byte that is not UTF-8 inside a name is an error of its line."""
    body = b"{" + encode_run(make_run()).rstrip(b"\n")[len(b'{"checksum":"0123456789abcdef",') :]
    path.write_bytes(seal(body.replace(b"Example", b"Ex\xffmple", 1)))

    with pytest.raises(LedgerError, match=r":1: damaged line .*utf-8"):
        read_ledger(path)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["torn", "whole"])
def test_a_line_without_end_is_not_read_into_memory(path: Path, end: bytes) -> None:
    """A gigabyte of zeros without a newline is refused by a process that has not half of it."""
    with path.open("wb") as file:
        file.truncate(900 << 20)
        file.seek(0, os.SEEK_END)
        file.write(end)

    assert complain_with_little_memory(path, "read_ledger(path)") == (
        f"{path}:1: damaged line (longer than the 4,194,304 bytes that a run takes at most); "
        "restore the file from version control, or delete this line and run its seed again"
    )


def test_a_line_without_end_is_not_appended_to(path: Path) -> None:
    """An append looks for the last newline no further than a run is long."""
    with path.open("wb") as file:
        file.truncate(900 << 20)

    told = complain_with_little_memory(
        path, "append_run(path.parent.parent, decode_run(sys.stdin.buffer.read().strip()))"
    )

    assert "its last line is longer than the 4,194,304 bytes" in told
    assert path.stat().st_size == 900 << 20


def complain_with_little_memory(path: Path, action: str) -> str:
    """Do something in a process of 512 MiB and return its error."""
    program = f"""
import resource, sys
from pathlib import Path
from bench.errors import LedgerError
from bench.ledger import append_run, decode_run, read_ledger
resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
path = Path(sys.argv[1])
try:
    {action}
except LedgerError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        input=encode_run(make_run()),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_a_file_larger_than_any_page_is_not_read_whole(path: Path) -> None:
    """What a page would hold in memory is bounded; the message says by how much."""
    with path.open("wb") as file:
        file.truncate(limits.MOST_WHOLE_FILE_BYTES + 1)

    with pytest.raises(LedgerError, match="1,073,741,825 bytes, more than the 1,073,741,824"):
        read_ledger(path)


def test_more_runs_than_a_file_may_have_are_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bound of three runs, the fourth is refused and named."""
    monkeypatch.setattr("bench.ledger.MOST_RUNS", 3)
    plant_ledger(path.parent.parent, make_runs(range(4)))

    with pytest.raises(LedgerError, match=f"{path}:4: more than 3 runs"):
        read_outlines(path)


def test_what_could_not_be_read_again_is_not_written(path: Path) -> None:
    """A run with a loss that is no number is refused before a byte of it is in the file."""
    plant_ledger(path.parent.parent, [make_run(seed=0)])
    before = path.read_bytes()
    bad = replace(make_epoch(9_900), validation_loss=float("nan"))

    with pytest.raises(LedgerError, match="seed 1 was not recorded"):
        append_run(path.parent.parent, make_run(seed=1, epochs=(bad,) * 3))

    assert path.read_bytes() == before


def test_a_run_cannot_name_its_way_out_of_the_ledger(tmp_path: Path) -> None:
    """A challenge or an iteration is a part of a path and never a path."""
    with pytest.raises(LedgerError, match="was not recorded"):
        append_run(tmp_path / "ledger", replace(make_run(), iteration="../../escaped"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_link_out_of_the_ledger_is_not_followed(path: Path, tmp_path: Path, where: str) -> None:
    """Whether the file or its folder is the link: neither read nor written through it."""
    outside = tmp_path / "outside" / path.name
    outside.parent.mkdir()
    outside.write_bytes(encode_run(make_run()))
    if where == "file":
        path.symlink_to(outside)
    else:
        path.parent.rmdir()
        path.parent.symlink_to(outside.parent)

    with pytest.raises(LedgerError, match="leads out of"):
        read_ledger(path)
    with pytest.raises(LedgerError, match="leads out of"):
        append_run(path.parent.parent, make_run(seed=1))
    assert outside.read_bytes() == encode_run(make_run())


def test_a_lock_that_is_a_link_destroys_nothing(path: Path, tmp_path: Path) -> None:
    """A stranger's link in the place of the lock does not let an append empty another file."""
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    path.with_suffix(".lock").symlink_to(treasure)

    with pytest.raises(LedgerError, match="leads out of"):
        append_run(path.parent.parent, make_run())

    assert treasure.read_text() == "gold"


def test_links_inside_the_ledger_are_followed(path: Path) -> None:
    """A link that stays in the folder is one's own business."""
    other = path.parent / "stored"
    other.write_bytes(encode_run(make_run()))
    path.symlink_to(other)

    assert read_ledger(path).runs == (make_run(),)


def test_links_in_a_circle_are_told(path: Path) -> None:
    """Two links that lead to each other are an error and no endless search."""
    other = path.parent / "other"
    other.symlink_to(path)
    path.symlink_to(other)

    with pytest.raises(LedgerError, match="cannot be read"):
        read_ledger(path)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_waited_for(path: Path, kind: str) -> None:
    """A named pipe would block for ever, and a device never end."""
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    with pytest.raises(LedgerError, match=r"cannot be read \((not a regular file|it leads out)"):
        read_ledger(path)


def test_a_run_on_mnist_is_scored_on_ten_thousand_images() -> None:
    """A run that got one image of one right is at every target, and was not scored on MNIST."""
    runs = [make_run(seed=0, dataset=MNIST_DIGEST)]
    select_evidence(runs, LATEST)
    small = replace(runs[0], seed=1, epochs=(make_epoch(1, total=1),) * 15)

    with pytest.raises(LedgerError, match=r"seed 1 was scored on 1 images, and .* has 10000"):
        select_evidence([*runs, small], LATEST)


def test_the_embedded_digits_have_359_images() -> None:
    """The same of the other dataset that is known by its digest."""
    runs = [make_run(dataset=DIGITS_DIGEST, epochs=(make_epoch(359, total=359),) * 15)]

    assert select_evidence(runs, LATEST).evidence[0].runs == tuple(runs)
    with pytest.raises(LedgerError, match="has 359"):
        select_evidence([make_run(dataset=DIGITS_DIGEST)], LATEST)


def test_a_page_is_not_made_of_a_thousand_conditions() -> None:
    """Each set of conditions has its own section; more than anyone can read are refused."""
    runs = [
        make_run(conditions=replace(CONDITIONS, device=f"device {number}"))
        for number in range(limits.MOST_GROUPS + 1)
    ]

    with pytest.raises(LedgerError, match="201 sets of conditions"):
        select_evidence(runs, LATEST)


def test_totals_without_a_common_measure_are_refused() -> None:
    """The common multiple of a hundred different totals would be a number without end."""
    epochs = tuple(make_epoch(1, total=total) for total in range(1, 101))

    with pytest.raises(LedgerError, match="different numbers of images"):
        select_evidence([make_run(epochs=epochs)], LATEST)


def test_a_million_missing_seeds_are_not_listed() -> None:
    """A single far seed names the first ten thousand that it waits for."""
    [evidence] = select_evidence([make_run(seed=999_999)], LATEST).evidence

    assert evidence.waiting == (999_999,)
    assert evidence.missing == tuple(range(10_000))


def make_hard(*mistakes: Mistake, seed: int = 0) -> Run:
    return make_run(seed=seed, dataset=MNIST_DIGEST, mistakes=(mistakes,) * 3)


def difficulty(runs: list[Run]) -> object:
    [evidence] = select_evidence(runs, LATEST).evidence
    return measure_difficulty(evidence, MNIST)


def test_an_image_is_one_digit_in_every_run() -> None:
    """Mistakes that disagree about what an image shows are not of one dataset."""
    runs = [make_hard(Mistake(7, 4, 9)), make_hard(Mistake(7, 5, 9), seed=1)]

    with pytest.raises(EvidenceError, match="image 7 is a 4 in one run and a 5 in another"):
        difficulty(runs)


def test_a_digit_has_no_more_images_than_the_dataset() -> None:
    """MNIST has 980 zeros: mistakes on 981 of them are forged, and no share is above one."""
    zeros = [Mistake(index, 0, 1) for index in range(981)]
    difficulty([make_hard(*zeros[:-1])])

    with pytest.raises(EvidenceError, match="mistakes on 981 images of a 0"):
        difficulty([make_hard(*zeros)])


NARRATIVE = 'NARRATIVE = Narrative(title="a", target=("b",))\n'
RECIPE = (
    "RECIPE = Recipe(optimizer=SGD(), schedule=Constant(rate=0.1), batch_size=128, epochs=15)\n"
)
NETWORK = "class Network:\n    pass\n"


def write_model(folder: Path, *, recipe: str = RECIPE, narrative: str = NARRATIVE,
                extra: bytes = b"") -> Path:  # fmt: skip
    """Write an iteration that is whole but for what a test puts into it."""
    folder.mkdir(exist_ok=True)
    path = folder / "iteration_9.py"
    path.write_bytes((narrative + recipe + NETWORK).encode() + extra)
    return path


def test_a_model_file_without_a_flaw_is_read(tmp_path: Path) -> None:
    """The control of the tests below."""
    assert read_iteration(write_model(tmp_path)).recipe.epochs == 15


EXTRAS = {
    "minus signs": (b"x = " + b"-" * 50_000 + b"1", "nested too deeply"),
    "minus signs, a few": (b"x = " + b"-" * 2_000 + b"1", "nested too deeply"),
    "attributes": (b"x" + b".y" * 50_000, "nested too deeply"),
    "sums": (b"x = 1" + b"+1" * 2_500, "nested too deeply"),
    "brackets": (b"x = " + b"(" * 50_000, "not valid Python"),
    "a null byte": (b"x = '\x00'", "not valid Python"),
    "no text": (b"x = '\xff'", "not valid Python"),
    "a megabyte": (b"#" * (1 << 20), "more than the 1,048,576 that are read"),
}


@pytest.mark.parametrize(("extra", "says"), EXTRAS.values(), ids=EXTRAS)
def test_a_model_file_that_exhausts_the_parser_is_told(
    tmp_path: Path, extra: bytes, says: str
) -> None:
    """What makes Python's parser give up is one error that names the file."""
    path = write_model(tmp_path, extra=extra)

    with pytest.raises(IterationError, match=says) as error:
        read_iteration(path)

    assert str(error.value).startswith(f"{path}: ")


def test_an_integer_of_a_million_digits_is_no_problem(tmp_path: Path) -> None:
    """Python refuses to write such an integer in decimal digits; the fingerprint needs none."""
    path = write_model(tmp_path, extra=b"x = 0x" + b"f" * 500_000)

    assert len(read_iteration(path).fingerprint) == 64


def test_a_comment_cannot_be_code_in_another_encoding(tmp_path: Path) -> None:
    """In UTF-7, `+AAo-` ends the line of a comment: what is read must be what is run."""
    path = write_model(tmp_path)
    path.write_bytes(b"# coding: utf-7\n# +AAo-print(1)\n" + path.read_bytes())

    with pytest.raises(IterationError, match="write it in UTF-8"):
        read_iteration(path)


SCHEDULE = "RECIPE = Recipe(optimizer=SGD(), schedule={}, batch_size={}, epochs={})\n"
RECIPES = {
    "a billion epochs": SCHEDULE.format("Constant(rate=0.1)", 128, 10**9),
    "a batch of a quintillion": SCHEDULE.format("Constant(rate=0.1)", 10**18, 15),
    "milestones without end": SCHEDULE.format(
        f"MultiStep(rate=0.1, milestones={tuple(range(1_001))})", 128, 15
    ),
    "an endless rate": SCHEDULE.format("Constant(rate=1e999)", 128, 15),
    "a factor without bound": SCHEDULE.format(
        f"MultiStep(rate=0.1, milestones={(0,) * 1_000}, factor=1e9)", 128, 15
    ),
    "division by nothing": SCHEDULE.format("OneCycle(peak=0.1, start_divisor=0.0)", 128, 15),
    "a number of 5,000 digits": SCHEDULE.format("Constant(rate=0.1)", hex(10**5_000), 15),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_nobody_can_train_is_told(tmp_path: Path, recipe: str) -> None:
    """Values that would take gigabytes, or no number at all, are one short error."""
    path = write_model(tmp_path, recipe=recipe)

    with pytest.raises(IterationError) as error:
        read_iteration(path)

    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < len(str(path)) + 300


@pytest.mark.parametrize(
    "title",
    ["x" * 10_001, "\x1b]0;owned\x07", "\ud800"],
    ids=["a book", "a terminal's title", "half a character"],
)
def test_a_narrative_that_cannot_be_shown_is_told(tmp_path: Path, title: str) -> None:
    """A title that moves a terminal's cursor, or that no file can hold, is refused."""
    path = write_model(tmp_path, narrative=f"NARRATIVE = Narrative(title={title!a}, target=())\n")

    with pytest.raises(IterationError, match="title="):
        read_iteration(path)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_model_file_elsewhere_is_not_read(tmp_path: Path, kind: str) -> None:
    """A link out of the models folder would show parts of other files; a pipe would block."""
    outside = write_model(tmp_path / "outside")
    folder = tmp_path / "models"
    folder.mkdir()
    if kind == "link":
        (folder / "iteration_9.py").symlink_to(outside)
    else:
        os.mkfifo(folder / "iteration_9.py")

    with pytest.raises(IterationError, match="cannot be read"):
        list_iterations(folder)


def test_a_curve_of_a_billion_steps_is_drawn_from_fewer(tmp_path: Path) -> None:
    """One image a batch over a thousand epochs of ten million: the page takes no gigabytes."""
    iteration = read_iteration(
        write_model(tmp_path, recipe=SCHEDULE.format("Cosine(rate=0.1)", 1, 1_000))
    )
    epoch = replace(make_epoch(9_900), training_total=10_000_000)
    run = make_run(iteration=iteration, epochs=(epoch,) * 15)
    verdicts = judge_all(select_evidence([run], iteration), iteration, MNIST)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    page = render_page(verdicts, [iteration], MNIST)

    assert "</html>" in page
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (512 << 10)


def write_settings(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["ledger", "page"])
@pytest.mark.parametrize(
    "value", ["/etc/x", "../x", "a/../../x", "C:\\x", "\\\\host\\x", "a\\..\\..\\x"]
)
def test_settings_cannot_lead_out_of_the_project(tmp_path: Path, name: str, value: str) -> None:
    """A stranger's pyproject.toml does not choose what is overwritten, on any system."""
    write_settings(tmp_path, f"[tool.bench]\n{name} = '{value}'\n")

    with pytest.raises(SettingsError, match="leads out of the project"):
        load_settings(tmp_path)


def test_settings_inside_the_project_are_taken(tmp_path: Path) -> None:
    """A path below the project, dots in names included, is as good as the default."""
    write_settings(tmp_path, "[tool.bench]\nledger = 'evidence/v1..2'\n")

    root, settings = load_settings(tmp_path)

    assert locate(root, settings.ledger) == tmp_path / "evidence" / "v1..2"


def test_a_linked_folder_of_the_project_cannot_lead_out(tmp_path: Path) -> None:
    """`reports` as a link to another folder is told before the page is written there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "reports").symlink_to(tmp_path)

    with pytest.raises(SettingsError, match=r"leads out of .*--page"):
        locate(project, "reports/index.html")


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 20_000, "#" * (1 << 20) + "\n"], ids=["deep", "large"]
)
def test_settings_beyond_a_bound_are_told(tmp_path: Path, text: str) -> None:
    """A pyproject.toml that exhausts its parser is an error of one line."""
    write_settings(tmp_path, text)

    with pytest.raises(BenchError, match=r"pyproject\.toml: "):
        load_settings(tmp_path)
