"""The ledger keeps every finished run, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from planted_runs import CONDITIONS, LATEST, MACHINE, make_epoch, make_run, make_runs, plant_ledger

import bench
from bench.errors import LedgerError
from bench.ledger import (
    append_run,
    append_runs,
    check_writable,
    decode_run,
    encode_run,
    ledger_path,
    read_ledger,
)
from bench.records import Run, Status

ROOT = Path(bench.__file__).parent.parent

counts = st.integers(min_value=0, max_value=10_000)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_runs = st.builds(
    make_run,
    seed=st.integers(min_value=0, max_value=2_000_000),
    final=st.tuples(counts, counts, counts),
    machine=st.builds(
        lambda device, commit: replace(MACHINE, device=device, commit=commit),
        any_text,
        st.none() | any_text,
    ),
    status=st.sampled_from(Status),
    wall_seconds=st.floats(min_value=0, max_value=1e9),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file that runs of iteration 4 on MNIST go to."""
    file = ledger_path(tmp_path, "mnist", LATEST.name)
    file.parent.mkdir()
    return file


def make_short_run(seed: int) -> Run:
    """Return a run whose line is short, for tests that try each of its bytes."""
    return make_run(seed=seed, epochs=(make_epoch(9_944),), mistakes=())


def folder_of(path: Path) -> Path:
    return path.parent.parent


@settings(deadline=None)
@given(any_runs)
def test_a_run_comes_back_as_it_was(run: Run) -> None:
    """Encoding a run and decoding its line gives an equal run, whatever its text and numbers."""
    line = encode_run(run)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_run(line[:-1]) == run


@settings(deadline=None)
@given(any_runs)
def test_the_same_run_has_the_same_bytes(run: Run) -> None:
    """A run that was read is written again byte for byte, so that a ledger diffs in git."""
    line = encode_run(run)

    assert encode_run(decode_run(line[:-1])) == line


def test_a_line_is_canonical_json_behind_its_checksum() -> None:
    """Python's own json and hashlib agree: sorted keys, no spaces, SHA-256 of what follows."""
    line = encode_run(make_run()).rstrip(b"\n")

    fields = json.loads(line)
    checksum = fields.pop("checksum")
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert line == b'{"checksum":"' + checksum.encode() + b'",' + canonical[1:]
    assert hashlib.sha256(canonical[1:]).hexdigest().startswith(checksum)
    assert len(checksum) == 16


def test_appended_runs_are_read_in_their_order(path: Path) -> None:
    """Three appended runs, the last one diverged without a single epoch, come back equal."""
    runs = [
        make_run(seed=2),
        make_run(seed=0),
        make_run(seed=1, status=Status.DIVERGED, epochs=(), mistakes=()),
    ]

    for run in runs:
        append_run(folder_of(path), run)

    found = read_ledger(path)
    assert found.runs == tuple(runs)
    assert not found.torn


def test_a_missing_file_holds_no_runs(path: Path) -> None:
    """An iteration that was never trained has an empty ledger and not an error."""
    found = read_ledger(path)

    assert found.runs == ()
    assert not found.torn


def test_a_last_line_torn_at_any_byte_is_ignored_and_reported(path: Path) -> None:
    """Wherever a power cut tears the last line, the earlier runs are kept and the tear is told."""
    kept = [make_short_run(0), make_short_run(1)]
    whole = b"".join(map(encode_run, kept))
    last = encode_run(make_short_run(2))

    for cut in range(1, len(last) - 1):
        path.write_bytes(whole + last[:cut])
        found = read_ledger(path)
        assert found.torn, f"cut after {cut} bytes"
        assert found.runs == tuple(kept), f"cut after {cut} bytes"


def test_a_file_cut_between_two_lines_is_not_torn(path: Path) -> None:
    """A file that ends with a whole line has lost nothing that can be told."""
    path.write_bytes(encode_run(make_run(seed=0)))

    assert not read_ledger(path).torn


