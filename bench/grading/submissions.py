"""Which files of a folder are submissions, and which claim belongs to which."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from bench.errors import GradingError
from bench.grading.claims import Claimed

SUFFIXES = (".py", ".ipynb")
CLAIMS_FILES = ("claims.csv", "claims.toml")
"""Looked for in the folder itself, where no file is named."""

MOST_SUBMISSIONS = 5_000
MOST_LOOKED_AT_BYTES = 1 << 24
_UNREADABLE = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
    MemoryError,
)  # fmt: skip
"""What a file that is damaged, or no notebook, may raise when it is looked at."""


class Submission(Struct, frozen=True, kw_only=True):
    r"""One file, or one class of it, with its claim; `path` is `None` for a file that is missing.

    `file` is the path below the folder of submissions, with slashes; what of it is not UTF-8 is
    written as `\xe9`.
    """

    file: str
    path: Path | None
    claim: Claimed | None = None

    @property
    def network(self) -> str | None:
        """Return the class that the claim names, if it does."""
        return self.claim.network if self.claim else None


def find_claims_file(folder: Path) -> Path | None:
    """Return the table of claims that lies among the submissions, if one does.

    Raises:
        GradingError: several do.
    """
    found = [folder / name for name in CLAIMS_FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise GradingError(
            f"{folder}: both {found[0].name} and {found[1].name} are there; name one with --claims"
        )
    return found[0] if found else None


def list_submissions(folder: Path, claims: Sequence[Claimed]) -> tuple[Submission, ...]:
    """Return what was handed in and what was claimed, in the order of the files' names.

    Submissions are all model files of the folder, and of the folders in it those that are claimed
    or that define a network; helpers beside them are not. A claim without a file is a submission
    without a path.

    Raises:
        GradingError: the folder cannot be read, or has no model files, or too many.
    """
    by_file: dict[str, list[Claimed]] = defaultdict(list)
    for claim in claims:
        by_file[claim.file].append(claim)
    found = {_name_file(path, folder): path for path in _list_files(folder, by_file)}
    if not found and not claims:
        raise GradingError(
            f"{folder}: no submissions; put one .py or .ipynb file there for each, or one folder"
        )
    if len(found) > MOST_SUBMISSIONS:
        raise GradingError(
            f"{folder}: {len(found):,} model files; {MOST_SUBMISSIONS:,} are graded at most"
        )
    return tuple(
        Submission(file=file, path=found.get(file), claim=claim)
        for file in sorted({*found, *by_file})
        for claim in by_file.get(file) or (None,)
    )


def _name_file(path: Path, folder: Path) -> str:
    """Return the place of a file as text that every file and terminal can hold."""
    name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
    return name.decode("utf-8", "backslashreplace")


def _list_files(folder: Path, claimed: Iterable[str]) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
        files = [path for path in children if _is_model_file(path)]
        for child in children:
            if child.is_dir() and not child.name.startswith((".", "_")):
                files += _choose_files(sorted(filter(_is_model_file, child.iterdir())), claimed)
    except OSError as error:
        raise GradingError(
            f"{folder}: cannot be read ({error.strerror}); name the folder of the submissions"
        ) from error
    return files


def _is_model_file(path: Path) -> bool:
    hidden = path.name.startswith((".", "_"))
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _choose_files(files: list[Path], claimed: Iterable[str]) -> list[Path]:
    """Return of the files of one student those that are submissions; without any, all."""
    named = [path for path in files if f"{path.parent.name}/{path.name}" in set(claimed)]
    return named or [path for path in files if _may_define_network(path)] or files


def _may_define_network(path: Path) -> bool:
    """Say whether a class of a file has a base called like a module of torch.

    A file that cannot be read is a submission: whoever handed it in must be told.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_LOOKED_AT_BYTES)
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".ipynb":
            return "Module" in _join_cells(text)
        return any(_derives_from_module(node) for node in ast.walk(ast.parse(text)))
    except _UNREADABLE:
        return True


def _join_cells(text: str) -> str:
    cells = json.loads(text)["cells"]
    return "\n".join("".join(cell.get("source", "")) for cell in cells)


def _derives_from_module(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        "Module" in ast.unparse(base) or "Net" in ast.unparse(base) for base in node.bases
    )
