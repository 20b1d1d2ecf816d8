"""Files of a git revision, read as they are stored: nothing is checked out, filtered or run.

Git is asked for names and contents of objects alone. What a stranger can put into a revision,
links, submodules, odd names and large files, is left out or an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.errors import BaselineError

MOST_FILES = 5_000
MOST_BYTES = 1 << 30
"""Bytes of all the files that are read of a revision: as much as a bundle may have."""

_MOST_LISTING_BYTES = 64 << 20
_PLAIN = ("100644", "100755")
_COMMIT = re.compile(rb"[0-9a-f]{40,64}")
_ENTRY = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]{40,64}) +(\d+|-)\t(.+)", re.DOTALL)
_PART = re.compile(r"(?!\.\.?$)[\w.@+ -]{1,200}")
_ELSEWHERE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES",
)  # fmt: skip
"""Variables that would send git to another repository than that of the folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A plain file of a revision: its path below the project, and the object that holds it."""

    path: str
    identity: str
    size: int


def resolve_revision(root: Path, revision: str) -> str:
    """Return the full name of the commit that a revision means in the repository of a folder.

    Raises:
        BaselineError: there is no git, no repository, or no such revision.
    """
    if not revision or revision.startswith("-") or not revision.isprintable():
        raise BaselineError(
            f"--against {revision!r}: neither a folder of a ledger nor a git revision; write a "
            "branch, a tag or a commit"
        )
    done = _run_git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    found = done.stdout.strip()
    if done.returncode or not _COMMIT.fullmatch(found):
        raise BaselineError(
            f"--against {revision}: no such revision in {root}, and no folder of that name; fetch "
            "it first (with actions/checkout: fetch-depth: 0), or name the folder of a ledger"
        )
    return found.decode()


def is_revision(root: Path, text: str) -> bool:
    """Say whether the repository of a folder has such a revision, False where there is none."""
    try:
        resolve_revision(root, text)
    except BaselineError:
        return False
    return True


def list_stored_files(root: Path, commit: str, folder: str) -> tuple[StoredFile, ...]:
    """Return the plain files below a folder of the project at a commit, none if it is not there.

    Links and submodules are left out, and so are files whose names no file of ours has.

    Raises:
        BaselineError: git cannot list them, or there are too many.
    """
    done = _run_git(root, "ls-tree", "-r", "-z", "--long", commit, f"./{folder}")
    if done.returncode or len(done.stdout) > _MOST_LISTING_BYTES:
        raise BaselineError(
            f"{commit[:12]}: the files of {folder} cannot be listed ({_last_line(done.stderr)}); "
            "fetch the whole commit"
        )
    return tuple(_parse_listing(done.stdout))


def copy_stored_files(root: Path, files: Sequence[StoredFile], target: Path) -> None:
    """Write files of a revision below an empty folder, byte by byte as they are stored.

    Raises:
        BaselineError: there are too many or too large ones, or an object is not there.
    """
    total = sum(file.size for file in files)
    if len(files) > MOST_FILES or total > MOST_BYTES:
        raise BaselineError(
            f"{len(files):,} files of {total:,} bytes, more than the {MOST_FILES:,} of "
            f"{MOST_BYTES:,} bytes that are read of a revision; name the folder of a ledger instead"
        )
    command = _command(root, "cat-file", "--batch")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        for file in files:
            process.stdin.write(f"{file.identity}\n".encode())
            process.stdin.flush()
            path = target / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as copy:
                _copy_object(process.stdout, file, copy.write)
        process.stdin.close()


def _copy_object(stream: IO[bytes], file: StoredFile, write: Callable[[bytes], object]) -> None:
    header = stream.readline()
    if header != f"{file.identity} blob {file.size}\n".encode():
        raise BaselineError(
            f"{file.path}: its content is not in this clone; fetch the whole commit"
        )
    left = file.size
    while left:
        block = stream.read(min(left, 1 << 20))
        if not block:
            raise BaselineError(f"{file.path}: git ended before it was read whole; try again")
        write(block)
        left -= len(block)
    stream.read(1)


def _parse_listing(listing: bytes) -> Iterator[StoredFile]:
    for entry in listing.split(b"\0"):
        match = _ENTRY.fullmatch(entry)
        if not match or match[1].decode() not in _PLAIN or match[4] == b"-":
            continue
        path = match[5].decode("utf-8", errors="replace")
        if all(_PART.fullmatch(part) for part in path.split("/")):
            yield StoredFile(path=path, identity=match[3].decode(), size=int(match[4]))


def _run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            _command(root, *arguments), capture_output=True, check=False, env=_environment()
        )
    except OSError as error:
        raise BaselineError(
            f"{root}: git cannot be run here ({error.strerror}); install it, or name the folder of "
            "a ledger with --against"
        ) from error


def _command(root: Path, *arguments: str) -> list[str]:
    # a repository that a stranger hid in a folder of the project is not taken for the project's
    git = shutil.which("git") or "git"
    return [git, "-C", str(root), "-c", "safe.bareRepository=explicit", *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return kept | {
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
