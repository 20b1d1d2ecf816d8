"""One archive with all that a verdict rests on, and what can be checked of it without running it.

A bundle is a zip file of the ledger, the sources, the page, and a manifest of digests and verdicts.
The same content gives the same bytes. It never holds an image of a dataset.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

import bench
from bench.challenge_tables import build_challenge
from bench.challenges import CHALLENGES, DIGITS, MNIST
from bench.errors import BundleError
from bench.evidence import Evidence, select_evidence
from bench.iterations import MODELS, Iteration, list_iterations
from bench.ledger import ledger_path, read_ledger
from bench.merging import list_ledger_files
from bench.records import Answer, Challenge, Conditions
from bench.report.page import render_page
from bench.settings import Settings, find_settings
from bench.verdict import Verdict, judge_all

FORMAT = 1
"""Version of the manifest."""

ROOT = Path(bench.__file__).parent.parent
MANIFEST = "MANIFEST.json"
LEDGER = "reports/ledger"
PAGE = "reports/index.html"
PYPROJECT = "pyproject.toml"
PROJECT_FILES = ("LICENSE", "README.md", "constraints.txt", PYPROJECT)

MOST_MEMBERS = 5_000
MOST_BYTES = 1 << 30
MOST_SOURCE_BYTES = 4 << 20
"""What is neither ledger nor page is a source, and none is larger than this."""

_MOST_DIRECTORY_BYTES = 4 << 20
_END = struct.Struct("<4s4H2LH")
_NAME = re.compile(
    r"MANIFEST\.json|LICENSE|README\.md|constraints\.txt|pyproject\.toml|reports/index\.html"
    r"|reports/ledger/[\w-]+/[\w-]+\.jsonl|(?:bench|models)(?:/[\w@-][\w.@-]*)+",
    re.ASCII,
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = stat.S_IFREG | 0o644
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


class Member(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Digest and size in bytes of a file."""

    sha256: str
    size: int


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdict on one iteration of a challenge under one set of conditions, as counts."""

    challenge: str
    iteration: str
    fingerprint: str
    conditions: Conditions | None
    dataset: str | None
    answer: Answer
    parameters: int | None
    holding: int
    runs: int
    decided_after: int | None
    missing: tuple[int, ...]
    stale: int
    tuning: int


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle holds, by name, and what its ledger shows."""

    format: int
    members: dict[str, Member]
    results: tuple[Result, ...]


def write_bundle(
    path: Path, ledger: Path, *, project: Path = ROOT, models: Path = MODELS
) -> Manifest:
    """Write the archive whole or not at all, and return its manifest.

    `project` is the folder of the pyproject.toml, with the challenges; `models` that of the
    iterations.

    Raises:
        BundleError: a source is missing, too large or oddly named, or the file cannot be written.
        LedgerError: the ledger has no runs, or is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="bench-bundle-") as scratch:
        root = Path(scratch)
        _copy_ledger(ledger, root)
        _copy_sources(root, project, models)
        page = root / PAGE
        page.write_text(_render(root), encoding="utf-8")
        manifest = Manifest(
            format=FORMAT, members=dict(_list_members(root)), results=list_results(root)
        )
        encoded = msgspec.json.encode(manifest, order="sorted")
        (root / MANIFEST).write_bytes(msgspec.json.format(encoded) + b"\n")
        _check_sizes((name, member.size) for name, member in manifest.members.items())
        try:
            _write_archive(path, root)
        except OSError as error:
            raise BundleError(
                f"{path}: the bundle cannot be written ({error.strerror}); name another file"
            ) from error
    return manifest


def is_bundle(text: str) -> bool:
    """Say whether an argument names an archive rather than an iteration."""
    return text.endswith(".zip") or (os.sep in text and Path(text).is_file())


def extract_bundle(path: Path, folder: Path) -> Manifest:
    """Unpack a bundle into an empty folder and return its manifest; nothing of it is run.

    Names are those that a bundle has, files are plain, and sizes and counts are bounded before a
    byte is unpacked.

    Raises:
        BundleError: the archive is damaged, is none, or has what no bundle has.
    """
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
    except _DAMAGE as error:
        raise BundleError(f"{path}: cannot be unpacked ({error}); get it again") from error
    return _read_manifest(path, folder)


def check_digests(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the members of an unpacked bundle that are not those of its manifest."""
    found = {name: member for name, member in _list_members(root) if name != MANIFEST}
    for name in sorted(found.keys() | manifest.members.keys()):
        if name not in found:
            yield f"{name}: in the manifest and not in the archive"
        elif name not in manifest.members:
            yield f"{name}: in the archive and not in the manifest"
        elif found[name] != manifest.members[name]:
            yield f"{name}: not the file whose SHA-256 the manifest gives"


