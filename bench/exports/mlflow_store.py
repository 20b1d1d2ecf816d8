"""Runs in an MLflow tracking store, by MLflow's own client: a run a seed, under one a verdict.

An experiment is an iteration on a challenge. In it each group (one fingerprint, dataset and set of
conditions) is a parent run with the verdict and the page, and each seed a run below it with its
epochs as metrics by step. What is there already is recognised by a tag and not written again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.errors import BenchError, ExportError
from bench.exports.collection import Group, Standing
from bench.exports.destinations import import_extra
from bench.exports.parameters import list_parameters
from bench.exports.tables import describe_machine
from bench.findings import score_run
from bench.records import Challenge, Run, Status

KEY, DIGEST, PAGE = "drilldown.key", "drilldown.digest", "drilldown.page_sha256"
PAGE_FILE = "page/index.html"
MOST_METRICS, MOST_PARAMETERS = 1_000, 100
"""What MLflow takes in one request."""

_URI = re.compile(r"[A-Za-z][\w+.-]*://|(?:file|uc|databricks|databricks-uc):|databricks(?:-uc)?$")
"""What MLflow knows a store by that is no file name."""

_SEARCHED = 1_000
_LONGEST_TAG = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many seeds were new to the store, and how many it had already."""

    new: int
    known: int


