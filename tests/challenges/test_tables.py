"""Tables of challenges: what is taken is exact, what is wrong is named by file and field."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.challenge_tables import build_challenge, load_challenge_file
from bench.challenges import DATASETS
from bench.errors import SettingsError
from bench.records import Challenge

GOOD = {"dataset": "fashion-mnist", "target": "0.9"}
SHARES = st.decimals(min_value="0.000000001", max_value="0.999999999", places=9)


def build(**fields: object) -> Challenge:
    return build_challenge("mine", GOOD | fields, where="file.toml")


def test_what_is_not_given_is_as_on_mnist():
    """Fifteen epochs, 10,000 parameters, three last epochs, 90 % of seeds, 95 % confidence."""
    assert build() == Challenge(
        name="mine",
        dataset="fashion-mnist",
        target=Fraction(9, 10),
        epochs=15,
        parameters=10_000,
        window=3,
        reliability=Fraction(9, 10),
        confidence=Fraction(19, 20),
        classes=DATASETS["fashion-mnist"].classes,
    )


@given(share=SHARES, as_text=st.booleans())
def test_shares_are_exact(share: Decimal, as_text: bool):
    """A share is the decimal that was written, as a string or as a number: no float in between."""
    written = f"{share:f}" if as_text else share
    assert build(target=written).target == Fraction(share)
    assert build(reliability=written).reliability == Fraction(share)


@given(
    epochs=st.integers(1, 1_000),
    window=st.integers(1, 1_000),
    parameters=st.integers(1, 10**15),
    channels=st.sampled_from((1, 3)),
    side=st.integers(8, 512),
    classes=st.lists(
        st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40),
        min_size=2,
        max_size=256,
        unique=True,
    ),
)
def test_what_is_within_the_bounds_is_taken_as_it_is(
    epochs: int, window: int, parameters: int, channels: int, side: int, classes: list[str]
):
    """Every value within its bounds comes back; only a window beyond the epochs is refused."""
    fields = {
        "dataset": "folder",
        "folder": "pictures",
        "epochs": epochs,
        "window": window,
        "parameters": parameters,
        "channels": channels,
        "side": side,
        "classes": classes,
    }
    if window > epochs:
        with pytest.raises(SettingsError, match=r"window = .* is more than the .* epochs"):
            build(**fields)
        return
    challenge = build(**fields)
    assert challenge.shape == (channels, side, side)
    assert challenge.classes == tuple(classes)
    assert (challenge.epochs, challenge.window, challenge.parameters) == (
        epochs,
        window,
        parameters,
    )


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
_FIELDS = ("dataset", "target", "epochs", "parameters", "window", "reliability", "confidence",
           "folder", "side", "channels", "classes", "other")  # fmt: skip


@given(table=st.dictionaries(st.sampled_from(_FIELDS), _VALUES))
def test_any_table_is_a_challenge_or_one_line(table: dict[str, object]):
    """Whatever a stranger writes, what is taken keeps its bounds and the rest is our own error."""
    try:
        challenge = build_challenge("mine", table, where="file.toml")
    except SettingsError as error:
        message = str(error)
        challenge = None
    if challenge is None:
        assert message.startswith("file.toml: challenge mine: ")
        assert "\n" not in message
        return
    assert 0 < challenge.target <= 1
    assert 0 < challenge.reliability < 1
    assert Fraction(1, 2) <= challenge.confidence < 1
    assert 1 <= challenge.window <= challenge.epochs


WRONG = [
    ({"dataset": "imagenet"}, r"dataset = 'imagenet' is not a dataset: mnist, .*folder, idx"),
    ({"dataset": ["mnist"]}, r"dataset = \['mnist'\] is not a dataset"),
    ({"target": "99.4 %"}, r"target = '99\.4 %' is not a share above 0 and up to 1.*write target"),
    ({"target": 0}, r"target = 0 is not a share"),
    ({"target": True}, r"target = True is not a share"),
    ({"target": Decimal("1.1")}, r"target = 1\.1 is not a share"),
    ({"target": Decimal("nan")}, r"target = NaN is not a share"),
    ({"target": Decimal("1e-999999999")}, r"target = 1E-999999999 is not a share.*9 decimals"),
    ({"target": "0.1234567891"}, r"of 9 decimals at most"),
    ({"reliability": 1}, r"reliability = 1 is not a share above 0 and below 1"),
    ({"confidence": "0.4"}, r"confidence = '0\.4' is not a share from 0\.5 and below 1"),
    ({"epochs": 0}, r"epochs = 0 is not a whole number from 1 to 1,000"),
    ({"epochs": Decimal("1.5")}, r"epochs = 1\.5 is not a whole number"),
    ({"epochs": True}, r"epochs = True is not a whole number"),
    ({"epochs": 10**5000}, r"epochs = a huge number is not a whole number"),
    ({"parameters": "10k"}, r"parameters = '10k' is not a whole number"),
    ({"epochs": 2}, r"window = 3 is more than the 2 epochs"),
    ({"Target": 1}, r"'Target' is not a field; choose from dataset, target"),
    ({"side": 28}, r"side is not for dataset = 'fashion-mnist'"),
    ({"folder": "x"}, r"folder is not for dataset = 'fashion-mnist'"),
    ({"dataset": "folder"}, r"folder is missing; write folder ="),
    ({"dataset": "folder", "folder": "x", "side": 32}, r"classes is missing"),
    ({"dataset": "idx"}, r"folder is missing"),
    ({"dataset": "idx", "folder": "x", "channels": 3}, r"channels is not for dataset = 'idx'"),
    ({"dataset": "idx", "folder": ""}, r"folder = '' is not the path of a folder"),
    ({"dataset": "idx", "folder": "a\0b"}, r"is not a path that can be shown"),
    ({"dataset": "idx", "folder": "x", "side": 4}, r"side = 4 is not a whole number from 8 to 512"),
    ({"dataset": "folder", "channels": 2}, r"channels = 2 is not 1 \(grey\) or 3"),
    ({"classes": ["a"]}, r"is not a list of 2 to 256 names"),
    ({"classes": ["a", "a"]}, r"is not a list of different names"),
    ({"classes": ["a", "\x1b[2J"]}, r"is not a list of names that can be shown"),
    ({"classes": "ab"}, r"classes = 'ab' is not a list"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_value_is_named_by_file_challenge_and_field(fields: dict, message: str):
    """And the error says what would do instead."""
    with pytest.raises(SettingsError, match=rf"^file\.toml: challenge mine: .*{message}"):
        build(**fields)


@pytest.mark.parametrize("field", ["dataset", "target"])
def test_dataset_and_target_must_be_given(field: str):
    """A challenge without them asks nothing."""
    table = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(SettingsError, match=rf"mine: {field} is missing; write {field} ="):
        build_challenge("mine", table, where="file.toml")


@pytest.mark.parametrize("name", ["", "Mine", "a/b", "..", "a b", "x" * 65, "-a", "ä", "a\n"])
def test_a_name_is_a_folder_on_every_system(name: str):
    """Lower-case letters, digits, - and _ alone: no way out of the ledger, no two names alike."""
    with pytest.raises(SettingsError, match="not a name; write lower-case letters"):
        build_challenge(name, GOOD, where="file.toml")


@pytest.mark.parametrize("name", ["mnist", "digits", "auto"])
def test_our_names_are_taken(name: str):
    """Nobody's pyproject.toml makes `--challenge mnist` something else."""
    with pytest.raises(SettingsError, match="the name of one of ours"):
        build_challenge(name, GOOD, where="file.toml")


