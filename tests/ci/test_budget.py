"""`bench budget`: parameters alone, one line an iteration, exit 1 when over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import LATEST

from bench.challenges import MNIST
from bench.cli import main
from bench.commands.budget import list_excess


def test_what_the_gate_requires_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The iterations of pyproject.toml: one line each, and one of them is over."""
    settings = '[tool.bench.gate]\nrequire = ["iteration_4", "iteration_1"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)

    code = main(["budget"])

    captured = capfd.readouterr()
    assert (code, captured.err) == (1, "")
    assert captured.out.splitlines() == [
        "WITHIN  iteration_4: 7,924 parameters, fewer than 10,000",
        "OVER    iteration_1: 546,982 parameters, not fewer than 10,000; `bench cost` shows its "
        "layers",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.toml"]


def test_a_network_that_cannot_be_built_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither within nor over: exit 2."""
    (tmp_path / "broken.py").write_text("class Net:\n    pass\n")
    monkeypatch.chdir(tmp_path)

    assert main(["budget", "broken.py:Net"]) == 2
    assert capfd.readouterr().err.startswith("bench: error: ")


@pytest.mark.parametrize(
    ("parameters", "epochs", "excess"),
    [
        (9_999, 15, []),
        (10_000, 15, ["10,000 parameters, not fewer than 10,000"]),
        (9_999, 16, ["16 epochs, at most 15 allowed"]),
        (10_001, 16, ["10,001 parameters, not fewer than 10,000", "16 epochs, at most 15 allowed"]),
    ],
)
def test_the_budget_is_strict_for_parameters_and_not_for_epochs(
    parameters: int, epochs: int, excess: list[str]
) -> None:
    """Fewer than 10,000 parameters, and at most 15 epochs."""
    recipe = dataclasses.replace(LATEST.recipe, epochs=epochs)
    iteration = dataclasses.replace(LATEST, recipe=recipe)

    assert list_excess(iteration, parameters, MNIST) == excess
    assert list_excess(iteration, parameters, replace(MNIST, parameters=20_000, epochs=20)) == []
