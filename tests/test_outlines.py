"""Outlines of runs judge as the runs themselves do, and never pass for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from planted_runs import LATEST, LUCKY, make_cost, make_run, make_runs, plant_ledger

from bench.challenges import MNIST
from bench.errors import LedgerError
from bench.evidence import select_evidence
from bench.findings import summarise
from bench.ledger import (
    append_run,
    decode_run,
    encode_run,
    ledger_path,
    read_ledger,
    read_outlines,
    read_scores,
)
from bench.records import LayerCost, Run, Status
from bench.run_table import RunTable
from bench.verdict import judge

LAYER = LayerCost(
    name="edges", kind="Conv2d", output_shape=(8, 26, 26), parameters=72, macs=48_672,
    receptive_field=3,
)  # fmt: skip
RUNS = [
    *make_runs(range(12), cost=replace(make_cost(), layers=(LAYER,))),
    make_run(seed=12, status=Status.DIVERGED, epochs=(), mistakes=()),
    make_run(seed=13, final=LUCKY),
    *make_runs([15, 1_000_000]),
    make_run(seed=0, fingerprint="0" * 64),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of runs of every kind."""
    return ledger_path(plant_ledger(tmp_path, RUNS), "mnist", LATEST.name)


def test_an_outline_is_its_run_without_mistakes_and_layers(path: Path) -> None:
    """All other fields are as recorded, in the same order."""
    for run, outline in zip(read_ledger(path).runs, read_outlines(path).runs, strict=True):
        assert (outline.mistakes, outline.cost.layers, outline.cost.uncounted) == ((), (), ())
        for name in set(Run.__struct_fields__) - {"mistakes", "cost"}:
            assert getattr(outline, name) == getattr(run, name)
        assert outline.cost.parameters == run.cost.parameters


def test_a_verdict_and_its_summary_are_the_same_from_outlines(path: Path) -> None:
    """Answer, sentence, martingales and findings do not depend on what was left unread."""
    full, outlined = (
        select_evidence(read(path).runs, LATEST) for read in (read_ledger, read_outlines)
    )
    verdicts = [judge(selection, LATEST, MNIST) for selection in (full, outlined)]

    for name in set(verdicts[0].__struct_fields__) - {"evidence"}:
        assert getattr(verdicts[0], name) == getattr(verdicts[1], name)
    assert summarise(full.evidence[0], MNIST) == summarise(outlined.evidence[0], MNIST)


def test_an_outline_cannot_be_recorded_as_a_run(path: Path) -> None:
    """Its line would be a run without mistakes; it is not a run at all."""
    outline = read_outlines(path).runs[0]

    with pytest.raises(LedgerError, match="missing required field"):
        decode_run(encode_run(outline)[:-1])


def test_a_change_in_what_is_not_read_is_found_all_the_same(path: Path) -> None:
    """The checksum covers the mistakes: one altered digit of them is an error in its line."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"[247,4,2]", b"[247,4,3]", 1)
    path.write_bytes(b"".join(lines))

    with pytest.raises(LedgerError, match=rf"{path}:4: damaged line \(the checksum"):
        read_outlines(path)


def test_a_wrong_type_is_named_with_its_line(path: Path) -> None:
    """What is read is checked: a seed that is text is told, though its checksum is right."""
    body = encode_run(RUNS[0])[31:-1].replace(b'"seed":0', b'"seed":"0"')
    checksum = hashlib.sha256(body).hexdigest()[:16].encode()
    with path.open("ab") as file:
        file.write(b'{"checksum":"' + checksum + b'",' + body + b"\n")

    with pytest.raises(
        LedgerError, match=rf"{path}:{len(RUNS) + 1}: damaged line \(Expected `int`"
    ):
        read_outlines(path)


def test_two_results_of_one_seed_are_an_error_in_outlines_too(path: Path) -> None:
    """A conflict is in what was scored, which an outline has."""
    with path.open("ab") as file:
        file.write(encode_run(make_run(seed=13)))

    with pytest.raises(LedgerError, match=r"seed 13 .* recorded twice"):
        read_outlines(path)


def lose_epoch(run: Run) -> Run:
    return replace(run, epochs=run.epochs[:-1], mistakes=())


def learn_more(run: Run) -> Run:
    first = replace(run.epochs[0], training_correct=run.epochs[0].training_correct + 1)
    return replace(run, epochs=(first, *run.epochs[1:]))


CONFLICTS: dict[str, Callable[[Run], Run]] = {
    "status": lambda run: replace(run, status=Status.DIVERGED),
    "length": lose_epoch,
    "training": learn_more,
    "validation": lambda run: make_run(seed=run.seed, final=LUCKY),
}


@pytest.mark.parametrize("change", CONFLICTS.values(), ids=CONFLICTS)
@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_the_first_line_that_differs_is_told_as_when_runs_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Run], Run], at_once: int
) -> None:
    """Whatever differs, and however many repeated runs are compared at a time."""
    monkeypatch.setattr("bench.ledger._REPEATED", at_once)
    alike = make_runs(range(6), fingerprint="0" * 64)
    changed = [change(run) for run in make_runs([9, 2, 5], started="later")]
    empty = make_run(seed=7, status=Status.DIVERGED, epochs=(), mistakes=())
    folder = plant_ledger(tmp_path, [*make_runs(range(10, -1, -1)), *alike, *alike])
    plant_ledger(folder, [*make_runs([4, 9, 4]), *changed, empty])
    file = ledger_path(folder, "mnist", LATEST.name)

    told = []
    for read in (read_ledger, read_outlines, read_scores):
        with pytest.raises(LedgerError, match=r"seed 9 .* recorded twice") as error:
            read(file)
        told.append(str(error.value))

    assert len(set(told)) == 1


def test_repeated_runs_are_compared_without_an_object_each(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file whose every line is there twice no outline is made; each run counts once."""
    path.write_bytes(path.read_bytes() * 2)
    made: list[int] = []
    monkeypatch.setattr(RunTable, "__getitem__", lambda self, place: made.append(place))

    runs = read_outlines(path).runs

    assert (len(runs), made) == (len(RUNS), [])


def test_a_torn_last_line_is_no_outline(path: Path) -> None:
    """It is ignored and reported, as when runs are read in full."""
    whole = len(read_outlines(path).runs)
    path.write_bytes(path.read_bytes()[:-40])

    found = read_outlines(path)
    assert (len(found.runs), found.torn) == (whole - 1, True)


@pytest.mark.parametrize("length", [1, 1 << 16, (1 << 16) + 1, 200_000])
def test_an_append_cuts_off_a_torn_line_of_any_length(path: Path, length: int) -> None:
    """The tail is read backwards in blocks, and may end before, in or behind one."""
    before = path.read_bytes()
    path.write_bytes(before + b"x" * length)

    append_run(path.parent.parent, make_run(seed=40))

    assert path.read_bytes() == before + encode_run(make_run(seed=40))


def test_an_append_to_a_file_that_is_one_torn_line_starts_it_anew(path: Path) -> None:
    """There is no newline to find before the beginning."""
    path.write_bytes(b"x" * 70_000)

    append_run(path.parent.parent, make_run(seed=40))

    assert path.read_bytes() == encode_run(make_run(seed=40))