def check_verdicts(root: Path, manifest: Manifest) -> list[str]:
    """Return what an unpacked bundle says of its ledger that is not so: verdicts and page.

    The page is compared where the bundle's `bench/` is the one that runs now.

    Raises:
        BenchError: the ledger is damaged, or a model file cannot be read as one.
    """
    for file in list_ledger_files(root / LEDGER):
        read_ledger(file)
    wrong = list(_check_results(manifest.results, list_results(root)))
    if not list_changed_sources(manifest) and _render(root) != _read_text(root / PAGE):
        wrong.append(f"{PAGE}: not the page that this ledger gives")
    return wrong


def list_changed_sources(manifest: Manifest) -> list[str]:
    """Return the files of `bench/` that are not those of the bench that runs now."""
    here = {name: _digest(path) for name, path in _find_sources(ROOT / "bench", "bench")}
    there = {n: m for n, m in manifest.members.items() if n.startswith("bench/")}
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


def list_results(root: Path) -> tuple[Result, ...]:
    """Return what the judge of this bench says of a bundle's ledger and its model files."""
    iterations = list_iterations(root / "models")
    return tuple(
        _describe(challenge, iteration, verdict, evidence)
        for challenge in list_challenges(root)
        for iteration in iterations
        for verdict, evidence in _judge(root, challenge, iteration)
    )


def list_challenges(root: Path) -> list[Challenge]:
    """Return the challenges that a bundle has runs of: of ours, and of its own pyproject.toml.

    Raises:
        SettingsError: a table of its own is wrong.
    """
    where = root / PYPROJECT
    own = _read_settings(root).challenges
    known = {
        **CHALLENGES,
        **{name: build_challenge(name, table, where=where) for name, table in own.items()},
    }
    return [c for c in known.values() if (root / LEDGER / c.name).is_dir()]


def _read_settings(root: Path) -> Settings:
    found = find_settings(root) if (root / PYPROJECT).is_file() else None
    return found[1] if found is not None and found[0] == root else Settings()


def _judge(
    root: Path, challenge: Challenge, iteration: Iteration
) -> Iterator[tuple[Verdict, Evidence | None]]:
    runs = read_ledger(ledger_path(root / LEDGER, challenge.name, iteration.name)).runs
    selection = select_evidence(runs, iteration)
    verdicts = judge_all(selection, iteration, challenge)
    return zip(verdicts, selection.evidence or (None,), strict=True)


def _describe(
    challenge: Challenge, iteration: Iteration, verdict: Verdict, evidence: Evidence | None
) -> Result:
    reliable, budget = verdict.reliable, verdict.budget
    return Result(
        challenge=challenge.name,
        iteration=iteration.name,
        fingerprint=iteration.fingerprint,
        conditions=evidence.conditions if evidence else None,
        dataset=evidence.dataset if evidence else None,
        answer=verdict.answer,
        parameters=budget.parameters if budget else None,
        holding=reliable.holding if reliable else 0,
        runs=reliable.runs if reliable else 0,
        decided_after=reliable.decided_after if reliable else None,
        missing=evidence.missing if evidence else (),
        stale=verdict.stale,
        tuning=verdict.tuning,
    )


def _render(root: Path) -> str:
    """Return the page of a bundle, without pictures: those would be images of a dataset."""
    found = {challenge.name: challenge for challenge in list_challenges(root)}
    chosen = (_read_settings(root).challenge, MNIST.name, DIGITS.name, *found)
    challenge = next((found[name] for name in chosen if name in found), DIGITS)
    iterations = list_iterations(root / "models")
    verdicts = [v for i in iterations for v, _ in _judge(root, challenge, i)]
    return render_page(verdicts, iterations, challenge)


def _copy_ledger(ledger: Path, root: Path) -> None:
    files = list_ledger_files(ledger)
    if not files:
        raise BundleError(f"{ledger}: no ledger there; train first with `bench run`")
    for file in files:
        target = root / LEDGER / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        if read_ledger(target).torn:
            content = target.read_bytes()
            target.write_bytes(content[: content.rfind(b"\n") + 1])


