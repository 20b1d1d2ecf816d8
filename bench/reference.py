"""docs/commands.md and docs/names.md, written from the code: `python -m bench.reference`.

Everything in them is what `bench COMMAND --help` and Python's `help(bench.run)` say, as Markdown.
With `--check` nothing is written, and the exit code is 1 when a page says something else than the
code.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

import click

import bench
from bench.cli import COMMANDS
from bench.cli import bench as group

WRITTEN = "<!-- Written by python -m bench.reference: change the docstrings, not this page. -->"
MOST_COLUMNS = 90
"""Of a signature on one line."""


def write_commands() -> str:
    """Return the page of every command with its help and its options."""
    parts = [
        "# Commands",
        WRITTEN,
        "What `--help` says, of every command.",
        write_table(
            ("command", "it does"),
            ((f"[`bench {name}`](#bench-{name})", what) for name, what in COMMANDS.items()),
        ),
    ]
    context = click.Context(group, info_name="bench", **group.context_settings)
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None:
            parts += _describe_command(click.Context(command, parent=context, info_name=name))
    return "\n\n".join(parts) + "\n"


def _describe_command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield _write_paragraph(paragraph)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = (
        (f"`{record[0]}`", escape_text(" ".join(record[1].split())))
        for record in records
        if record is not None and record[1]  # an argument is in the usage
    )
    yield write_table(("option", "meaning"), rows)


def _write_paragraph(paragraph: str) -> str:
    """Return text as it is, and lines that click keeps apart (after backspace) as a block."""
    if paragraph.startswith("\b\n"):
        return "```text\n" + paragraph.removeprefix("\b\n") + "\n```"
    return escape_text(" ".join(paragraph.split()))


def escape_text(text: str) -> str:
    """Return prose in which nothing outside `code` is read as HTML or emphasis."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", piece)
        for piece in pieces
    )


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar inside a cell is escaped, in code too, as GitHub wants it."""
    cells = (header, ["---"] * len(header), *rows)
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells
    )


def write_names() -> str:
    """Return the page of every name of the Python API with its signature and docstring."""
    parts = [
        "# Names of the Python API",
        WRITTEN,
        "What `help(bench.NAME)` says, of every name in `bench.__all__`; "
        "[api.md](api.md) shows how they are used.",
    ]
    for name in sorted(bench.__all__, key=lambda name: (name.strip("_")[0].isupper(), name)):
        value = getattr(bench, name)
        if isinstance(value, str):
            continue  # the version
        parts += [f"## bench.{name}", *_describe_name(name, value)]
    return "\n\n".join(parts) + "\n"


def _describe_name(name: str, value: object) -> Iterator[str]:
    if inspect.isfunction(value):
        yield _write_signature(name, value)
    yield from _write_docstring(value)
    if inspect.isclass(value):
        yield from _describe_class(value)


def _describe_class(kind: type) -> Iterator[str]:
    if issubclass(kind, Enum):
        yield ", ".join(f"`{member.name}`" for member in kind)
        return
    fields = {
        field: str(hint)
        for field, hint in inspect.get_annotations(kind).items()
        if not field.startswith("_") and "ClassVar" not in str(hint)
    }
    if fields:
        rows = ((f"`{field}`", f"`{hint}`") for field, hint in fields.items())
        yield write_table(("field", "type"), rows)
    members = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
    for member, value in members.items():
        if isinstance(value, property):
            yield f"### bench.{kind.__name__}.{member}"
            yield from _write_docstring(value)
        elif inspect.isfunction(value):
            yield f"### bench.{kind.__name__}.{member}()"
            yield _write_signature(member, value)
            yield from _write_docstring(value)


def _write_signature(name: str, value: Callable[..., object]) -> str:
    """Return a signature, one parameter a line where it is long; annotations as in the source."""
    signature = inspect.signature(value)
    parameters = list(_list_parameters(signature))
    returns = f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) > MOST_COLUMNS:
        line = f"{name}(\n    " + ",\n    ".join(parameters) + f",\n){returns}"
    return f"```text\n{line}\n```"


def _list_parameters(signature: inspect.Signature) -> Iterator[str]:
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            yield "*"
        text = parameter.name
        if parameter.annotation is not inspect.Parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not inspect.Parameter.empty:
            text += f" = {parameter.default!r}"
        yield text


def _write_docstring(value: object) -> Iterator[str]:
    for paragraph in (inspect.getdoc(value) or "").split("\n\n"):
        if paragraph.startswith("Raises:"):
            yield "Raises:"
            errors = re.split(r"\n    (?=\w+: )", paragraph.removeprefix("Raises:"))
            yield "\n".join(
                "* `{}`: {}".format(*escape_text(" ".join(error.split())).split(": ", 1))
                for error in errors
                if error.strip()
            )
        elif paragraph:
            yield escape_text(" ".join(paragraph.split()))


PAGES: dict[str, Callable[[], str]] = {
    "docs/commands.md": write_commands,
    "docs/names.md": write_names,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages of the working directory, or check them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.reference", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    options = parser.parse_args(arguments)
    stale = []
    for place, write in PAGES.items():
        path = Path(place)
        text = write()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(place)
            if not options.check:
                path.write_text(text, encoding="utf-8")
    for place in stale:
        verb = "differs from the code: run" if options.check else "written by"
        print(f"{place} {verb} python -m bench.reference")  # noqa: T201
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
