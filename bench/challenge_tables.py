"""Challenges as tables of a TOML file, checked field by field; nothing of a dataset is opened.

The fields are those of docs/challenges.md. An error gives the file, the challenge and the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from bench.challenges import CHALLENGES, DATASETS, FOLDER, IDX, MNIST
from bench.errors import SettingsError
from bench.limits import MOST_EPOCHS, MOST_OPERATIONS
from bench.records import Challenge
from bench.toml_files import read_toml

MOST_OWN_CLASSES = 256
"""Labels are bytes."""

LEAST_SIDE, MOST_SIDE = 8, 512
MOST_CHALLENGES = 1_000
AUTO = "auto"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DECIMAL = re.compile(r"[01]|[01]?\.[0-9]{1,9}")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_DECIMALS = 9
_LONGEST_VALUE, _LONGEST_CLASS, _LONGEST_PATH = 60, 40, 1_000
_OWN = {FOLDER: ("folder", "side", "channels", "classes"), IDX: ("folder", "side", "classes")}
"""Fields that a dataset of one's own takes; a known one takes none of them."""

_NEEDED = {FOLDER: ("folder", "side", "classes"), IDX: ("folder",)}


def is_challenge_name(text: str) -> bool:
    """Say whether a text can name a challenge: it is a folder of the ledger on every system."""
    return bool(_NAME.fullmatch(text))


def load_challenge_file(named: str, *, name: str | None) -> Challenge:
    """Read one challenge from a TOML file, with or without naming it.

    The file has tables `[challenges.NAME]`, or those of a pyproject.toml, or is the table of one
    challenge that is called as the file is.

    Raises:
        SettingsError: the file cannot be read, has no such challenge, or a field is wrong.
    """
    tables = _list_tables(Path(named))
    if name is None:
        if len(tables) != 1:
            raise SettingsError(
                f"{named}: {len(tables)} challenges in it; name one of them: "
                f"--challenge {named}:{next(iter(tables), 'NAME')}"
            )
        (name,) = tables
    if name not in tables:
        raise SettingsError(
            f"{named}: no challenge {name!r} in it; it has {', '.join(tables) or 'none'}"
        )
    return build_challenge(name, tables[name], where=named, file=named)


def build_challenge(
    name: str, table: object, *, where: str | Path, file: str | None = None
) -> Challenge:
    """Check a table and return its challenge; `file` is the one that has to be named for it.

    What is not given is as in the challenge on MNIST; dataset and target must be.

    Raises:
        SettingsError: a name or a value is wrong.
    """
    origin = f"{where}: challenge {_show_name(name)}"
    _check_name(name, origin)
    if not isinstance(table, dict):
        raise SettingsError(f"{origin}: {_show(table)} is not a table; write its fields below it")
    values = {field: _read_field(origin, field, value) for field, value in table.items()}
    for field in ("dataset", "target"):
        if field not in values:
            raise SettingsError(f"{origin}: {field} is missing; {_REMEDIES[field]}")
    _check_images(origin, values)
    known = DATASETS.get(values["dataset"])
    if known is not None:
        values["classes"] = known.classes
    challenge = Challenge(
        **{
            "name": name,
            "epochs": MNIST.epochs,
            "parameters": MNIST.parameters,
            "window": MNIST.window,
            "reliability": MNIST.reliability,
            "confidence": MNIST.confidence,
            "file": file,
            **values,
        }
    )
    if challenge.window > challenge.epochs:
        raise SettingsError(
            f"{origin}: window = {challenge.window} is more than the {challenge.epochs} epochs; "
            "write fewer, or more epochs"
        )
    return challenge


def _list_tables(path: Path) -> dict[str, Any]:
    document = read_toml(path)
    tables = document.get("challenges", _find_in_project(document))
    if tables is None:
        return {path.stem: document}
    if not isinstance(tables, dict):
        raise SettingsError(f"{path}: challenges is not a table; write [challenges.NAME]")
    return tables


