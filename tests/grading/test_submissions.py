"""Which files of a folder are submissions, and which claims are theirs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.errors import GradingError
from bench.grading.claims import Claimed
from bench.grading.submissions import find_claims_file, list_submissions

NETWORK = "import torch.nn as nn\nclass Net(nn.Module): pass\n"


def put(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_ipynb", ".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def claim(file: str, network: str | None = None) -> Claimed:
    return Claimed(where="claims.csv:2", file=file, network=network)


def test_every_model_file_is_one_and_helpers_in_a_students_folder_are_not(tmp_path: Path):
    """What cannot be read is one too: whoever handed it in must be told."""
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": NETWORK}]})
    put(
        tmp_path,
        a_py="x = 1\n",
        b_ipynb=notebook,
        anna__model_py=NETWORK,
        anna__helpers_py="SIZE = 3\n",
        ben__net_py="class (\n",
        carl__only_py="x = 1\n",
        dora__notes_ipynb="no notebook",
        emil__cells_ipynb='{"cells": ["x"]}',
        deep__deeper__model_py=NETWORK,
        _private_py=NETWORK,
    )
    found = [each.file for each in list_submissions(tmp_path, ())]

    assert found == [
        "a.py", "anna/model.py", "b.ipynb", "ben/net.py", "carl/only.py", "dora/notes.ipynb",
        "emil/cells.ipynb",
    ]  # fmt: skip


def test_a_claim_says_which_file_of_a_folder_is_meant(tmp_path: Path):
    """Other networks beside it are then its parts."""
    put(tmp_path, anna__old_py=NETWORK, anna__new_py=NETWORK)
    (found,) = list_submissions(tmp_path, (claim("anna/new.py"),))

    assert found.file == "anna/new.py"


def test_a_claim_without_a_file_and_a_file_without_a_claim_are_both_there(tmp_path: Path):
    """Neither is an error."""
    put(tmp_path, a_py=NETWORK)
    first, second = list_submissions(tmp_path, (claim("../b.py"),))

    assert (first.file, first.path) == ("../b.py", None)
    assert (second.file, second.claim) == ("a.py", None)


def test_two_classes_of_one_file_are_two_submissions(tmp_path: Path):
    """Each with its own claim."""
    put(tmp_path, a_py=NETWORK)
    found = list_submissions(tmp_path, (claim("a.py", "One"), claim("a.py", "Two")))

    assert [each.network for each in found] == ["One", "Two"]


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path):
    """Before torch is loaded."""
    with pytest.raises(GradingError, match="no submissions; put one"):
        list_submissions(tmp_path, ())


def test_claims_beside_the_submissions_are_found_and_two_tables_are_not_guessed_at(tmp_path: Path):
    """One table is taken, two are an error."""
    assert find_claims_file(tmp_path) is None
    (tmp_path / "claims.csv").write_text("file\n")
    assert find_claims_file(tmp_path) == tmp_path / "claims.csv"
    (tmp_path / "claims.toml").write_text("")
    with pytest.raises(GradingError, match="name one with --claims"):
        find_claims_file(tmp_path)


def test_names_that_are_not_utf_8_can_be_written_and_stay_apart(tmp_path: Path):
    """Archives of other systems hold them; each keeps its path, and what is shown is text."""
    names = (b"caf\xe8.py", b"caf\xe9.py")
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(NETWORK)
    found = list_submissions(tmp_path, ())

    assert [each.file for each in found] == ["caf\\xe8.py", "caf\\xe9.py"]
    assert [os.fsencode(each.path.name) for each in found if each.path] == list(names)
    assert all(each.path is not None and each.path.is_file() for each in found)
