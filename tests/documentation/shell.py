"""Lines of a shell as commands, and those of ours held against the program that they call."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from bench.cli import COMMANDS
from bench.cli import bench as group

ROOT = Path(__file__).parents[2]
SESSION_COMMANDS = {"bench": "run", "report": "report", "gate": "gate"}
"""What a session of nox runs with what stands behind `--`: `bench run`, and so on."""
_OPERATORS = "();<>|&"


def split_words(line: str) -> list[str]:
    """Return words and operators of a line, without its comment and its quotes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    return list(lexer)


def is_operator(word: str) -> bool:
    """Tell `&&`, `|` and `>` from words."""
    return bool(word) and all(letter in _OPERATORS for letter in word)


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, without what a redirection goes to."""
    command: list[str] = []
    skip = False
    for word in split_words(line):
        if is_operator(word):
            skip = word in (">", ">>", "<")
            if not skip:
                yield command
                command = []
        elif not skip:
            command.append(word)
    yield command


def translate_session(words: Sequence[str]) -> list[str]:
    """Return `nox -s bench -- X` as the `bench run X` that the session comes to; others as is."""
    if len(words) > 2 and words[0].endswith("nox") and words[1] == "-s":
        command = SESSION_COMMANDS.get(words[2])
        return ["bench", command, *words[4:]] if command else list(words)
    return list(words)


def find_mistake(words: Sequence[str]) -> str | None:
    """Return what our own command line has against a command; `None` for what is not ours."""
    words = translate_session(words)
    if words[:1] == ["bench"] and len(words) > 1:
        return _parse_bench(words[1], list(words[2:]))
    if words[0].endswith("nox"):
        return _parse_nox(words)
    return None


def _parse_bench(name: str, arguments: list[str]) -> str | None:
    if name in ("--help", "-h", "--version"):
        return None
    if name not in COMMANDS:
        return f"{name}: no such command"
    context = click.Context(group, info_name="bench", **group.context_settings)
    command = group.get_command(context, name)
    assert command is not None
    try:
        command.make_context(name, arguments, parent=context)
    except click.exceptions.Exit:
        return None  # --help, --schema
    except click.UsageError as error:
        return None if "does not exist" in error.format_message() else error.format_message()
    return None


def _parse_nox(words: Sequence[str]) -> str | None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M))
    if len(words) < 3 or words[1] != "-s" or words[2] not in sessions:
        return f"{' '.join(words)}: no such session"
    if words[2] == "perf":
        known = (ROOT / "tests" / "perf" / "__main__.py").read_text()
        unknown = [word for word in words[4:5] if word not in known]
        return f"{unknown[0]}: no such measurement" if unknown else None
    return None
