"""Fenced blocks of README and docs, and what is said about each.

Collected with markdown-it, which is here for other tests. Sybil, mktestdocs and pytest-examples
collect blocks as well, but none of them runs lines of a shell in a shortened form, or counts what
is only shown with its reason.

An HTML comment before a block says what is done with it:

* `<!-- not executed: reason -->`: it is shown only, and its commands are still parsed;
* `<!-- output -->`: it is what the block before it prints, to the letter;
* `<!-- file: model.py -->`: it is written into a file of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_REASON = re.compile(r"<!-- not executed: (.+?) -->\s*$", re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->\s*$")
_OUTPUT = re.compile(r"<!-- output -->\s*$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: place, language, text, why it is only shown, the file it is written to."""

    document: str
    line: int
    language: str
    text: str
    reason: str | None
    file: str | None
    is_output: bool

    @property
    def place(self) -> str:
        """Return file and line, as an editor opens them."""
        return f"{self.document}:{self.line}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the commands of a block of shell; one that is continued is one."""
        joined = self.text.replace("\\\n", " ")
        return tuple(line for line in joined.splitlines() if line.split("#")[0].strip())


def list_documents(root: Path = ROOT) -> list[Path]:
    """Return README and the pages of docs/, in the order of their names."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def read_blocks(path: Path, root: Path = ROOT) -> Iterator[Block]:
    """Yield the fenced blocks of a document, in its order."""
    comment = ""
    for token in parse(path):
        if token.type == "fence" and token.map is not None:
            reason = _REASON.search(comment)
            yield Block(
                document=path.relative_to(root).as_posix(),
                line=token.map[0] + 1,
                language=token.info.strip(),
                text=token.content,
                reason=" ".join(reason[1].split()) if reason else None,
                file=file[1] if (file := _FILE.search(comment)) else None,
                is_output=bool(_OUTPUT.search(comment)),
            )
        comment = token.content if token.type == "html_block" else ""


def read_inline_code(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of what stands in `code` in the prose and tables of a document."""
    for token in parse(path):
        for child in token.children or ():
            if child.type == "code_inline" and token.map is not None:
                yield token.map[0] + 1, child.content


def parse(path: Path) -> list[Token]:
    """Return the tokens of a document, as GitHub reads it."""
    return MarkdownIt("gfm-like", {"linkify": False}).parse(path.read_text(encoding="utf-8"))
