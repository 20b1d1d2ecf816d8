"""`bench init`: a repository that works at once, and never in the place of anything."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from challenges.samples import write_pictures
from challenges.test_end_to_end import run_bench

from bench.cli import main
from bench.iterations import list_iterations
from bench.settings import load_settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_repository_has_all_it_needs(here: Path):
    """A challenge, a model, what CI runs, and what git leaves out."""
    assert main(["init", "demo"]) == 0
    assert set(list_files(here / "demo")) == {
        ".github/workflows/bench.yml",
        ".gitignore",
        "README.md",
        "models/iteration_1.py",
        "pyproject.toml",
        "requirements.txt",
    }
    settings = load_settings(here / "demo")[1]
    assert settings.challenge == "demo"
    assert settings.challenges["demo"]["dataset"] == "mnist"
    assert "bench gate" in (here / "demo" / ".github" / "workflows" / "bench.yml").read_text()


def test_a_first_run_gives_a_page(here: Path):
    """The road of README: two seeds on digits, a page, and a gate that knows the rest is open."""
    run_bench(here, "init", "demo")
    project = here / "demo"
    run_bench(project, "run", "--challenge", "digits", "--seeds", "2", "--epochs", "2")
    page = (project / "reports" / "index.html").read_text(encoding="utf-8")
    assert "A demonstration, not MNIST" in page
    (ledger,) = (project / "reports" / "ledger" / "digits").glob("*.jsonl")
    assert len(ledger.read_text().splitlines()) == 2
    # trained with other epochs than the recipe's: no evidence
    assert "stale" in run_bench(project, "gate", "--challenge", "digits", code=3).stdout
    assert "no runs" in run_bench(project, "gate", code=3).stdout


def test_the_iterations_of_a_repository_are_its_own(here: Path, capsys: pytest.CaptureFixture[str]):
    """Commands read the models folder beside its pyproject.toml, and not ours."""
    main(["init", "demo"])
    capsys.readouterr()
    assert main(["list"]) == 0
    assert "iteration_4" in capsys.readouterr().out


def test_the_next_iteration_is_a_copy_to_change(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The same network and recipe, so the same fingerprint, under a title of its own."""
    main(["init", "demo"])
    monkeypatch.chdir(here / "demo" / "models")
    capsys.readouterr()
    assert main(["init", "--iteration"]) == 0
    assert capsys.readouterr().out.strip() == "iteration_2.py"
    first, second = list_iterations(here / "demo" / "models")
    assert second.fingerprint == first.fingerprint
    assert second.narrative.title == "What iteration 2 changes"
    assert (first.narrative.about, second.narrative.about) == ("demo", "demo")
    assert ast.get_docstring(ast.parse(second.path.read_text())) == "Iteration 2: what it changes."
    assert main(["list"]) == 0
    assert "iteration_2" in capsys.readouterr().out


def test_a_claim_is_not_copied(here: Path, monkeypatch: pytest.MonkeyPatch):
    """What was claimed of one iteration nobody has claimed of the next."""
    main(["init", "demo"])
    file = here / "demo" / "models" / "iteration_1.py"
    source = file.read_text().replace("SGD, MultiStep,", "SGD, Claim, MultiStep,")
    claim = "claim=Claim(parameters='6k', training_accuracy=99.0, validation_accuracy=99.1),"
    file.write_text(source.replace('    about="demo",', f'    {claim}\n    about="demo",'))
    monkeypatch.chdir(here / "demo")
    assert main(["init", "--iteration"]) == 0
    first, second = list_iterations(here / "demo" / "models")
    assert first.narrative.claim is not None
    assert second.narrative.claim is None


@pytest.mark.parametrize("there", ["pyproject.toml", "models/iteration_1.py", ".gitignore"])
def test_nothing_is_overwritten(here: Path, there: str, capsys: pytest.CaptureFixture[str]):
    """One file in the way, and none is written."""
    file = here / "demo" / there
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert main(["init", "demo"]) == 2
    assert "is there already, and nothing is overwritten" in capsys.readouterr().err
    assert list_files(here / "demo") == {there: b"mine"}


def test_a_link_in_the_way_is_not_followed(here: Path):
    """A link to a file that is not there would be written through."""
    (here / "demo").mkdir()
    (here / "demo" / "README.md").symlink_to(here / "elsewhere")
    assert main(["init", "demo"]) == 2
    assert not (here / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "challenge"),
    [("My Digits!", "my-digits"), ("digits", "digits-challenge"), ("Ω", "challenge")],
)
def test_the_challenge_is_called_as_its_folder(here: Path, name: str, challenge: str):
    """As far as a folder of the ledger can be called that."""
    assert main(["init", name]) == 0
    assert load_settings(here / name)[1].challenge == challenge