class MlflowStore:
    """One tracking store. `place` is what MLflow calls a tracking URI, or a file for SQLite."""

    def __init__(self, place: str) -> None:
        """Connect.

        Raises:
            ExportError: MLflow is not installed, or the store cannot be used.
        """
        # exporting a ledger is nobody's business but the user's
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = import_extra("mlflow", extra="mlflow")
        self._entities = import_extra("mlflow.entities", extra="mlflow")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.uri, self._artefacts = locate_store(place)
        with self._reporting():
            if self._artefacts is not None:
                self._artefacts.parent.mkdir(parents=True, exist_ok=True)
            self._client = mlflow.MlflowClient(tracking_uri=self.uri)

    def export(
        self,
        groups: Sequence[Group],
        render: Callable[[Group], str | None],
        note: Callable[[], object] = lambda: None,
    ) -> Tally:
        """Write the groups of one iteration; `note` hears of each seed, new or known.

        `render` returns the page to put beside a group's verdict, or `None`.

        Raises:
            ExportError: the store refuses.
        """
        new = known = 0
        if not groups:
            return Tally(new=new, known=known)
        with self._reporting():
            name = f"drilldown/{groups[0].challenge.name}/{groups[0].name}"
            experiment = self._find_experiment(name)
            found = self._find_runs(experiment)
            for group in groups:
                parent = self._write_parent(experiment, group, found)
                for run, standing in zip(group.runs, group.standings, strict=True):
                    if self._write_seed(experiment, parent, group, run, standing, found):
                        new += 1
                    else:
                        known += 1
                    note()
                self._write_page(parent, render(group), found.get(_key(group, None)))
        return Tally(new=new, known=known)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except BenchError:
            raise
        except Exception as error:  # databases, networks and MLflow each raise their own
            shown = hide_credentials(self.uri)
            lines = str(error).replace(self.uri, shown).splitlines() or [""]
            raise ExportError(
                f"{shown}: MLflow cannot write there ({type(error).__name__}: "
                f"{lines[0]}); correct that or name another store with --output, and export again"
            ) from error

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            folder = self._artefacts.as_uri() + f"/{name}" if self._artefacts is not None else None
            return str(self._client.create_experiment(name, artifact_location=folder))
        if found.lifecycle_stage != "active":
            raise ExportError(
                f"{name}: this experiment was deleted from the store; bring it back with `mlflow "
                f"experiments restore -x {found.experiment_id}`, or name another --output"
            )
        return str(found.experiment_id)

    def _find_runs(self, experiment: str) -> dict[str, Any]:
        """Return the store's own runs by their key."""
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self._client.search_runs([experiment], max_results=_SEARCHED, page_token=token)
            found |= {run.data.tags[KEY]: run for run in page if KEY in run.data.tags}
            token = page.token
            if not token:
                return found

    def _write_parent(self, experiment: str, group: Group, found: dict[str, Any]) -> str:
        key = _key(group, None)
        tags = _describe_verdict(group)
        known = found.get(key)
        if known is not None:
            run_id = str(known.info.run_id)
            self._update_tags(known, tags)
        else:
            created = self._client.create_run(
                experiment,
                start_time=min(map(_start, group.runs)),
                tags=_describe_group(group) | tags | {KEY: key},
                run_name=f"{group.name}, {group.conditions}",
            )
            run_id = str(created.info.run_id)
            self._log(run_id, (), _list_parameters(group, None))
        end = max(map(_end, group.runs))
        self._log(run_id, self._count_verdict(group, end), {})
        self._client.set_terminated(run_id, "FINISHED", end_time=end)
        return run_id

    def _count_verdict(self, group: Group, end: int) -> list[Any]:
        """Return the figures of a verdict; the step is the number of runs it rests on."""
        decision = group.verdict.reliable if group.verdict else None
        if decision is None:
            return []
        figures = {
            "runs": decision.runs,
            "holding": decision.holding,
            "parameters": group.runs[0].cost.parameters,
            "macs": group.runs[0].cost.macs,
        }
        metric = self._entities.Metric
        return [metric(name, value, end, decision.runs) for name, value in figures.items()]

    def _write_seed(
        self,
        experiment: str,
        parent: str,
        group: Group,
        run: Run,
        standing: Standing,
        found: dict[str, Any],
    ) -> bool:
        """Write a seed unless it is there, whole and the same; say whether it was written."""
        key, digest = _key(group, run), _digest(run, group.challenge)
        changing = {
            "drilldown.standing": standing,
            "drilldown.verdict": str(group.verdict.answer) if group.verdict else "none",
            "mlflow.parentRunId": parent,
        }
        known = found.get(key)
        if known is not None and known.data.tags.get(DIGEST) == digest:
            self._update_tags(known, changing)
            return False
        if known is not None:  # an interrupted export, or a line that was replaced
            self._client.delete_run(known.info.run_id)
        tags = _describe_group(group) | changing | _describe_seed(group, run) | {KEY: key}
        created = self._client.create_run(
            experiment, start_time=_start(run), tags=tags, run_name=f"seed {run.seed}"
        )
        run_id = created.info.run_id
        self._log(run_id, self._list_metrics(group, run), _list_parameters(group, run))
        status = "FINISHED" if run.status is Status.FINISHED else "FAILED"
        self._client.set_terminated(run_id, status, end_time=_end(run))
        self._client.set_tag(run_id, DIGEST, digest)
        return True

    def _update_tags(self, known: Any, tags: dict[str, str]) -> None:
        for name, value in tags.items():
            if known.data.tags.get(name) != value:
                self._client.set_tag(known.info.run_id, name, value)

    def _list_metrics(self, group: Group, run: Run) -> list[Any]:
        """Return every epoch's figures, the step being the epoch, and those of the run."""
        metric = self._entities.Metric
        moment = float(_start(run))
        metrics = []
        for number, epoch in enumerate(run.epochs, start=1):
            moment += epoch.seconds * 1000
            figures = {
                "validation_accuracy": epoch.validation_correct / epoch.validation_total,
                "validation_correct": epoch.validation_correct,
                "validation_loss": epoch.validation_loss,
                "training_accuracy": epoch.training_correct / epoch.training_total,
                "training_correct": epoch.training_correct,
                "training_loss": epoch.training_loss,
                "seconds": epoch.seconds,
            }
            metrics += [metric(name, value, int(moment), number) for name, value in figures.items()]
        score = score_run(run, group.challenge)
        figures = {"wall_seconds": run.wall_seconds, "holds": int(score.outcome == "holds")}
        if score.window_minimum is not None:
            figures["window_minimum_accuracy"] = float(score.window_minimum)
        last = len(run.epochs)
        metrics += [metric(name, value, _end(run), last) for name, value in figures.items()]
        return metrics

    def _log(self, run_id: str, metrics: Iterable[Any], parameters: dict[str, str]) -> None:
        rest = iter(metrics)
        while batch := list(islice(rest, MOST_METRICS)):
            self._client.log_batch(run_id, metrics=batch)
        items = iter(parameters.items())
        while some := list(islice(items, MOST_PARAMETERS)):
            self._client.log_batch(run_id, params=[self._entities.Param(*each) for each in some])

    def _write_page(self, run_id: str, page: str | None, known: Any) -> None:
        if page is None:
            return
        digest = hashlib.sha256(page.encode()).hexdigest()
        if known is None or known.data.tags.get(PAGE) != digest:
            self._client.log_text(run_id, page, PAGE_FILE)
            self._client.set_tag(run_id, PAGE, digest)