def test_a_torn_first_line_leaves_no_runs(path: Path) -> None:
    """A ledger whose only line is torn holds no runs and says so."""
    path.write_bytes(encode_run(make_run())[:100])

    found = read_ledger(path)
    assert found.runs == ()
    assert found.torn


@pytest.mark.parametrize("cut", [1, 12, 29, 31, 500, -2])
def test_appending_after_a_torn_line_repairs_it(path: Path, cut: int) -> None:
    """The next append cuts the torn line off: the file is as if it had never been written."""
    whole = encode_run(make_run(seed=0))
    path.write_bytes(whole + encode_run(make_run(seed=1))[:cut])

    append_run(folder_of(path), make_run(seed=1))

    assert path.read_bytes() == whole + encode_run(make_run(seed=1))


def test_a_last_line_that_only_lacks_its_newline_counts(path: Path) -> None:
    """An editor that strips the last newline does not cost a run, before or after an append."""
    runs = make_runs([0, 1])
    path.write_bytes(b"".join(map(encode_run, runs)).rstrip(b"\n"))
    assert read_ledger(path).runs == tuple(runs)
    assert not read_ledger(path).torn

    append_run(folder_of(path), make_run(seed=2))

    assert path.read_bytes() == b"".join(map(encode_run, make_runs([0, 1, 2])))


@pytest.mark.parametrize("bit", [0x01, 0x20])
def test_any_altered_byte_of_a_middle_line_is_an_error(path: Path, bit: int) -> None:
    """One flipped bit anywhere in line 2, its newline included, is told by file and line."""
    lines = [encode_run(make_short_run(seed)) for seed in (0, 1, 2)]

    for place in range(len(lines[1])):
        damaged = bytearray(lines[1])
        damaged[place] ^= bit
        path.write_bytes(lines[0] + damaged + lines[2])
        with pytest.raises(LedgerError) as error:
            read_ledger(path)
        assert f"{path}:2:" in str(error.value), f"byte {place}"


def test_a_whole_last_line_that_was_altered_is_an_error_and_not_torn(path: Path) -> None:
    """A better result written over an honest one in the last line is damage, not a power cut."""
    line = encode_run(make_run(seed=1))
    forged = line.replace(b'"validation_correct":9944', b'"validation_correct":9999')
    assert forged != line
    path.write_bytes(encode_run(make_run(seed=0)) + forged)

    with pytest.raises(LedgerError, match=rf"{path}:2: damaged line .*run its seed again"):
        read_ledger(path)


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b"<<<<<<< HEAD", b"\xff\xfe"])
def test_what_is_not_a_run_is_an_error_in_its_line(path: Path, line: bytes) -> None:
    """An empty line, other JSON, a merge conflict or binary rubbish is told by file and line."""
    path.write_bytes(encode_run(make_run(seed=0)) + line + b"\n" + encode_run(make_run(seed=1)))

    with pytest.raises(LedgerError, match=f"{path}:2:"):
        read_ledger(path)


def seal(fields: dict[str, object]) -> bytes:
    """Return a line with a right checksum around any fields."""
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()[1:]
    return b'{"checksum":"' + hashlib.sha256(body).hexdigest()[:16].encode() + b'",' + body


def test_a_field_of_the_wrong_type_is_named(path: Path) -> None:
    """A line with a right checksum whose seed is text is refused with the path of the field."""
    fields = json.loads(encode_run(make_run()))
    del fields["checksum"]
    assert decode_run(seal(fields)) == make_run()

    path.write_bytes(seal(fields | {"seed": "three"}) + b"\n")

    with pytest.raises(LedgerError, match=rf"{path}:1: .*\$\.seed"):
        read_ledger(path)


def test_another_format_is_refused_by_its_number(path: Path) -> None:
    """A line of a later version is not guessed at: the error names its format and its place."""
    path.write_bytes(encode_run(make_run(seed=0)) + encode_run(make_run(seed=1, format=2)))

    with pytest.raises(LedgerError, match=f"{path}:2: .*format 2"):
        read_ledger(path)