def test_pictures_give_the_classes(here: Path):
    """Whatever folders are called that can be shown, the file that is written says the same."""
    classes = ('a "quoted" one', "back\\slash", "brûlé", "{{ x }}")
    write_pictures(here / "pictures", classes=classes, counts=(1, 1))
    assert main(["init", "demo", "--pictures", "pictures"]) == 0
    table = load_settings(here / "demo")[1].challenges["demo"]
    assert tuple(table["classes"]) == classes
    assert table["folder"] == "../pictures"
    (iteration,) = list_iterations(here / "demo" / "models")
    assert "(N, 3, 32, 32)" in iteration.path.read_text()


WRONG = {
    "no pictures": (["demo", "--pictures", "."], "training: no such folder"),
    "both": (["demo", "--pictures", ".", "--dataset", "mnist"], "--pictures is given too"),
    "no repository": (["--iteration"], "no pyproject.toml with [tool.bench] here or above"),
    "iteration of another": (["demo", "--iteration"], "--iteration: takes nothing else"),
    "a file": (["taken/demo"], "cannot be written"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_started_is_one_line(
    here: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    """With exit code 2, and nothing is left behind."""
    (here / "taken").write_text("")
    assert main(["init", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert set(list_files(here)) == {"taken"}


@pytest.mark.parametrize("dataset", ["fashion-mnist", "kmnist", "qmnist", "digits"])
def test_a_published_dataset_is_named(here: Path, dataset: str):
    """Its name is all that its challenge needs."""
    assert main(["init", "demo", "--dataset", dataset]) == 0
    assert load_settings(here / "demo")[1].challenges["demo"]["dataset"] == dataset


def test_requirements_name_what_was_asked_for(here: Path):
    """CI installs Drilldown from where its user has it."""
    address = "drilldown @ git+https://example.org/drilldown@1234"
    assert main(["init", "demo", "--drilldown", address]) == 0
    assert (here / "demo" / "requirements.txt").read_text() == f"{address}\n"


def test_own_modules_beside_an_iteration_are_imported_and_fingerprinted(here: Path):
    """`models.X` is the file beside an iteration, where there is one: in training as on paper."""
    run_bench(here, "init", "demo")
    project = here / "demo"
    first = project / "models" / "iteration_1.py"
    before = list_iterations(project / "models")[0].fingerprint
    (project / "models" / "skeleton.py").write_text("WIDTH = 5\n")
    source = first.read_text().replace(
        "from models.recipe", "from models.skeleton import WIDTH\nfrom models.recipe"
    )
    first.write_text(
        source.replace("block(1, 8)", "block(1, WIDTH)").replace("(8, 16)", "(WIDTH, 16)")
    )
    found = list_iterations(project / "models")[0].fingerprint
    assert found != before
    text = run_bench(project, "cost", "--challenge", "digits").stdout
    assert "5 x 28 x 28" in text
    (project / "models" / "skeleton.py").write_text("WIDTH = 6\n")
    assert list_iterations(project / "models")[0].fingerprint != found


def test_our_modules_can_be_used_in_a_repository(here: Path):
    """The skeleton of our iterations is one import away, and part of the fingerprint."""
    run_bench(here, "init", "demo")
    file = here / "demo" / "models" / "iteration_1.py"
    text = file.read_text()
    start = text.index("def block")
    file.write_text(
        text[:start].replace("from torch import Tensor, nn", "from models.skeleton import Skeleton")
        + "class Network(Skeleton):\n    pass\n"
    )
    done = run_bench(here / "demo", "cost", "--challenge", "digits")
    assert "7,924 parameters" in done.stdout


def test_challenges_are_chosen_by_one_option(here: Path, capsys: pytest.CaptureFixture[str]):
    """--dataset is --challenge for ours; both at once, or a name of none, is one line."""
    main(["init", "demo"])
    (here / "own.toml").write_text('[challenges.a]\ndataset = "kmnist"\ntarget = 0.95\n')
    for arguments, code, says in (
        (["--challenge", "own.toml:a"], 0, '"name": "a"'),
        (["--challenge", "own.toml"], 0, '"name": "a"'),
        (["--challenge", "mnist"], 0, '"name": "mnist"'),
        (["--dataset", "digits"], 0, '"name": "digits"'),
        (["--challenge", "demo"], 2, "no such challenge; choose from auto, mnist, digits"),
        (["--challenge", ""], 2, "not a name"),
        (["--challenge", "mnist", "--dataset", "digits"], 2, "leave out one of them"),
        (["--challenge", "own.toml:b"], 2, "no challenge 'b' in it; it has a"),
        (["--challenge", "none.toml"], 2, "none.toml: cannot be read"),
    ):
        capsys.readouterr()
        assert main(["judge", "--format", "json", *arguments]) == code
        out, err = capsys.readouterr()
        assert says in (err if code else out)
        if not code:
            assert json.loads(out)["challenge"]["file"] in (None, "own.toml")