FILES = {
    "one table": ('dataset = "kmnist"\ntarget = 0.95\n', None, "file"),
    "several": ('[challenges.a]\ndataset = "kmnist"\ntarget = 0.95\n[challenges.b]\n', "a", "a"),
    "a pyproject": ('[tool.bench.challenges.a]\ndataset = "kmnist"\ntarget = 0.95\n', None, "a"),
}


@pytest.mark.parametrize(("text", "name", "found"), FILES.values(), ids=FILES)
def test_a_file_holds_one_challenge_or_several(
    text: str, name: str | None, found: str, tmp_path: Path
):
    """A number in TOML is read as it stands: 0.95 is 19/20."""
    file = tmp_path / "file.toml"
    file.write_text(text)
    challenge = load_challenge_file(str(file), name=name)
    assert (challenge.name, challenge.target) == (found, Fraction(19, 20))
    assert challenge.file == str(file)


BAD_FILES = {
    "no TOML": ("[", None, "not valid TOML"),
    "no number": (f"epochs = {'9' * 5000}", None, "not valid TOML"),
    "deep": ("x = " + "[" * 20_000, None, "nested too deeply"),
    "none": ("[tool.black]\n", None, "0 challenges in it"),
    "two": ("[challenges.a]\n[challenges.b]\n", None, "2 challenges in it; name one"),
    "another": ("[challenges.a]\n", "b", "no challenge 'b' in it; it has a"),
    "no table": ("challenges = 3\n", None, "challenges is not a table"),
    "no tables": ("challenges.a = 3\n", None, "3 is not a table"),
}


@pytest.mark.parametrize(("text", "name", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_wrong_file_is_one_line(text: str, name: str | None, message: str, tmp_path: Path):
    """Whatever is in it."""
    file = tmp_path / "file.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message) as error:
        load_challenge_file(str(file), name=name)
    assert str(error.value).startswith(str(file))


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    """By its name."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        load_challenge_file(str(tmp_path / "nowhere.toml"), name=None)