def test_an_intact_last_line_of_another_format_is_not_taken_for_torn(path: Path) -> None:
    """A later version's run whose newline was stripped has a right checksum, and is kept."""
    content = encode_run(make_run(seed=0)) + encode_run(make_run(seed=1, format=2)).rstrip(b"\n")
    path.write_bytes(content)

    with pytest.raises(LedgerError, match="format 2"):
        read_ledger(path)
    with pytest.raises(LedgerError, match="format 2"):
        append_run(folder_of(path), make_run(seed=2))
    assert path.read_bytes() == content


def test_a_run_recorded_twice_counts_once(path: Path) -> None:
    """After two branches are merged, a seed that both trained alike is one run, the first one."""
    first = make_run(seed=0)
    again = replace(first, started="2026-02-03T04:05:06+00:00", wall_seconds=99.0)
    plant_ledger(folder_of(path), [first, make_run(seed=1), first, again])

    assert read_ledger(path).runs == (first, make_run(seed=1))


def test_two_results_of_one_seed_are_an_error_that_names_it(path: Path) -> None:
    """Trying seed 7 again until it holds leaves a conflict, never a better run."""
    unlucky, lucky = make_run(seed=7, final=(9_930,) * 3), make_run(seed=7)
    plant_ledger(folder_of(path), [make_run(seed=0), unlucky, lucky])

    with pytest.raises(LedgerError) as error:
        read_ledger(path)

    message = str(error.value)
    assert message.startswith(f"{path}: seed 7 ")
    assert "9930" in message
    assert "9944" in message


