"""`bench bundle` writes what `bench verify BUNDLE` checks elsewhere, without running any of it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from checkouts import Checkout, make_checkout
from msgspec.structs import replace
from planted_runs import LUCKY, make_run, make_runs, plant_ledger

import bench
from bench.bundles import MANIFEST, MOST_SOURCE_BYTES
from bench.ledger import encode_run
from bench.records import Mistake, Run

ROOT = Path(bench.__file__).parent.parent
LINES = "reports/ledger/mnist/iteration_4.jsonl"


def bench_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def make_honest_runs(count: int = 33) -> list[Run]:
    """Return runs whose lists of mistakes are as long as their counts say, each with its losses."""
    runs = []
    for run in make_runs(range(count)):
        epochs = tuple(
            replace(e, training_loss=e.training_loss + run.seed / 1000) for e in run.epochs
        )
        wrong = [e.validation_total - e.validation_correct for e in epochs[-3:]]
        mistakes = tuple(tuple(Mistake(n, 4, 9) for n in range(number)) for number in wrong)
        runs.append(replace(run, epochs=epochs, mistakes=mistakes))
    return runs


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of a ledger in which iteration 4 HOLDS."""
    folder = tmp_path_factory.mktemp("packed")
    plant_ledger(folder / "ledger", make_honest_runs())
    done = bench_command(folder, "bundle", "b.zip", "--ledger", "ledger")
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "b.zip"