def _find_in_project(document: Mapping[str, Any]) -> Any:
    found: Any = document
    for name in ("tool", "bench"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return None if "tool" not in document else {}
    return found.get("challenges", {})


def _check_name(name: str, origin: str) -> None:
    if not is_challenge_name(name):
        raise SettingsError(
            f"{origin}: not a name; write lower-case letters, digits, - and _, 64 at most: it is "
            "the name of a folder"
        )
    if name in CHALLENGES or name == AUTO:
        raise SettingsError(f"{origin}: the name of one of ours; choose another")


def _check_images(origin: str, values: Mapping[str, Any]) -> None:
    """Make sure that the fields of a dataset of one's own are there, and there alone."""
    dataset = values["dataset"]
    for field in _OWN[FOLDER]:
        if field in values and field not in _OWN.get(dataset, ()):
            raise SettingsError(
                f"{origin}: {field} is not for dataset = {dataset!r}; leave it out"
                + ("" if dataset == IDX else ", or write dataset = 'folder' or 'idx'")
            )
    for field in _NEEDED.get(dataset, ()):
        if field not in values:
            raise SettingsError(f"{origin}: {field} is missing; {_REMEDIES[field]}")


def _read_field(origin: str, field: str, value: object) -> Any:
    if field not in _FIELDS:
        raise SettingsError(
            f"{origin}: {_show_name(field)} is not a field; choose from {', '.join(_FIELDS)}"
        )
    try:
        return _FIELDS[field](value)
    except ValueError as error:
        raise SettingsError(
            f"{origin}: {field} = {_show(value)} is not {error}; {_REMEDIES[field]}"
        ) from None


def _read_dataset(value: object) -> str:
    if not isinstance(value, str) or value not in (*DATASETS, FOLDER, IDX):
        raise ValueError(f"a dataset: {', '.join((*DATASETS, FOLDER, IDX))}")
    return value


def _read_whole(value: object, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"a whole number from {least:,} to {most:,}")
    return value


def _read_channels(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in (1, 3):
        raise ValueError("1 (grey) or 3 (colours)")
    return value


def _read_share(value: object, *, least: Fraction, up_to_one: bool) -> Fraction:
    """Return an exact share of at most nine decimals; TOML's numbers come as they are written."""
    start = f"from {float(least):g}" if least else "above 0"
    share = _read_exactly(value)
    if share is None or not 0 < share <= 1 or share < least or (share == 1 and not up_to_one):
        end = "up to 1" if up_to_one else "below 1"
        raise ValueError(f"a share {start} and {end}, of {_MOST_DECIMALS} decimals at most")
    return share


def _read_exactly(value: object) -> Fraction | None:
    if isinstance(value, str):
        return Fraction(value) if _DECIMAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or not 0 < number <= 1:
        return None
    _, digits, exponent = number.as_tuple()  # never rounded, as the context of decimal would
    last = max(place for place, digit in enumerate(digits) if digit)
    decimals = -int(exponent) - (len(digits) - 1 - last)
    return Fraction(number) if decimals <= _MOST_DECIMALS else None


def _read_classes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= MOST_OWN_CLASSES:
        raise ValueError(f"a list of 2 to {MOST_OWN_CLASSES} names")
    for name in value:
        if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_CLASS:
            raise ValueError(f"a list of names of 1 to {_LONGEST_CLASS} characters")
        if _UNSEEN.search(name):
            raise ValueError("a list of names that can be shown")
    if len(set(value)) < len(value):
        raise ValueError("a list of different names")
    return tuple(value)


def _read_folder(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_PATH:
        raise ValueError("the path of a folder")
    if _UNSEEN.search(value):
        raise ValueError("a path that can be shown")
    return value


def _show(value: object) -> str:
    """Return a value of a TOML file as an error shows it, whatever a stranger wrote."""
    if isinstance(value, Decimal):
        shown = str(value)
    else:
        try:
            shown = repr(value)
        except ValueError:  # Python writes no integer of more than 4,300 digits
            shown = "a huge number"
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def _show_name(name: str) -> str:
    return name if _NAME.fullmatch(name) else _show(name)


_FIELDS: dict[str, Callable[[object], Any]] = {
    "dataset": _read_dataset,
    "target": partial(_read_share, least=Fraction(0), up_to_one=True),
    "epochs": partial(_read_whole, least=1, most=MOST_EPOCHS),
    "parameters": partial(_read_whole, least=1, most=MOST_OPERATIONS),
    "window": partial(_read_whole, least=1, most=MOST_EPOCHS),
    "reliability": partial(_read_share, least=Fraction(0), up_to_one=False),
    "confidence": partial(_read_share, least=Fraction(1, 2), up_to_one=False),
    "folder": _read_folder,
    "side": partial(_read_whole, least=LEAST_SIDE, most=MOST_SIDE),
    "channels": _read_channels,
    "classes": _read_classes,
}
_REMEDIES = {
    "dataset": 'write dataset = "fashion-mnist", say',
    "target": 'write target = "0.994" for 99.4 %',
    "epochs": "write epochs = 15, say",
    "parameters": "write parameters = 10_000, say: a network must have fewer",
    "window": "write window = 3 for the last three epochs",
    "reliability": 'write reliability = "0.90" for 90 % of seeds',
    "confidence": 'write confidence = "0.95" for 95 %',
    "folder": 'write folder = "data/shapes", as seen from this file',
    "side": "write side = 32 for images of 32 x 32 pixels",
    "channels": "write channels = 1 or channels = 3",
    "classes": 'write their names in the order of the labels, classes = ["circle", "square"]; of a '
    "folder of pictures, its folders sorted",
}