def test_a_seed_that_diverged_once_and_finished_once_is_a_conflict(path: Path) -> None:
    """The status is part of the result, even where all epochs are alike."""
    plant_ledger(folder_of(path), [make_run(seed=3), make_run(seed=3, status=Status.DIVERGED)])

    with pytest.raises(LedgerError, match="seed 3 "):
        read_ledger(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "0" * 64},
        {"dataset": "0" * 64},
        {"conditions": replace(CONDITIONS, device="cuda sm_90")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_runs_of_other_code_data_or_conditions_do_not_conflict(
    path: Path, changes: dict[str, object]
) -> None:
    """The same seed with another result under another key is another run, and both are kept."""
    runs = [make_run(seed=7), make_run(seed=7, final=(9_930,) * 3, **changes)]
    plant_ledger(folder_of(path), runs)

    assert read_ledger(path).runs == tuple(runs)


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    """Forty runs appended by eight threads are forty whole lines."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda run: append_run(folder_of(path), run), make_runs(range(40))))

    found = read_ledger(path)
    assert sorted(run.seed for run in found.runs) == list(range(40))
    assert not found.torn


def test_a_ledger_below_a_regular_file_cannot_be_written(tmp_path: Path) -> None:
    """Appending where no folder can be made is one error that names the place and the remedy."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "ledger"

    with pytest.raises(LedgerError, match=rf"{folder}.* cannot be written .*--ledger"):
        append_run(folder, make_run())


def test_an_unwritable_ledger_is_found_out_before_training(tmp_path: Path) -> None:
    """The check before hours of training fails where an append would, and leaves no probe."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LedgerError, match="cannot be written"):
        check_writable(tmp_path / "file" / "ledger", "mnist")
    check_writable(tmp_path / "ledger", "mnist")

    assert list((tmp_path / "ledger" / "mnist").iterdir()) == []


def test_a_folder_in_the_place_of_the_file_cannot_be_read(path: Path) -> None:
    """Reading a folder as a ledger file is one error that names it."""
    path.mkdir()

    with pytest.raises(LedgerError, match=f"{path}: cannot be read"):
        read_ledger(path)


APPEND_WITH_LITTLE_SPACE = """
import resource, sys
from pathlib import Path
from bench.errors import LedgerError
from bench.ledger import append_run, decode_run

folder, most_bytes, line = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
try:
    append_run(folder, decode_run(line))
except LedgerError as error:
    sys.exit(f"LedgerError: {error}")
"""


def append_with_little_space(path: Path, run: Run, *, spare_bytes: int) -> str:
    """Append in a process whose files may grow by `spare_bytes`, and return what it complains."""
    limit = path.stat().st_size + spare_bytes
    line = encode_run(run).rstrip(b"\n").decode()
    done = subprocess.run(
        [sys.executable, "-c", APPEND_WITH_LITTLE_SPACE, folder_of(path), str(limit), line],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
@pytest.mark.parametrize("spare_bytes", [0, 1, 700])
@pytest.mark.parametrize("end", [b"\n", b""], ids=["whole", "without its newline"])
def test_a_full_disk_leaves_the_file_as_it_was(path: Path, spare_bytes: int, end: bytes) -> None:
    """An append that runs out of space is one error, and no byte of it stays in the file."""
    before = encode_run(make_run(seed=0)).rstrip(b"\n") + end
    path.write_bytes(before)

    complaint = append_with_little_space(path, make_run(seed=1), spare_bytes=spare_bytes)

    assert complaint.startswith(f"LedgerError: {path}: the ledger cannot be written")
    assert complaint.count("\n") == 1
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_disk_with_enough_space_takes_the_run(path: Path) -> None:
    """With room for the line, the same limited process appends it."""
    path.write_bytes(encode_run(make_run(seed=0)))

    assert append_with_little_space(path, make_run(seed=1), spare_bytes=10_000) == ""
    assert [run.seed for run in read_ledger(path).runs] == [0, 1]


def test_an_epoch_is_recorded_in_whole_counts(path: Path) -> None:
    """Accuracies are kept as counts of images, so that no float ever decides."""
    append_run(folder_of(path), make_run(epochs=(make_epoch(9_940),), mistakes=()))

    [epoch] = json.loads(path.read_bytes())["epochs"]
    assert (epoch["validation_correct"], epoch["validation_total"]) == (9_940, 10_000)


def test_one_seed_at_a_time_is_not_written_down() -> None:
    """Lines of one seed at a time are what they were before blocks; blocks are named."""
    alone = make_run()
    assert b'"block"' not in encode_run(alone)
    beside = replace(alone, conditions=replace(CONDITIONS, block=8))
    assert b'"block":8' in encode_run(beside)
    assert decode_run(encode_run(beside).rstrip()) == beside
    assert str(beside.conditions).count("8 seeds side by side") == 1
    assert "side by side" not in str(alone.conditions)


@pytest.mark.parametrize("file", sorted((ROOT / "reports" / "ledger").rglob("*.jsonl")), ids=str)
def test_the_committed_ledger_keeps_its_bytes(file: Path) -> None:
    """Every line, read and written again, is the same line."""
    for line in file.read_bytes().splitlines(keepends=True):
        assert encode_run(decode_run(line.removesuffix(b"\n"))) == line


def test_runs_of_a_block_are_appended_together(tmp_path: Path) -> None:
    """The file has the bytes that one append after the other gives, behind a torn line too."""
    path = ledger_path(tmp_path / "together", "mnist", LATEST.name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"checksum":"torn')

    append_runs(tmp_path / "together", make_runs(range(3)))

    for run in make_runs(range(3)):
        append_run(tmp_path / "alone", run)
    assert path.read_bytes() == ledger_path(tmp_path / "alone", "mnist", LATEST.name).read_bytes()


def test_of_a_block_with_a_run_that_cannot_be_read_none_is_appended(tmp_path: Path) -> None:
    """The file is as it was, and the error names the seed."""
    append_run(tmp_path, make_run(seed=7))
    path = ledger_path(tmp_path, "mnist", LATEST.name)
    before = path.read_bytes()
    bad = make_run(seed=1, epochs=(make_epoch(10_001),))

    with pytest.raises(LedgerError, match="seed 1 was not recorded"):
        append_runs(tmp_path, [make_run(seed=0), bad])

    assert path.read_bytes() == before