def read_members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def redigest(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return members whose manifest has the digests that they have now, as a forger would."""
    import hashlib

    manifest = json.loads(members[MANIFEST])
    manifest["members"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in members.items()
        if name != MANIFEST
    }
    return members | {MANIFEST: json.dumps(manifest).encode()}


def test_a_bundle_is_confirmed_elsewhere(packed: Path, tmp_path: Path) -> None:
    """Digests, ledger, verdicts and page agree: exit 0, in a folder without a ledger."""
    done = bench_command(tmp_path, "verify", str(packed))

    assert (done.returncode, done.stderr) == (0, "")
    assert "HOLDS     iteration_4 (cpu, fp32, eager engine, torch 2.13): 33 of 33" in done.stdout
    assert "digests, the ledger and the verdicts agree\n" in done.stdout


def test_a_bundle_has_what_a_rerun_needs_and_no_image(packed: Path) -> None:
    """Ledger, sources, constraints, page and manifest; nothing else, and no times or owners."""
    with zipfile.ZipFile(packed) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}

    assert {
        LINES, MANIFEST, "reports/index.html", "constraints.txt", "pyproject.toml",
        "models/iteration_4.py", "models/skeleton.py", "bench/cli.py",
        "bench/training/native/kernels.hpp", "bench/report/templates/page.html.j2",
    } <= names  # fmt: skip
    assert {name.partition("/")[0] for name in names} == {
        *("LICENSE", "README.md", MANIFEST, "bench", "constraints.txt", "models"),
        *("pyproject.toml", "reports"),
    }
    assert not any("ubyte" in name or "__pycache__" in name for name in names)
    assert {(m.date_time, m.external_attr >> 16, m.extra, m.comment) for m in members} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, b"", b"")
    }


def test_the_page_in_a_bundle_shows_no_images(
    tmp_path: Path, mnist_folder: Path, packed: Path
) -> None:
    """Even where MNIST is at hand, the bytes are those of a machine without it."""
    plant_ledger(tmp_path / "ledger", make_honest_runs())
    subprocess.run(
        [sys.executable, "-m", "bench", "bundle", "again.zip", "--ledger", "ledger"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "BENCH_DATA": str(mnist_folder)},
        check=True,
        stdout=subprocess.DEVNULL,
    )

    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


Tampering = Callable[[dict[str, bytes]], dict[str, bytes]]


def raise_a_count(members: dict[str, bytes]) -> dict[str, bytes]:
    return members | {LINES: members[LINES].replace(b"9945", b"9999", 1)}


def drop_a_source(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in members.items() if name != "models/skeleton.py"}


def add_a_source(members: dict[str, bytes]) -> dict[str, bytes]:
    return members | {"models/more.py": b""}


def claim_another_verdict(members: dict[str, bytes]) -> dict[str, bytes]:
    failing = b"".join(encode_run(make_run(seed=seed, final=LUCKY)) for seed in range(33))
    return redigest(members | {LINES: failing})


def claim_another_network(members: dict[str, bytes]) -> dict[str, bytes]:
    source = members["models/iteration_4.py"].replace(b"momentum=0.9", b"momentum=0.8")
    return redigest(members | {"models/iteration_4.py": source})


def copy_a_run(members: dict[str, bytes]) -> dict[str, bytes]:
    runs = make_honest_runs()
    runs[7] = replace(runs[3], seed=7)
    return redigest(members | {LINES: b"".join(map(encode_run, runs))})


def show_another_page(members: dict[str, bytes]) -> dict[str, bytes]:
    page = members["reports/index.html"].replace(b"33 of 33", b"99 of 99")
    return redigest(members | {"reports/index.html": page})


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (raise_a_count, f"{LINES}: not the file whose SHA-256 the manifest gives"),
        (lambda members: redigest(raise_a_count(members)), f"{LINES}:1: damaged line"),
        (drop_a_source, "models/skeleton.py: in the manifest and not in the archive"),
        (add_a_source, "models/more.py: in the archive and not in the manifest"),
        (claim_another_verdict, "mnist iteration_4: the manifest says HOLDS, 33 of 33"),
        (claim_another_network, "mnist iteration_4: the manifest says HOLDS, 33 of 33"),
        (copy_a_run, "iteration_4 seed 7 (cpu, fp32, eager engine, torch 2.13): a copy: seed 3"),
        (show_another_page, "reports/index.html: not the page that this ledger gives"),
    ],
    ids=["count", "redigested", "missing", "added", "verdict", "network", "copy", "page"],
)
def test_a_bundle_that_was_changed_is_contradicted(
    packed: Path, tmp_path: Path, tamper: Tampering, says: str
) -> None:
    """Exit 1 and the member by name, without a line of it being run."""
    changed = write_members(tmp_path / "changed.zip", tamper(read_members(packed)))

    done = bench_command(tmp_path, "verify", str(changed))

    assert (done.returncode, done.stderr) == (1, "")
    assert f"contradicted  {says}" in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../outside.py", "models/../../outside.py", "models\\..\\outside.py",
        "models/./x.py", "C:/x.py", "reports/ledger/mnist/../x.jsonl", "sitecustomize.py",
        "models/x.py\n", "bench//x.py", "models/", "reports/ledger/MNIST/raw/t10k-images-ubyte",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(packed: Path, tmp_path: Path, name: str) -> None:
    """Exit 2, one line, and nothing written outside."""
    archive = write_members(tmp_path / "b.zip", read_members(packed) | {name: b"print('hello')"})

    done = bench_command(tmp_path, "verify", str(archive))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is not a bundle's" in done.stderr
    assert sorted(tmp_path.iterdir()) == [archive]


def write_link(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("models/link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")


def write_bomb(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members | {"models/bomb.py": bytes(MOST_SOURCE_BYTES + 1)})


def write_many(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members | {f"models/m{n}.py": b"" for n in range(5_001)})


def write_twice(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members | {"models/Iteration_4.py": b""})


def write_lzma(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("models/x.py", b"", zipfile.ZIP_LZMA)


def write_deep_manifest(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members | {MANIFEST: b"[" * 100_000})


def write_no_manifest(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, {name: m for name, m in members.items() if name != MANIFEST})


def write_half(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_flipped(path: Path, members: dict[str, bytes]) -> None:
    write_members(path, members)
    content = bytearray(path.read_bytes())
    content[2_000] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (write_link, "'models/link.py' is not a plain file"),
        (write_bomb, "models/bomb.py: 4,194,305 bytes are more than a source has"),
        (write_many, "more than a bundle's"),
        (write_twice, "members more than once"),
        (write_lzma, "'models/x.py' is packed in another way"),
        (write_deep_manifest, MANIFEST),
        (write_no_manifest, f"no {MANIFEST} in it"),
        (write_half, "not a bundle"),
        (write_flipped, "cannot be unpacked"),
        (lambda path, _: path.write_bytes(b""), "not a bundle"),
        (lambda path, _: path.write_bytes(b"PK\x05\x06" + bytes(18)), f"no {MANIFEST} in it"),
        (lambda path, _: path.mkdir(), "cannot be unpacked"),
    ],
)
def test_an_archive_that_is_no_bundle_is_one_line(
    packed: Path, tmp_path: Path, write: Callable[[Path, dict[str, bytes]], None], says: str
) -> None:
    """Links, bombs, other packings and damage: exit 2, before anything is unpacked."""
    write(tmp_path / "b.zip", read_members(packed))

    done = bench_command(tmp_path, "verify", "b.zip")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("bench: error: ")
    assert says in done.stderr


def test_a_size_that_lies_does_not_fill_the_disk(packed: Path, tmp_path: Path) -> None:
    """A member that unpacks to more than it says is damaged, and no more than that is written."""
    members = read_members(packed) | {"models/bomb.py": bytes(1 << 20)}
    path = write_members(tmp_path / "b.zip", members)
    size = (1 << 20).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))

    done = bench_command(tmp_path, "verify", "b.zip")

    assert done.returncode == 2
    assert "cannot be unpacked" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["bundle", "b.tar"],
        ["bundle", "b.zip", "--ledger", "nothing"],
        ["verify", "nothing.zip"],
        ["verify", "--execute", "--sample", "0"],
        ["verify", "b.zip", "iteration_4"],
        ["verify", "b.zip", "--ledger", "ledger"],
        ["verify", "b.zip", "--sample", "2"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing is written and nothing is run."""
    done = bench_command(tmp_path, *arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_code_of_a_bundle_runs_only_when_asked_and_under_our_bench(tmp_path: Path) -> None:
    """Its model files are trained with --execute; its own bench, which could lie, never runs."""
    checkout = make_checkout(tmp_path / "checkout")
    trap = tmp_path / "ran"
    model = checkout.folder / "models" / "iteration_4.py"
    marker = f"\n__import__('pathlib').Path({str(trap)!r}).touch()\n"
    model.write_text(model.read_text() + marker)
    assert train(checkout).returncode == 0
    (checkout.folder / "bench" / "verification.py").write_text("raise SystemExit(0)\n")
    assert checkout.bench("bundle", "b.zip").returncode == 0
    trap.unlink()
    bundle = str(checkout.folder / "b.zip")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    on_paper = bench_command(elsewhere, "verify", bundle)
    ran_on_paper = trap.exists()
    executed = bench_command(elsewhere, "verify", bundle, "--sample", "1", "--execute")

    assert (on_paper.returncode, on_paper.stderr) == (0, "")
    assert "1 files of its bench/ are not those here" in on_paper.stdout
    assert not ran_on_paper
    assert executed.returncode == 0, executed.stdout + executed.stderr
    assert "identical     iteration_4 seed" in executed.stdout
    assert trap.exists()


def train(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    return checkout.bench("run", "iteration_4", "--dataset", "digits", "--seeds", "2")
