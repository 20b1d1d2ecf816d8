"""Blocks of one document executed in their order, in a project of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from documentation.blocks import Block
from documentation.shell import split_commands, translate_session
from documentation.shortening import shorten_line, shorten_python

ANSWERS = {"gate": (0, 1, 3), "budget": (0, 1), "verify": (0, 1)}
"""Exit codes that are an answer and no error."""
DEAR = ("bench run ", "bench budget")
"""Commands that are executed once when several pages have them, in the same shortened form."""
LIMIT_SECONDS = 300
_ERROR = re.compile(r"Traceback \(most recent call last\)|^bench: error: ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a command, of a block of Python, or of an output that was compared.

    `kind` is "command", "Python", "repeated", "TOML", "file", "output" or "shown"; `trouble` is
    `None` when it is well.
    """

    place: str
    kind: str
    what: str
    executed: str
    seconds: float
    trouble: str | None


@dataclass(kw_only=True, slots=True)
class Reader:
    """Someone who types in what a document says, from top to bottom."""

    project: Path
    environment: dict[str, str]
    executed: set[str] = field(default_factory=set)
    """Dear commands that some reader has executed to the letter in a project like this one."""
    printed: str = ""

    def read(self, blocks: Iterable[Block]) -> Iterator[Outcome]:
        """Execute the blocks; what the last one printed is kept for the output after it."""
        for block in blocks:
            if block.file is not None:
                yield self._write(block, block.file)
            elif block.is_output:
                yield self._compare(block)
            elif block.reason is not None or block.language not in ("sh", "python", "toml"):
                yield from self._show(block)
            else:
                yield from self._execute(block)

    def _write(self, block: Block, name: str) -> Outcome:
        (self.project / name).write_text(block.text, encoding="utf-8")
        return _outcome(block, "file", name)

    def _show(self, block: Block) -> Iterator[Outcome]:
        if block.reason is not None:
            for what in block.lines if block.language == "sh" else (block.language,):
                yield _outcome(block, "shown", what, executed=block.reason)

    def _compare(self, block: Block) -> Outcome:
        same = _strip(block.text) == _strip(self.printed)
        trouble = None if same else f"it is, in truth:\n{self.printed}"
        return _outcome(block, "output", "output", trouble=trouble)

    def _execute(self, block: Block) -> Iterator[Outcome]:
        self.printed = ""
        if block.language == "toml":
            tomllib.loads(block.text)
            yield _outcome(block, "TOML", "a file of TOML")
        elif block.language == "python":
            yield self._run_python(block)
        else:
            folder = self.project
            for line in block.lines:
                yield self._run_line(block, line, folder)
                folder = _follow(line, folder)

    def _run_python(self, block: Block) -> Outcome:
        file = self.project / f"block_{block.line}.py"
        file.write_text(shorten_python(block.text), encoding="utf-8")
        return self._run(
            block, "Python", block.place, [sys.executable, file.name], self.project, codes=(0,)
        )

    def _run_line(self, block: Block, line: str, folder: Path) -> Outcome:
        executed = shorten_line(line, folder)
        if folder == self.project and executed.startswith(DEAR):
            if executed in self.executed:
                return _outcome(block, "repeated", line, executed=executed)
            self.executed.add(executed)
        words = translate_session(list(split_commands(line))[-1])
        codes = ANSWERS.get(words[1], (0,)) if words[:1] == ["bench"] and words[1:] else (0,)
        return self._run(block, "command", line, ["bash", "-c", executed], folder, codes=codes)

    def _run(
        self,
        block: Block,
        kind: str,
        what: str,
        command: list[str],
        folder: Path,
        *,
        codes: tuple[int, ...],
    ) -> Outcome:
        start = time.monotonic()
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        self.printed += done.stdout
        trouble = None
        if done.returncode not in codes or _ERROR.search(done.stderr):
            trouble = f"exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        seconds = time.monotonic() - start
        return _outcome(block, kind, what, executed=command[-1], seconds=seconds, trouble=trouble)


def _outcome(
    block: Block,
    kind: str,
    what: str,
    *,
    executed: str = "",
    seconds: float = 0.0,
    trouble: str | None = None,
) -> Outcome:
    return Outcome(
        place=block.place,
        kind=kind,
        what=" ".join(what.split("  #")[0].split()),
        executed=executed,
        seconds=seconds,
        trouble=trouble,
    )


def _follow(line: str, folder: Path) -> Path:
    """Return the folder that a line leaves its shell in."""
    for command in split_commands(line):
        if command[:1] == ["cd"]:
            folder = folder / command[1]
    return folder


def _strip(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
