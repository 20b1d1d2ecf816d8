"""Every command of README and docs is one that we have; `nox -s docs` executes them."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from bench import reference
from documentation.blocks import ROOT, Block, list_documents, read_blocks, read_inline_code
from documentation.execution import Reader
from documentation.links import find_broken_links, list_anchors
from documentation.shell import find_mistake, split_commands
from documentation.shortening import shorten_line, shorten_python

DOCUMENTS = [path.relative_to(ROOT).as_posix() for path in list_documents()]
REASONS = ("installs packages", "needs a ", "measures for minutes or hours")
"""Why a block may be shown only; anything else has to be executed."""


def make_block(text: str, *, language: str = "sh", is_output: bool = False) -> Block:
    return Block(
        document="x.md", line=1, language=language, text=text, reason=None, file=None,
        is_output=is_output,
    )  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_one_that_we_have(document: str) -> None:
    """Its name, options and values, by the very objects that the program parses with."""
    mistakes = [
        f"{block.place}: {line}: {mistake}"
        for block in read_blocks(ROOT / document)
        if block.language == "sh"
        for line in block.lines
        for command in split_commands(line)
        if (mistake := find_mistake(command))
    ]
    assert not mistakes


@pytest.mark.parametrize("document", DOCUMENTS)
def test_so_is_every_command_within_the_text(document: str) -> None:
    """What begins with `bench NAME --` or `nox -s`."""
    mistakes = [
        f"{document}:{line}: {code}: {mistake}"
        for line, code in read_inline_code(ROOT / document)
        if code.startswith(("bench ", "nox -s "))
        and "COMMAND" not in code
        and (mistake := find_mistake(next(split_commands(code.replace("|", "-")))))
        and "argument" not in mistake  # `bench gate --json` names the option alone
    ]
    assert not mistakes


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("bench run --sedes 3", "No such option"),
        ("bench jugde", "no such command"),
        ("cd demo && bench run --device tpu", "'tpu' is not one of"),
        ("nox -s bench -- --workers ten", "'ten' is not a valid integer"),
        ("nox -s becnh", "no such session"),
        ("nox -s perf -- --ration", "no such measurement"),
    ],
)
def test_a_command_that_we_do_not_have_is_found(line: str, mistake: str) -> None:
    """Options, names, values, sessions, and what stands behind a session's `--`."""
    found = [each for command in split_commands(line) if (each := find_mistake(command))]
    assert len(found) == 1
    assert mistake in found[0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_are_of_their_language(document: str) -> None:
    """Python compiles and TOML is read, whether executed or not."""
    for block in read_blocks(ROOT / document):
        if block.language == "python":
            compile(block.text, block.place, "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        assert block.language != "bash", f"{block.place}: write sh, which is executed"


def test_what_is_only_shown_has_a_reason_that_counts() -> None:
    """Packages, a GPU, a cluster, hours: nothing else."""
    reasons = {
        block.reason for path in list_documents() for block in read_blocks(path) if block.reason
    }
    assert [reason for reason in reasons if not reason.startswith(REASONS)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """To files and headings that are there, in docs/ and outside of it."""
    assert not list(find_broken_links(ROOT / document))


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    """A file and a heading that are not there; the second of two equal headings has a number."""
    page = tmp_path / "page.md"
    page.write_text("# A `b` & c\n\n# Same\n\n# Same\n\n[1](no.md) [2](#nothing) [3](#a-b--c)\n")
    assert list_anchors(page) == {"a-b--c", "same", "same-1"}
    assert [broken.split(": ")[1] for broken in find_broken_links(page)] == ["no.md", "#nothing"]


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_reference_is_what_the_code_says(page: str) -> None:
    """When it drifts: `python -m bench.reference`."""
    assert (ROOT / page).read_text(encoding="utf-8") == reference.PAGES[page]()


def test_another_help_changes_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is made from the commands: another option of one gives another page."""
    from bench.commands import bundle

    monkeypatch.setattr(bundle.command.params[-1], "help", "Something else.")
    assert reference.write_commands() != (ROOT / "docs" / "commands.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "executed"),
    [
        ("bench gate  # all", "bench gate"),
        ("nox -s gate", "bench gate"),
        (
            "bench run x.py:Net --seeds 10",
            "bench run x.py:Net --seeds 1 --epochs 1 --dataset digits",
        ),
        ("bench run x --seeds 20-39", "bench run x --seeds 20-20 --epochs 1 --dataset digits"),
        ("bench run --dataset digits --seeds 3", "bench run --dataset digits --seeds 3"),
        ("bench recipe x > r.toml", "bench recipe x > r.toml"),
        ("bench init a && cd a", "bench init a && cd a"),
        ("bench verify --sample 0", "bench verify --sample 0"),
        ("bench verify --sample 5", "bench verify --sample 1 --dataset digits"),
        ("bench grade X --budget 2h", "bench grade X --budget 20s --seeds 1 --dataset digits"),
    ],
)
def test_commands_are_shortened_and_stay_what_they_are(
    line: str, executed: str, tmp_path: Path
) -> None:
    """As documentation/shortening.py says."""
    assert shorten_line(line, tmp_path) == executed


def test_python_is_shortened() -> None:
    """Ten seeds are one, of one epoch, on digits."""
    assert shorten_python("f(seeds=10)") == 'f(seeds=1, epochs=1, challenge="digits")'


def test_a_command_that_fails_and_a_wrong_output_are_told(tmp_path: Path) -> None:
    """And what a line leaves behind is there for the next one."""
    reader = Reader(project=tmp_path, environment=dict(os.environ))
    blocks = [
        make_block("mkdir a\ncd a\necho here > file  # kept\n"),
        make_block("cat a/file\n"),
        make_block("here\n", language="text", is_output=True),
        make_block("cat file\n"),
        make_block("there\n", language="text", is_output=True),
        make_block("print(1 / 0)\n", language="python"),
    ]

    outcomes = list(reader.read(blocks))

    told = [(outcome.what, outcome.trouble is None) for outcome in outcomes]
    assert told == [
        ("mkdir a", True), ("cd a", True), ("echo here > file", True), ("cat a/file", True),
        ("output", True), ("cat file", False), ("output", False), ("x.md:1", False),
    ]  # fmt: skip
    assert "ZeroDivisionError" in (outcomes[-1].trouble or "")


def test_the_same_dear_command_is_executed_once(tmp_path: Path) -> None:
    """Of two pages that have it; elsewhere than in the project's own folder it is another one."""
    program = tmp_path / "bench"
    program.write_text("#!/bin/sh\necho $* >> log\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    readers = [Reader(project=tmp_path, environment=environment)]
    readers.append(Reader(project=tmp_path, environment=environment, executed=readers[0].executed))
    block = make_block(
        "bench run x --dataset digits\nmkdir -p a\ncd a\nbench run x --dataset digits\n"
    )

    kinds = [[outcome.kind for outcome in reader.read([block])] for reader in readers]

    assert kinds == [["command"] * 4, ["repeated", *["command"] * 3]]
    assert (tmp_path / "log").read_text() == "run x --dataset digits\n"
