"""Tables of claims: what people write is read, and what cannot be is named with its place."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import GradingError
from bench.grading.claims import COLUMNS, read_claims
from bench.grading.numbers import parse_accuracy, parse_count, parse_epoch


def write(folder: Path, text: str, name: str = "claims.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7924", 7924, 7924),
        ("7,924", 7924, 7924),
        ("7.924", 7924, 7924),
        ("7 924", 7924, 7924),
        ("7\u202f924", 7924, 7924),
        ("7'924", 7924, 7924),
        ("7_924", 7924, 7924),
        ("1,234,567", 1234567, 1234567),
        ("7924.0", 7924, 7924),
        ("7,924 parameters", 7924, 7924),
        ("7.9k", 7850, 7950),
        ("8K", 7500, 8500),
        ("547 k", 546500, 547500),
        ("1.2M", 1150000, 1250000),
    ],
)
def test_parameters_are_read_as_they_are_written(text: str, least: int, most: int):
    """With separators of thousands of any country, or rounded to what it says."""
    count = parse_count(text)

    assert (count.least, count.most) == (least, most)
    assert count.fits(least)
    assert not count.fits(most + 1)


@pytest.mark.parametrize(
    "text", ["", "many", "7,92", "79,24", "7924.5", "-7924", "0", "1e4", "7,924.1", "9" * 16, "٧"]
)
def test_what_is_no_count_is_refused(text: str):
    """A number that could be meant in two ways is none."""
    with pytest.raises(ValueError, match="number of parameters"):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "proportion"),
    [
        ("99.42", "0.9942"),
        ("99.42%", "0.9942"),
        ("99.42 %", "0.9942"),
        ("99,42 %", "0.9942"),
        ("99,42\u00a0%", "0.9942"),
        ("0.9942", "0.9942"),
        ("0,9942", "0.9942"),
        (".9942", "0.9942"),
        ("1", "1"),
        ("1.0", "1"),
        ("1 %", "0.01"),
        ("0.5%", "0.005"),
        ("100", "1"),
        ("99", "0.99"),
    ],
)
def test_accuracies_are_read_as_they_are_written(text: str, proportion: str):
    """In per cent or as a proportion, exactly."""
    assert parse_accuracy(text) == Fraction(proportion)


@pytest.mark.parametrize("text", ["", "good", "99.4.2", "100.1", "-3", "nan", "99,42,1", "1e1"])
def test_what_is_no_accuracy_is_refused(text: str):
    """And nothing is above 100 %."""
    with pytest.raises(ValueError, match=r"accuracy|more than 100"):
        parse_accuracy(text)


@pytest.mark.parametrize("text", ["0", "1001", "last", "14/15", "1.5", ""])
def test_what_is_no_epoch_is_refused(text: str):
    """Epochs count from 1."""
    with pytest.raises(ValueError, match="epoch"):
        parse_epoch(text)


@given(st.integers(1, 10**9), st.sampled_from(["", ",", " ", "'", "_", "."]))
def test_any_count_comes_back_whatever_separates_its_thousands(count: int, separator: str):
    """`format` groups by three, as people do."""
    text = f"{count:,}".replace(",", separator)

    assert parse_count(text).fits(count)
    assert parse_count(text).least == parse_count(text).most == count


@given(st.integers(0, 10_000), st.sampled_from(["", "%", " %"]), st.sampled_from([".", ","]))
def test_any_accuracy_of_two_decimals_comes_back(hundredths: int, sign: str, point: str):
    """Above 1 % it is the same with a sign and without."""
    text = f"{hundredths // 100}{point}{hundredths % 100:02}{sign}"
    whole = 10_000 if sign or hundredths > 100 else 100

    assert parse_accuracy(text) == Fraction(hundredths, whole)


@given(st.lists(st.sampled_from(COLUMNS[1:]), unique=True), st.sampled_from(",;\t"))
def test_columns_may_stand_in_any_order_with_any_separator(
    tmp_path_factory: pytest.TempPathFactory, columns: list[str], separator: str
):
    """And in any case; columns that are not there are `None`."""
    values = {
        "file": "a.py", "class": "Net", "arguments": "width=8", "recipe": "r.toml",
        "student": "Ann", "parameters": "7924", "accuracy": "99.4", "epoch": "9",
    }  # fmt: skip
    order = [*columns, "file"]
    head, row = [name.title() for name in order], [values[name] for name in order]
    path = write(
        tmp_path_factory.mktemp("claims"), f"{separator.join(head)}\n{separator.join(row)}\n"
    )
    (claim,) = read_claims(path)

    assert claim.file == "a.py"
    assert (claim.network == "Net") == ("class" in columns)
    assert (claim.arguments == (("width", "8"),)) == ("arguments" in columns)
    assert (claim.epoch == 9) == ("epoch" in columns)


def test_a_csv_as_a_spreadsheet_saves_it_is_read(tmp_path: Path):
    """Byte order mark, semicolons, decimal commas, empty rows and cells, CRLF."""
    path = write(
        tmp_path,
        "\ufefffile;parameters;accuracy;epoch\r\nanna\\model.py;7.924;99,42 %;14\r\n"
        ";;;\r\nb.py;;;\r\n",
    )
    first, second = read_claims(path)

    assert (first.file, first.epoch) == ("anna/model.py", 14)
    assert first.accuracy == Fraction("0.9942")
    assert (second.file, second.parameters, second.accuracy) == ("b.py", None, None)


def test_toml_says_the_same_with_tables(tmp_path: Path):
    """Numbers as numbers, arguments as a table."""
    path = write(
        tmp_path,
        '[[submission]]\nfile = "a.py"\nclass = "Net"\narguments = {width = 8, act = "relu"}\n'
        'parameters = 7924\naccuracy = 99.42\nepoch = 14\n[[submission]]\nfile = "b.py"\n',
        "claims.toml",
    )
    first, second = read_claims(path)

    assert first.arguments == (("width", "8"), ("act", "'relu'"))
    assert first.accuracy == Fraction("0.9942")
    assert first.parameters is not None
    assert first.parameters.fits(7924)
    assert second.file == "b.py"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.csv", "file,grade\na.py,1\n", "c.csv:1: 'grade' is not a column; choose from file"),
        ("c.csv", "class,epoch\nNet,1\n", "no column `file`"),
        ("c.csv", "file,epoch,epoch\n", "a column stands there twice"),
        ("c.csv", "file,parameters\na.py,7,924\n", "3 cells in 2 columns"),
        ("c.csv", "file,epoch\n\na.py,late\n", "c.csv:3: epoch 'late' is not an epoch"),
        ("c.csv", "file,accuracy\na.py,994\n", "accuracy '994' is more than 100 %"),
        ("c.csv", "file,class\n,Net\n", "file is empty"),
        ("c.csv", "file,arguments\na.py,8\n", "arguments '8' are not arguments"),
        ("c.csv", "file,arguments\na.py,width=open('x')\n", "are not arguments"),
        ("c.csv", "file,arguments\na.py,**{'a': 1}\n", "are not arguments"),
        ("c.csv", "file,arguments\na.py,width=8) + g(y=1\n", "are not arguments"),
        ("c.csv", "file\na.py\nb.py\na.py\n", "c.csv:4: a.py is claimed in"),
        ("c.csv", 'file\n"a.py\n', "not CSV"),
        ("c.csv", "file,student\na.py,A\x1b[2J\n", "is not a line of text"),
        ("c.toml", "x = 1\n", "'x' is not a table of claims"),
        ("c.toml", "submission = 3\n", "is not a list of tables"),
        ("c.toml", "[[submission]]\nfile = 3\n", "submission 1: file 3 is not a line of text"),
        ("c.toml", '[[submission]]\nfile = "a.py"\nepoch = true\n', "epoch True is not a number"),
        ("c.toml", '[[submission]]\nfile = "a.py"\nmark = 1\n', "'mark' is not a column"),
        ("c.toml", "[[", "not valid TOML"),
        ("c.xlsx", "PK", "neither .csv nor .toml"),
        ("gone.csv", None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named_with_its_place(
    tmp_path: Path, name: str, text: str | None, says: str
):
    """File, row, column and value, and what would do."""
    path = tmp_path / name if text is None else write(tmp_path, text, name)
    with pytest.raises(GradingError) as caught:
        read_claims(path)

    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_table_in_another_encoding_says_which_to_save_it_in(tmp_path: Path):
    """Excel writes the encoding of the country unless it is told."""
    path = write(tmp_path, "file,student\na.py,Jürgen\n", encoding="latin-1")
    with pytest.raises(GradingError, match="not UTF-8; save it as CSV in UTF-8"):
        read_claims(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"parameters = {'1' * 5000}", "not valid TOML"),
        (f"parameters = 0x{'f' * 5000}", "submission 1: parameters a value of type int "),
        (f"accuracy = 0x{'f' * 5000}", "submission 1: accuracy a value of type int "),
        (f"student = 0x{'f' * 5000}", "submission 1: student a value of type int "),
        (f"arguments = {{width = 0x{'f' * 5000}}}", "submission 1: arguments a value of type dict"),
        (f"student = [[{'[' * 5000}{']' * 5000}]]", "not valid TOML"),
    ],
    ids=["decimal", "count", "accuracy", "text", "arguments", "nested"],
)
def test_a_value_that_python_cannot_write_is_one_line(tmp_path: Path, line: str, says: str):
    """An integer of more than 4,300 digits has no text."""
    path = write(tmp_path, f'[[submission]]\nfile = "a.py"\n{line}\n', "claims.toml")
    with pytest.raises(GradingError, match=says) as caught:
        read_claims(path)
    assert len(str(caught.value).splitlines()) == 1
