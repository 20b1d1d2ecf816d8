"""What is recorded of the machine: enough to tell whether two runs owe each other the same bits."""

from __future__ import annotations

import shutil

import pytest
import torch

from bench.training.devices import describe_instructions, describe_machine
from bench.training.native.library import find_compiler

MILAN = {"model name": "AMD EPYC", "cpu family": "25", "model": "1", "stepping": "1"}
GENOA = MILAN | {"model": "17"}


def test_generations_of_one_name_are_told_apart() -> None:
    """Virtual machines call a Zen 3 and a Zen 4 alike "AMD EPYC"."""
    flags = {"flags": "fpu sse2 avx2"}

    milan, genoa = describe_instructions(MILAN | flags), describe_instructions(GENOA | flags)

    assert milan != genoa
    assert str(milan).startswith("cpu family 25, model 1, stepping 1, abilities ")


def test_abilities_count_and_their_order_does_not() -> None:
    """A virtual machine may hide AVX-512 from a processor that has it."""
    assert describe_instructions(GENOA | {"flags": "b a"}) == describe_instructions(
        GENOA | {"flags": "a b"}
    )
    assert describe_instructions(GENOA | {"flags": "a"}) != describe_instructions(
        GENOA | {"flags": "a b"}
    )


def test_arm_is_known_by_its_part() -> None:
    """There the lines have other names."""
    shown = describe_instructions(
        {"CPU part": "0xd40", "CPU revision": "1", "Features": "fp asimd"}
    )

    assert str(shown).startswith("CPU part 0xd40, CPU revision 1, abilities ")


@pytest.mark.parametrize("cpuinfo", [{}, {"flags": "avx2"}, {"model": "17"}])
def test_nothing_is_made_up(cpuinfo: dict[str, str]) -> None:
    """Where the system does not tell, nothing is recorded, and no bits are owed."""
    assert describe_instructions(cpuinfo) is None


def test_the_compiler_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it names itself; none where there is none."""
    compiler = find_compiler()
    recorded = describe_machine(torch.device("cpu")).compiler
    assert (recorded is None) == (compiler is None)

    monkeypatch.setattr(shutil, "which", lambda _name: None)
    find_compiler.cache_clear()
    try:
        assert describe_machine(torch.device("cpu")).compiler is None
    finally:
        find_compiler.cache_clear()
