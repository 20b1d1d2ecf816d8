"""`bench export` to CSV and Parquet, read back by pandas and pyarrow."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from export_reader import export, identify, need

import bench
from bench.exports.csv_file import write_csv
from bench.exports.tables import COLUMNS, EPOCH_COLUMNS, IDENTITY, RUN_COLUMNS

ASSETS = Path(bench.__file__).parent / "report" / "assets"
STANDINGS = {0: "counts", 1: "counts", 2: "counts", 3: "counts", 4: "counts", 6: "waits"}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def list_epochs(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return identity, epoch and figures of every epoch of the ledger, sorted."""
    return sorted(
        (
            *identify(line),
            number,
            epoch["validation_correct"],
            epoch["validation_loss"],
            epoch["training_correct"],
            epoch["training_loss"],
            epoch["seconds"],
        )
        for line in lines
        for number, epoch in enumerate(line["epochs"], start=1)
    )


FIGURES = (
    "iteration", "fingerprint", "seed", "epoch", "validation_correct", "validation_loss",
    "training_correct", "training_loss", "seconds",
)  # fmt: skip


def test_every_run_is_a_row_with_its_standing(
    ledger: Path, lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Nothing is dropped: what does not count is there and says why."""
    assert export("--ledger", ledger, "--output", tmp_path / "runs.csv") == 0

    rows = read_rows(tmp_path / "runs.csv")
    found = {(r["iteration"], r["fingerprint"], int(r["seed"])): r["standing"] for r in rows}
    expected = {
        identify(line): (
            "unknown"
            if line["iteration"] == "elsewhere"
            else "stale"
            if line["fingerprint"] == "a" * 64
            else STANDINGS.get(line["seed"], "tuning")
        )
        for line in lines
    }
    assert found == expected
    assert len(rows) == len(lines)


def test_a_row_of_a_run_has_its_counts(ledger: Path, tmp_path: Path) -> None:
    """The lucky seed: 9,939 in its last epoch, so it misses; 9,940 is first reached in the 13th."""
    export("--ledger", ledger, "--output", tmp_path / "runs.csv")

    row = next(r for r in read_rows(tmp_path / "runs.csv") if r["seed"] == "1")

    assert row["outcome"] == "misses"
    assert (row["last_correct"], row["window_minimum_correct"]) == ("9939", "9939")
    assert (row["required_correct"], row["validation_total"]) == ("9940", "10000")
    assert (row["best_correct"], row["best_epoch"], row["first_epoch_at_target"]) == (
        "9945", "13", "13",
    )  # fmt: skip
    assert (row["verdict"], row["dirty"]) == ("UNDECIDED", "false")


def test_what_did_not_happen_is_empty(ledger: Path, tmp_path: Path) -> None:
    """A run that diverged at once has no last epoch, no best one, and no nought in their place."""
    export("--ledger", ledger, "--output", tmp_path / "runs.csv")

    row = next(r for r in read_rows(tmp_path / "runs.csv") if r["seed"] == "4")

    assert (row["status"], row["outcome"], row["epochs"]) == ("diverged", "diverged", "0")
    assert {row[name] for name in ("last_correct", "best_epoch", "validation_total")} == {""}


def test_no_cell_is_a_formula(ledger: Path, tmp_path: Path) -> None:
    """A stranger's text that a spreadsheet would compute is quoted, and no column moves for it."""
    export("--ledger", ledger, "--output", tmp_path / "runs.csv")

    rows = read_rows(tmp_path / "runs.csv")

    assert next(r for r in rows if r["seed"] == "2")["machine_processor"] == '\'=HYPERLINK("x"),"'
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


class Terminal(io.StringIO):
    """What is printed where someone watches."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("start", ["\n=", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_disguised_cell_is_a_formula(start: str) -> None:
    """Spreadsheets look behind a line feed, and take the full-width forms of the signs."""
    file = io.StringIO(newline="")
    write_csv(file, [{"iteration": f"{start}1+1"}], "runs")

    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert rows[0]["iteration"] == f"'{start}1+1"


def test_a_terminal_gets_no_control_characters() -> None:
    """A file has the text as it is."""
    row: dict[str, Any] = {"iteration": "a\x1b[2J\x9bb"}
    terminal, file = Terminal(newline=""), io.StringIO(newline="")

    write_csv(terminal, [row], "runs")
    write_csv(file, [row], "runs")

    assert r"a\x1b[2J\x9bb" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()
    assert "a\x1b[2J\x9bb" in file.getvalue()


def test_pandas_reads_the_epochs_of_a_csv(
    ledger: Path, lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Counts and losses are the ledger's to the last bit."""
    pandas = need("pandas")
    export("--ledger", ledger, "--rows", "epochs", "--output", tmp_path / "epochs.csv")

    frame = pandas.read_csv(tmp_path / "epochs.csv")

    assert sorted(frame[list(FIGURES)].itertuples(index=False, name=None)) == list_epochs(lines)


def test_pandas_reads_the_epochs_of_a_parquet_file(
    ledger: Path, lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The same by the other format."""
    pandas = need("pandas")
    need("pyarrow")
    path = tmp_path / "epochs.parquet"
    export("--ledger", ledger, "--format", "parquet", "--rows", "epochs", "--output", path)

    frame = pandas.read_parquet(path)

    assert sorted(frame[list(FIGURES)].itertuples(index=False, name=None)) == list_epochs(lines)


def test_pyarrow_reads_typed_columns_of_runs(
    ledger: Path, lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Counts are integers, what did not happen is null, and no text is changed."""
    need("pyarrow")
    parquet = need("pyarrow.parquet")
    path = tmp_path / "runs.parquet"
    export("--ledger", ledger, "--format", "parquet", "--output", path)

    table = parquet.read_table(path)

    assert table.column_names == list(COLUMNS["runs"])
    assert str(table.schema.field("last_correct").type) == "int64"
    rows = {identify(row): row for row in table.to_pylist()}
    for line in lines:
        row = rows[identify(line)]
        assert (row["wall_seconds"], row["macs"]) == (line["wall_seconds"], line["cost"]["macs"])
        assert row["machine_processor"] == line["machine"]["processor"]
        last = line["epochs"][-1] if line["epochs"] else None
        assert row["last_correct"] == (last["validation_correct"] if last else None)
        assert row["last_loss"] == (last["validation_loss"] if last else None)


def test_a_file_that_exists_is_kept(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --force it is an error of one line; with it the file is replaced."""
    path = tmp_path / "runs.csv"
    path.write_text("mine")

    assert export("--ledger", ledger, "--output", path) == 2
    assert capsys.readouterr().err == (
        f"bench: error: {path}: exists; add --force to replace it, or name another --output\n"
    )
    assert path.read_text() == "mine"
    assert export("--ledger", ledger, "--output", path, "--force") == 0
    assert path.read_text().startswith("challenge,iteration,")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_goes_wrong_leaves_the_old_file(ledger: Path, tmp_path: Path, form: str) -> None:
    """A damaged line is met after the file was begun: the old one stays, and nothing beside it."""
    if form == "parquet":
        need("pyarrow")
    file = ledger / "mnist" / "elsewhere.jsonl"
    file.write_bytes(b"{}\n" + file.read_bytes())
    path = tmp_path / "out" / f"runs.{form}"
    path.parent.mkdir()
    path.write_text("mine")

    assert export("--ledger", ledger, "--format", form, "--output", path, "--force") == 2
    assert path.read_text() == "mine"
    assert list(path.parent.iterdir()) == [path]


def test_csv_goes_through_a_pipe(ledger: Path, capsysbinary: Any) -> None:
    """`--output -` prints the table and nothing else."""
    assert export("--ledger", ledger, "iteration_4", "--output", "-") == 0

    printed = capsysbinary.readouterr().out.decode()
    assert printed.count("\r\n") == 1 + 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--format", "mlflow", "--rows", "epochs"], "has no tables"),
        (["--format", "parquet", "--output", "-"], "not text"),
        (["iteration_1"], "holds no runs of iteration_1 on mnist"),
        (["--output", "."], "a folder; name a file"),
        (["--output", "/dev/null/runs.csv"], "cannot be written"),
    ],
    ids=" ".join,
)
def test_a_wrong_wish_is_one_line(
    ledger: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and what to do about it."""
    assert export("--ledger", ledger, *arguments) == 2

    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.count("\n") == 1


def test_the_pages_csv_has_the_same_columns() -> None:
    """Who moves from the page's download to the command finds the names that they know."""
    source = (ASSETS / "exports.js").read_text(encoding="utf-8")
    listed = re.search(r"=> \(\{(.*?)\}\)\)", source, re.DOTALL)
    assert listed is not None
    names = re.findall(r"^\s+(\w+)(?:,|:)", listed[1], re.MULTILINE)

    assert len(names) == 12
    assert set(names) <= set(EPOCH_COLUMNS)


def test_every_column_is_documented() -> None:
    """docs/exports.md has each column of both tables, in its order."""
    text = (ASSETS.parent.parent.parent / "docs" / "exports.md").read_text(encoding="utf-8")
    section = text[text.index("## Tables") : text.index("## MLflow")]
    listed = [
        name for name in re.findall(r"`(\w+)`", section) if name in RUN_COLUMNS | EPOCH_COLUMNS
    ]

    assert listed == [*RUN_COLUMNS, *list(EPOCH_COLUMNS)[len(IDENTITY) :]]
