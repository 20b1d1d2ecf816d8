"""Submissions looked at: names in the ledger that differ, and messages that stand beside a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from class_of_twelve import HEAD, TINY
from grades import make_screened

from bench.challenges import DIGITS
from bench.errors import SettingsError
from bench.executors.inspection import Inspection
from bench.foreign import find_iterations
from bench.grading.claims import Claimed, read_claims
from bench.grading.submissions import Submission, list_submissions
from bench.iterations import list_iterations, select_iterations
from bench.screening import Look, Screening, _shorten, _tell_apart
from bench.training.engines import EngineChoice


def look_at(folder: Path, file: str) -> Look:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + TINY)
    (submission,) = [each for each in list_submissions(folder, ()) if each.file == file]
    (iteration,) = find_iterations((str(path),), recipe="iteration_4", root=folder)
    inspection = Inspection(
        cost=make_screened().cost,
        choice=EngineChoice(engine="eager", block=1, notice=None),
        iteration=iteration,
        notes=("drops a batch of one image",),
    )
    return Look(submission=submission, inspection=inspection)


def test_files_whose_names_are_alike_in_the_ledger_are_told_apart(tmp_path: Path):
    """`anna/model.py` and `anna-model.py` are both anna-model-Tiny there; ben is left as he is."""
    looks = [look_at(tmp_path, file) for file in ("anna/model.py", "anna-model.py", "ben.py")]
    names = [look.inspection.iteration.name for look in _tell_apart(looks)]

    assert len({look.inspection.iteration.name for look in looks}) == 2
    assert len(set(names)) == 3
    assert names[2] == "ben-Tiny"
    assert names == [look.inspection.iteration.name for look in _tell_apart(looks)]


def test_notes_become_sentences(tmp_path: Path):
    """Inspections give them without a subject."""
    assert look_at(tmp_path, "a.py").screened.notes == ("Drops a batch of one image.",)


def test_a_message_leaves_out_the_path_that_stands_beside_it(tmp_path: Path):
    """Absolute or not, with the class or without, and line ends are gone."""
    path = tmp_path / "a.py"

    assert _shorten(f"{path}: not valid Python", path) == "not valid Python"
    assert _shorten(f"{path}:Net: returns\n  7 scores", path) == "returns 7 scores"
    assert _shorten(f"cannot read {path}", path) == "cannot read a.py"


def test_each_submission_is_looked_at_with_its_own_recipe_and_arguments(tmp_path: Path):
    """Sixteen epochs where the claim says so; a wrong argument costs its own row only."""
    (tmp_path / "a.py").write_text(HEAD + TINY)
    (tmp_path / "b.py").write_text(HEAD + TINY)
    (tmp_path / "long.toml").write_text(
        'batch_size = 64\nepochs = 16\n[optimizer]\nkind = "SGD"\n'
        '[schedule]\nkind = "Constant"\nrate = 0.1\n'
    )
    claims = tmp_path / "claims.csv"
    claims.write_text("file,recipe,arguments\na.py,long.toml,\nb.py,,width=8\nc.py,,\n")
    screening = Screening(
        folder=tmp_path,
        challenge=DIGITS,
        device=torch.device("cpu"),
        engine="eager",
        recipe="iteration_4",
        recipes=tmp_path,
        workers=1,
    )
    noted: list[Look] = []
    long, wrong, missing = screening.look_at_all(
        list_submissions(tmp_path, read_claims(claims)), noted.append
    )

    assert long.excess == "16 epochs of at most 15"
    assert wrong.broken is not None
    assert "width" in wrong.broken
    assert (missing.inspection, missing.broken) == (None, None)
    assert [look.submission.file for look in noted] == ["a.py", "b.py", "c.py"]


def test_an_iteration_of_the_harness_keeps_its_own_recipe(tmp_path: Path):
    """`bench grade models`: the recipe for all others is not for it, one that is claimed is."""
    (path,) = [each.path for each in list_iterations() if each.name == "iteration_2"]
    other = tmp_path / "a.py"
    other.write_text(HEAD + TINY)
    screening = Screening(
        folder=path.parent, challenge=DIGITS, device=torch.device("cpu"), engine="eager",
        recipe="iteration_1", recipes=None, workers=1,
    )  # fmt: skip

    found = screening._find_iteration(Submission(file=path.name, path=path), path)
    assert found == select_iterations(("iteration_2",))[0]
    assert screening._find_iteration(Submission(file="a.py", path=other), other).recipe == (
        select_iterations(("iteration_1",))[0].recipe
    )
    claim = Claimed(where="claims.csv:2", file=path.name, recipe="iteration_1")
    with pytest.raises(SettingsError, match="iterations have their own"):
        screening._find_iteration(Submission(file=path.name, path=path, claim=claim), path)