def locate_store(place: str) -> tuple[str, Path | None]:
    """Return a tracking URI, and where a local SQLite store keeps its artefacts.

    Raises:
        ExportError: the database would be where a folder is.
    """
    if _URI.match(place) and not place.startswith("sqlite:///"):
        return place, None
    file = Path(place.removeprefix("sqlite:///")).absolute()
    if file.is_dir():
        raise ExportError(
            f"{place}: a folder; name a database file with --output, or file:{place} for MLflow's "
            "store of files"
        )
    return f"sqlite:///{file}", file.with_name(f"{file.stem}_artefacts")


def hide_credentials(uri: str) -> str:
    """Return a URI without the user and the password that it may carry."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else uri


def _key(group: Group, run: Run | None) -> str:
    """Return what a run is recognised by: code, data, conditions, and the seed if it is one's."""
    seed = run.seed if run is not None else None
    parts = (group.challenge.name, group.name, group.fingerprint, group.dataset, group.conditions)
    return hashlib.sha256(msgspec.json.encode((*parts, seed))).hexdigest()


def _digest(run: Run, challenge: Challenge) -> str:
    """Return a digest of all that is exported of a run: whether it holds, the challenge decides."""
    asked = str(challenge.target), challenge.window
    parts = (*asked, run.status, run.epochs, run.machine, run.started, run.wall_seconds)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _describe_group(group: Group) -> dict[str, str]:
    conditions = group.conditions
    tags = {
        "challenge": group.challenge.name,
        "iteration": group.name,
        "fingerprint": group.fingerprint,
        "dataset": group.dataset,
        "conditions": str(conditions),
        "device": conditions.device,
        "precision": conditions.precision,
        "engine": conditions.engine,
        "torch": conditions.torch,
        "block": str(conditions.block),
    }
    return {f"drilldown.{name}": value for name, value in tags.items()}


def _describe_verdict(group: Group) -> dict[str, str]:
    why = group.verdict.why if group.verdict else "these runs decide nothing"
    return {
        "drilldown.verdict": str(group.verdict.answer) if group.verdict else "none",
        "mlflow.note.content": why[:_LONGEST_TAG],
    }


def _describe_seed(group: Group, run: Run) -> dict[str, str]:
    machine = {
        name: str(value)[:_LONGEST_TAG]
        for name, value in describe_machine(run.machine).items()
        if value is not None
    }
    tags = {f"drilldown.{name}": value for name, value in machine.items()}
    tags["drilldown.outcome"] = score_run(run, group.challenge).outcome
    if run.machine.commit is not None:
        tags["mlflow.source.git.commit"] = run.machine.commit
    return tags


def _list_parameters(group: Group, run: Run | None) -> dict[str, str]:
    """Return the recipe, where it is known; that of other code is not."""
    listed = list_parameters(group.iteration.recipe) if group.iteration else {}
    if run is not None:
        listed |= {"seed": str(run.seed), "parameters": str(run.cost.parameters)}
    return listed


def _start(run: Run) -> int:
    """Return when a run started, in milliseconds since 1970."""
    try:
        return max(0, int(datetime.fromisoformat(run.started).timestamp() * 1000))
    except ValueError:  # a ledger's text may be anything
        return 0


def _end(run: Run) -> int:
    return _start(run) + int(run.wall_seconds * 1000)
