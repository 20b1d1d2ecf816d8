"""`bench export --format tensorboard`, read back by TensorBoard's own reader."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from export_reader import export, identify, need
from msgspec.structs import replace
from planted_runs import make_run

from bench.exports.event_files import place_run


def read_scalars(folder: Path) -> dict[Path, dict[str, list[tuple[int, float]]]]:
    """Return step and value of every scalar, by the folder of the run."""
    accumulator = need("tensorboard.backend.event_processing.event_accumulator")
    found = {}
    for file in folder.rglob("*tfevents*"):
        reader = accumulator.EventAccumulator(str(file.parent))
        reader.Reload()
        found[file.parent] = {
            tag: [(event.step, event.value) for event in reader.Scalars(tag)]
            for tag in reader.Tags()["scalars"]
        }
    return found


def single(value: float) -> float:
    """Return a number as 32 bits keep it, which is what TensorBoard stores."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def test_tensorboard_reads_the_ledgers_numbers(
    ledger: Path, lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Counts are exact; losses are the ledger's, as 32 bits keep them; the step is the epoch."""
    need("tensorboard")
    assert export("--ledger", ledger, "--format", "tensorboard", "--output", tmp_path / "tb") == 0

    found = read_scalars(tmp_path / "tb")

    assert len(found) == len(lines)
    for line in lines:
        name, fingerprint, seed = identify(line)
        folders = [
            each
            for each in found
            if (each.parts[-1], each.parts[-3]) == (f"seed_{seed}", name)
            and each.parts[-2].startswith(fingerprint[:12])
        ]
        assert len(folders) == 1
        scalars = found[folders[0]]
        epochs = list(enumerate(line["epochs"], start=1))
        assert scalars.get("correct/validation", []) == [
            (step, epoch["validation_correct"]) for step, epoch in epochs
        ]
        for tag, field in (
            ("loss/validation", "validation_loss"),
            ("loss/training", "training_loss"),
        ):
            assert scalars.get(tag, []) == [(step, single(e[field])) for step, e in epochs]
        for step, value in scalars.get("accuracy/validation", []):
            epoch = line["epochs"][step - 1]
            assert value == single(epoch["validation_correct"] / epoch["validation_total"])


def test_a_second_export_writes_the_same_bytes(ledger: Path, tmp_path: Path) -> None:
    """Nothing is doubled, and what else lies in the folder stays."""
    need("tensorboard")
    folder = tmp_path / "tb"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    export("--ledger", ledger, "--format", "tensorboard", "--output", folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    export("--ledger", ledger, "--format", "tensorboard", "--output", folder)

    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert len(before) == 10


@pytest.mark.parametrize("field", ["fingerprint", "dataset"])
@pytest.mark.parametrize("text", ["/../../../../", "/elsewhere", "..", ""])
def test_no_text_of_a_ledger_leads_out_of_the_folder(field: str, text: str, tmp_path: Path) -> None:
    """A stranger's digest is part of one folder's name, whatever is in it."""
    place = place_run(tmp_path, replace(make_run(), **{field: text})).relative_to(tmp_path)

    assert len(place.parts) == 5
    assert ".." not in place.parts


def test_a_folder_that_cannot_be_made_is_one_line(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is where the folder should be."""
    need("tensorboard")
    (tmp_path / "tb").write_text("mine")

    code = export("--ledger", ledger, "--format", "tensorboard", "--output", tmp_path / "tb")

    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1