def _copy_sources(root: Path, project: Path, models: Path) -> None:
    needed = PROJECT_FILES if project == ROOT else (PYPROJECT,)
    for name in needed:
        if not (project / name).is_file():
            raise BundleError(f"{project / name}: not there; bundle from a clone of the repository")
    sources = [(name, project / name) for name in PROJECT_FILES if (project / name).is_file()]
    sources += [*_find_sources(ROOT / "bench", "bench"), *_find_sources(models, "models")]
    for name, path in sources:
        if not _NAME.fullmatch(name):
            raise BundleError(f"{path}: a name that a bundle cannot hold; rename it or take it out")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, root / name)


def _find_sources(folder: Path, name: str) -> list[tuple[str, Path]]:
    """Return plain files below a folder, of `models` Python files alone."""
    return [
        (f"{name}/{path.relative_to(folder).as_posix()}", path)
        for path in sorted(folder.rglob("*.py" if name == "models" else "*"))
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    ]


def _list_members(root: Path) -> Iterator[tuple[str, Member]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix(), _digest(path)


def _digest(path: Path) -> Member:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Member(sha256=digest, size=path.stat().st_size)


def _write_archive(path: Path, root: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for source in sorted(p for p in root.rglob("*") if p.is_file()):
                member = zipfile.ZipInfo(source.relative_to(root).as_posix(), date_time=_EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 3  # Unix, on every system
                member.external_attr = _PLAIN_FILE << 16
                member.file_size = source.stat().st_size
                with source.open("rb") as content, archive.open(member, "w") as target:
                    shutil.copyfileobj(content, target)
        Path(beside).chmod(stat.S_IMODE(_PLAIN_FILE))
        Path(beside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink()
        raise


def _check_directory(path: Path) -> None:
    """Bound the table of contents before it is read into memory: zipfile takes any number."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END.size))
        end = file.read()
    if len(end) != _END.size or not end.startswith(b"PK\x05\x06"):
        raise BundleError(f"{path}: not a bundle; `bench bundle` writes one")
    _, _, _, _, members, length, _, comment = _END.unpack(end)
    if comment or members > MOST_MEMBERS or length > _MOST_DIRECTORY_BYTES or size > MOST_BYTES:
        raise BundleError(f"{path}: {members:,} members in {size:,} bytes are more than a bundle's")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    for member in members:
        if member.filename != member.orig_filename or not _is_safe(member.filename):
            raise BundleError(f"{path}: member {member.orig_filename!r} is not a bundle's")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
            raise BundleError(f"{path}: member {member.filename!r} is not a plain file")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"{path}: member {member.filename!r} is packed in another way")
    if len({name.casefold() for name in names}) < len(names) or len(names) > MOST_MEMBERS:
        raise BundleError(f"{path}: members more than once, or more than {MOST_MEMBERS:,}")
    if MANIFEST not in names:
        raise BundleError(f"{path}: no {MANIFEST} in it; `bench bundle` writes one")
    _check_sizes((member.filename, member.file_size) for member in members)


def _is_safe(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in PurePosixPath(name).parts


def _check_sizes(sizes: Iterable[tuple[str, int]]) -> None:
    total = 0
    for name, size in sizes:
        total += size
        if not name.startswith("reports/") and size > MOST_SOURCE_BYTES:
            raise BundleError(f"{name}: {size:,} bytes are more than a source has in a bundle")
    if total > MOST_BYTES:
        raise BundleError(f"{total:,} bytes are more than the {MOST_BYTES:,} of a bundle")


def _read_manifest(path: Path, folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST}: {error}; `bench bundle` writes one") from error
    if manifest.format != FORMAT:
        raise BundleError(f"{path}: {MANIFEST}: format {manifest.format} is not {FORMAT}")
    return manifest


def _check_results(told: Iterable[Result], found: Iterable[Result]) -> Iterator[str]:
    told, found = list(told), list(found)
    for result in told:
        if result not in found:
            yield (
                f"{result.challenge} {result.iteration}: the manifest says {_summarise(result)}, "
                "and the ledger and the sources in it do not"
            )
    for result in found:
        if result not in told:
            yield (
                f"{result.challenge} {result.iteration}: the ledger and the sources say "
                f"{_summarise(result)}, and the manifest does not"
            )


def _summarise(result: Result) -> str:
    return (
        f"{result.answer}, {result.holding} of {result.runs} seeds of {result.fingerprint[:12]} "
        f"under {result.conditions or 'no conditions'}"
    )


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
