"""The commands that the page gives are ones that this program takes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from builders import CONDITIONS, MACHINE, make_evidence, make_iteration, make_run
from msgspec.structs import replace

from bench.challenges import DIGITS, MNIST
from bench.cli import HELP_OPTIONS
from bench.commands.run import command
from bench.records import Challenge, Machine
from bench.report.commands import SEED, Commands, name_commit, write_commands
from bench.seeds import parse_seeds


def write(challenge: Challenge = MNIST, **conditions: Any) -> Commands:
    """Return the commands of six seeds that were trained alike."""
    runs = [make_run(seed=s, conditions=replace(CONDITIONS, **conditions)) for s in range(6)]
    return write_commands(make_iteration(), make_evidence(runs), challenge)


@pytest.mark.parametrize(
    ("challenge", "conditions", "expected"),
    [
        (MNIST, {"engine": "native"}, {"engine": "native", "device": "cpu"}),
        (DIGITS, {}, {"engine": "eager", "dataset": "digits"}),
        (MNIST, {"device": "cuda sm_90", "engine": "stacked", "block": 16},
         {"engine": "stacked", "device": "cuda", "block": 16}),
        (MNIST, {"device": " "}, {"device": "auto"}),
    ],
)  # fmt: skip
def test_a_command_is_read_back_as_the_conditions_it_was_made_of(
    challenge: Challenge, conditions: dict[str, Any], expected: dict[str, Any]
):
    """`bench run` itself parses it, one seed or all of them, into a ledger that is not this one."""
    commands = write(challenge, **conditions)

    for text, seeds in ((commands.templates[0].replace(SEED, "5"), (5,)),
                        (commands.all_runs, tuple(range(6)))):  # fmt: skip
        words = shlex.split(text.rpartition("&& ")[2])
        assert words[:2] == ["bench", "run"]
        options = command.make_context("run", words[2:], help_option_names=HELP_OPTIONS).params
        assert {name: options[name] for name in expected} == expected
        assert parse_seeds(options["seeds"]) == seeds
        assert str(options["ledger"]) == "again"


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (MACHINE, "0123456789ab"),
        (replace(MACHINE, dirty=None), "0123456789ab"),
        (replace(MACHINE, dirty=True), "0123456789ab with uncommitted changes"),
        (replace(MACHINE, commit=None), "not recorded"),
    ],
)
def test_a_commit_is_named_with_what_is_wrong_with_it(machine: Machine, name: str):
    """Twelve letters of it; uncommitted changes and a missing commit are said."""
    assert name_commit(machine) == name


def test_runs_of_one_commit_share_a_template():
    """Commits are listed once, in the order of the seeds, and each run points at its own."""
    other = replace(MACHINE, commit="f" * 40)
    runs = [make_run(seed=s, machine=other if s == 1 else MACHINE) for s in range(4)]
    commands = write_commands(make_iteration(), make_evidence(runs), MNIST)

    assert commands.commits == ("0123456789ab", "f" * 12)
    assert commands.commit_of == (0, 1, 0, 0)
    assert len(commands.templates) == 2
