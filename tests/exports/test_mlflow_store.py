"""`bench export --format mlflow`, read back by MLflow's own client from a real local store."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from export_reader import export, identify, need, vary
from msgspec.structs import replace
from planted_runs import LATEST, make_run, plant_ledger

from bench.challenges import CHALLENGES
from bench.errors import ExportError
from bench.exports.ledgers import read_groups
from bench.exports.mlflow_store import MlflowStore, hide_credentials, locate_store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite store without an experiment of ours: its tables take seconds to make."""
    need("sqlalchemy")
    mlflow = need("mlflow")
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """Return the URI of a store of one's own."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def connect(store: str) -> Any:
    return need("mlflow").MlflowClient(tracking_uri=store)


def search(client: Any, iteration: str) -> list[Any]:
    """Return all runs of an iteration's experiment."""
    experiment = client.get_experiment_by_name(f"drilldown/mnist/{iteration}")
    return list(client.search_runs([experiment.experiment_id], max_results=1_000))


def split(runs: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return runs of verdicts and runs of seeds."""
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parents, [run for run in runs if run not in parents]


def test_mlflow_reads_the_ledgers_numbers(
    ledger: Path, lines: list[dict[str, Any]], store: str
) -> None:
    """Every seed's epochs, with their steps, equal the ledger's to the last bit."""
    assert export("--ledger", ledger, "--format", "mlflow", "--output", store) == 0
    client = connect(store)
    _, seeds = split([*search(client, "iteration_4"), *search(client, "elsewhere")])
    by_identity = {
        (
            run.data.tags["drilldown.iteration"],
            run.data.tags["drilldown.fingerprint"],
            int(run.data.params["seed"]),
        ): run
        for run in seeds
    }

    assert len(seeds) == len(by_identity) == len(lines)
    for line in lines:
        run = by_identity[identify(line)]
        assert run.info.status == ("FINISHED" if line["status"] == "finished" else "FAILED")
        for name in ("validation_correct", "validation_loss", "training_correct", "training_loss"):
            history = client.get_metric_history(run.info.run_id, name)
            assert [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)] == [
                (step, epoch[name]) for step, epoch in enumerate(line["epochs"], start=1)
            ]
        assert run.data.metrics["wall_seconds"] == line["wall_seconds"]
        assert run.data.tags["mlflow.source.git.commit"] == line["machine"]["commit"]
        assert run.data.tags["drilldown.machine_processor"] == line["machine"]["processor"]


def test_a_verdict_has_its_page_and_its_recipe(ledger: Path, store: str, tmp_path: Path) -> None:
    """The parent run tells answer and reason, what the recipe was, and has the page beside it."""
    export("--ledger", ledger, "iteration_4", "--format", "mlflow", "--output", store)
    client = connect(store)
    parents, seeds = split(search(client, "iteration_4"))
    verdict = next(run for run in parents if run.data.tags["drilldown.verdict"] != "none")

    assert len(parents) == 3  # what counts, the stale run, the tuning run
    assert verdict.data.tags["drilldown.verdict"] == "UNDECIDED"
    assert "2 of 5 seeds hold" in verdict.data.tags["mlflow.note.content"]
    assert (verdict.data.metrics["runs"], verdict.data.metrics["holding"]) == (5, 2)
    assert verdict.data.params["recipe.optimizer"] == type(LATEST.recipe.optimizer).__name__
    assert verdict.data.params["recipe.batch_size"] == str(LATEST.recipe.batch_size)
    children = [r for r in seeds if r.data.tags["mlflow.parentRunId"] == verdict.info.run_id]
    assert sorted(int(run.data.params["seed"]) for run in children) == [0, 1, 2, 3, 4, 6]
    path = client.download_artifacts(verdict.info.run_id, "page/index.html", str(tmp_path))
    assert Path(path).read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_exporting_twice_doubles_nothing(
    ledger: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is known; a seed that was trained meanwhile joins the others."""
    arguments = ("--ledger", ledger, "iteration_4", "--format", "mlflow", "--output", store)
    export(*arguments)
    client = connect(store)
    before = {run.info.run_id for run in search(client, "iteration_4")}
    plant_ledger(ledger, [vary(make_run(seed=5))])
    capsys.readouterr()

    export(*arguments)

    assert capsys.readouterr().out.startswith("iteration_4: 1 new, 8 known\n")
    after = {run.info.run_id: run for run in search(client, "iteration_4")}
    assert before < set(after)
    assert len(after) == len(before) + 1
    standings = {
        run.data.params["seed"]: run.data.tags["drilldown.standing"]
        for run in split(list(after.values()))[1]
        if run.data.tags["drilldown.fingerprint"] == LATEST.fingerprint
    }
    assert standings["6"] == "counts"  # it waited for seed 5


def test_an_interrupted_export_is_finished(ledger: Path, store: str) -> None:
    """A run that was begun and not finished is replaced, not left half there nor doubled."""
    arguments = ("--ledger", ledger, "iteration_4", "--format", "mlflow", "--output", store)
    export(*arguments)
    client = connect(store)
    _, seeds = split(search(client, "iteration_4"))
    torn = seeds[0]
    client.delete_tag(torn.info.run_id, "drilldown.digest")

    export(*arguments)

    _, again = split(search(client, "iteration_4"))
    assert len(again) == len(seeds)
    assert torn.info.run_id not in {run.info.run_id for run in again}


def test_another_target_is_another_outcome(ledger: Path, store: str) -> None:
    """Seeds that are there are written again when the challenge asks for less."""
    asked = CHALLENGES["mnist"]
    for challenge in (asked, replace(asked, target=Fraction(99, 100))):
        groups, _ = read_groups(ledger, challenge, "iteration_4", LATEST)
        tally = MlflowStore(store).export(groups, lambda _: None)
        assert (tally.new, tally.known) == (8, 0)
        _, seeds = split(search(connect(store), "iteration_4"))
        run = next(
            r
            for r in seeds
            if r.data.params["seed"] == "1" and r.data.tags["drilldown.standing"] == "counts"
        )
        holds = challenge is not asked
        assert run.data.metrics["holds"] == holds
        assert run.data.tags["drilldown.outcome"] == ("holds" if holds else "misses")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000",
        "file:mlruns",
        "file:///tmp/mlruns",
        "databricks",
        "databricks://profile",
        "databricks-uc",
        "uc:http://host:8080",
        "postgresql+psycopg2://me@host/db",
    ],
)
def test_a_uri_is_left_as_it_is(uri: str) -> None:
    """MLflow decides what to make of it."""
    assert locate_store(uri) == (uri, None)


@pytest.mark.parametrize("place", ["runs.db", "databricks.db", "file.db", "sqlite:///runs.db"])
def test_a_file_name_is_a_database(place: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Its artefacts lie beside it; a folder is refused before anything is asked of MLflow."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / place.removeprefix("sqlite:///")

    assert locate_store(place) == (f"sqlite:///{file}", tmp_path / f"{file.stem}_artefacts")
    file.mkdir()
    with pytest.raises(ExportError, match="a folder; name a database file"):
        locate_store(place)


def test_a_store_that_refuses_is_one_line(
    ledger: Path, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no database."""
    (tmp_path / "mlflow.db").write_text("no database" * 100)

    assert export("--ledger", ledger, "--format", "mlflow", "--output", store) == 2
    complaint = capsys.readouterr().err
    assert complaint.splitlines()[-1].startswith("bench: error: sqlite:///")


def test_an_error_keeps_credentials_to_itself() -> None:
    """What is shown of a URI is the place alone."""
    assert hide_credentials("http://me:secret@host:5000/x") == "http://host:5000/x"
    assert hide_credentials("sqlite:////tmp/a@b/mlflow.db") == "sqlite:////tmp/a@b/mlflow.db"
