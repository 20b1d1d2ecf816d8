"""The old side of a comparison: which iteration, of which code, with which runs."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from bench.baselines.noninferiority import (
    Comparand,
    NonInferiority,
    accept_same_code,
    compare_with_old,
    leave_undecided,
)
from bench.baselines.revisions import (
    StoredFile,
    copy_stored_files,
    is_revision,
    list_stored_files,
    resolve_revision,
)
from bench.errors import BaselineError, BenchError
from bench.evidence import Evidence, Selection, select_evidence
from bench.foreign import find_iterations
from bench.iterations import MODELS, Iteration, read_iteration
from bench.ledger import ledger_path, read_outlines
from bench.recipes import is_recipe_file
from bench.records import FIRST_TUNING_SEED, Challenge, Run

SHORT_COMMIT = 12
_SOURCES = (".py", ".ipynb", ".toml")
_OTHER_CODE = "the runs there are of another engine, or of code before the file there"
_FIX_CONDITIONS = (
    "name those to compare beforehand in [tool.bench.gate.conditions], without which the bound on "
    "wrong answers does not hold"
)
_PLAINLY_A_PATH = re.compile(r"\.{1,2}(?:[/\\]|$)")
_COMMIT = re.compile(r"[0-9a-fA-F]{40,64}")
_NUMBERED = re.compile(r"iteration_(\d{1,9})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """Where a project lies now, and its ledger and iterations, as paths below it."""

    root: Path
    ledger: PurePosixPath
    models: PurePosixPath | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Old:
    """What new code is compared with; `fingerprint` is that of the old code, "" of none.

    `note` is what a reader has to know of it, "" of nothing.
    """

    source: str
    iteration: str
    fingerprint: str
    selection: Selection
    note: str = ""


def read_old(
    against: str,
    iterations: Sequence[Iteration],
    challenge: Challenge,
    *,
    project: Project,
    baseline: str | None = None,
) -> list[Old]:
    """Return for each iteration what it is compared with: of a ledger's folder, or of a revision.

    It is the iteration of the same name, else the one of the highest number that is there, unless
    `baseline` names another.

    Raises:
        BaselineError: `against` is neither or both, or there is nothing that could be compared.
        BenchError: a file there is damaged.
    """
    if _is_folder(against, project.root):
        return [
            read_ledger_of_old(Path(against), iteration, challenge, baseline=baseline)
            for iteration in iterations
        ]
    return _read_revision(against, iterations, challenge, project, baseline)


def _is_folder(against: str, root: Path) -> bool:
    """Say whether a folder is meant: a revision comes first, so that no folder can stand for one.

    A commit's full name is never a folder's either: it may not be fetched.
    """
    if not Path(against).is_dir():
        return False
    if Path(against).is_absolute() or _PLAINLY_A_PATH.match(against):
        return True
    if not _COMMIT.fullmatch(against) and not is_revision(root, against):
        return True
    raise BaselineError(
        f"--against {against}: a folder, and a git revision or named like one; write "
        f"./{against} for the folder, or a full name such as refs/heads/{against} for the revision"
    )


def read_ledger_of_old(
    ledger: Path, iteration: Iteration, challenge: Challenge, *, baseline: str | None = None
) -> Old:
    """Return the runs of a ledger, of the code that most of them are of.

    Runs of the new code itself are passed over, unless there are no others: a ledger may hold both.
    """
    names = _list_names(ledger / challenge.name, ".jsonl")
    name = _choose_name(names, iteration.name, baseline)
    if name is None:
        raise BaselineError(
            f"--against {ledger}: no runs on {challenge.name} of {baseline or iteration.name} "
            "there; name a ledger that has some, or another iteration with --baseline"
        )
    runs = read_outlines(ledger_path(ledger, challenge.name, name)).runs
    fingerprint = _choose_fingerprint(runs, iteration.fingerprint)
    old = dataclasses.replace(iteration, name=name, fingerprint=fingerprint)
    return Old(
        source=str(ledger),
        iteration=name,
        fingerprint=fingerprint,
        selection=select_evidence(runs, old),
    )


def compare_selections(
    new: Iteration, selection: Selection, old: Old, challenge: Challenge, *, margin: Fraction
) -> NonInferiority:
    """Compare under the conditions, and on the images, that have the most runs of both.

    Unlike conditions are never compared: what differs would not be the code.
    """
    after = Comparand(iteration=new.name, fingerprint=new.fingerprint)
    before = Comparand(iteration=old.iteration, fingerprint=old.fingerprint, source=old.source)
    if new.fingerprint == old.fingerprint:
        return accept_same_code(after, before, margin=margin)
    ours, theirs = (_with_runs(each) for each in (selection, old.selection))
    alike = [
        (one, other)
        for one in theirs
        for other in ours
        if (one.conditions, one.dataset) == (other.conditions, other.dataset)
    ]
    if not alike:
        why = _explain_nothing_common(theirs, ours, old)
        waiting = 0 if theirs else max((len(each.runs) for each in ours), default=0)
        return leave_undecided(after, before, why, margin=margin, new_runs=waiting)
    earlier, later = max(alike, key=lambda pair: min(len(each.runs) for each in pair))
    found = compare_with_old(earlier, later, challenge, margin=margin, source=old.source)
    notes = [old.note] if old.note else []
    if len(alike) > 1:
        notes.append(f"{len(alike)} sets of conditions are common to both; {_FIX_CONDITIONS}")
    return replace(found, why="; ".join((found.why, *notes)))


def _with_runs(selection: Selection) -> list[Evidence]:
    return [evidence for evidence in selection.evidence if evidence.runs]


def _explain_nothing_common(old: list[Evidence], new: list[Evidence], source: Old) -> str:
    if not old:
        stale = source.selection.stale
        reason = f"; the {stale} there are of other code than the file there" if stale else ""
        return f"no runs that count of {source.iteration} in {source.source}{reason}"
    if not new:
        return "no runs of the new code"
    if {each.conditions for each in old} & {each.conditions for each in new}:
        return "no runs of both on the same images; train both on the same ones"
    return (
        f"no runs of both under the same conditions (old: {old[0].conditions}; new: "
        f"{new[0].conditions}); train both under the same ones"
    )


def _read_revision(
    revision: str,
    iterations: Sequence[Iteration],
    challenge: Challenge,
    project: Project,
    baseline: str | None,
) -> list[Old]:
    commit = resolve_revision(project.root, revision)
    source = _name_source(revision, commit)
    runs = list_stored_files(project.root, commit, f"{project.ledger}/{challenge.name}")
    sources = _list_sources(iterations, project, commit)
    with tempfile.TemporaryDirectory(prefix="bench-against-") as folder:
        root = Path(folder).resolve()
        copy_stored_files(project.root, (*runs, *sources), root)
        try:
            return [
                _read_old_iteration(iteration, challenge, project, root, source, baseline)
                for iteration in iterations
            ]
        except BaselineError:
            raise
        except BenchError as error:  # of a copy: what it is a copy of
            text = str(error).replace(f"{root}{os.sep}", "")
            raise BaselineError(f"--against {source}: {text}") from error


def _name_source(revision: str, commit: str) -> str:
    short = commit[:SHORT_COMMIT]
    return short if commit.startswith(revision) else f"{revision} ({short})"


def _list_sources(
    iterations: Sequence[Iteration], project: Project, commit: str
) -> tuple[StoredFile, ...]:
    """Return what the old code is read from: the iterations, and of a model file all it may use."""
    folder = "" if any(iteration.origin for iteration in iterations) else project.models
    if folder is None:
        raise BaselineError(
            f"{project.root}: has no folder of iterations of its own, and so no older ones; name "
            "the folder of a ledger with --against"
        )
    files = list_stored_files(project.root, commit, str(folder))
    below = f"{project.ledger}/"
    return tuple(
        file for file in files if file.path.endswith(_SOURCES) and not file.path.startswith(below)
    )


def _read_old_iteration(
    new: Iteration,
    challenge: Challenge,
    project: Project,
    root: Path,
    source: str,
    baseline: str | None,
) -> Old:
    if new.origin is not None and baseline is None:
        old = _find_model_file(new, project, root, source)
    else:
        old = _find_iteration(new, project, root, baseline)
    if old is None:
        raise BaselineError(
            f"--against {source}: {baseline or new.name} is not there, nor any iteration that "
            "could stand for it; name one with --baseline"
        )
    path = ledger_path(root / project.ledger, challenge.name, old.name)
    runs = read_outlines(path).runs
    fingerprint = _find_trained_code(runs, old.fingerprint, new.fingerprint)
    is_other = fingerprint != old.fingerprint
    return Old(
        source=source,
        iteration=old.name,
        fingerprint=fingerprint,
        selection=select_evidence(runs, dataclasses.replace(old, fingerprint=fingerprint)),
        note=_OTHER_CODE if is_other else "",
    )


def _find_trained_code(runs: Sequence[Run], computed: str, new: str) -> str:
    """Return the code that a revision's runs are of: its file's, else what most are of.

    `computed` is the fingerprint of the old file with today's engine. Where no run has it, the
    engine has changed since, or the file had before; the new code's own runs say nothing of that.
    """
    claims = [run for run in runs if run.seed < FIRST_TUNING_SEED]
    if any(run.fingerprint == computed for run in claims):
        return computed
    return _choose_fingerprint([run for run in claims if run.fingerprint != new], new) or computed


def _find_iteration(
    new: Iteration, project: Project, root: Path, baseline: str | None
) -> Iteration | None:
    if project.models is None:
        return None
    folder = root / project.models
    name = _choose_name(_list_names(folder, ".py"), new.name, baseline)
    return None if name is None else read_iteration(folder / f"{name}.py")


def _find_model_file(new: Iteration, project: Project, root: Path, source: str) -> Iteration | None:
    """Return the same model file as it was, with the recipe as it was and today's arguments."""
    place = _place_at_revision(new.path, project, root)
    if new.origin is None or place is None:
        return None
    (old,) = find_iterations(
        (f"{place}:{new.network}",),
        recipe=_find_recipe(new.origin.recipe, project, root, source),
        arguments=[f"{name}={literal}" for name, literal in new.arguments],
        root=root,
        folder=root / project.models if project.models else MODELS,
    )
    return dataclasses.replace(old, name=new.name)


def _find_recipe(recipe: str | None, project: Project, root: Path, source: str) -> str | None:
    """Return a recipe's name, or where its file is as the revision has it: never today's file."""
    if recipe is None or not is_recipe_file(recipe):
        return recipe
    place = _place_at_revision(Path(recipe), project, root)
    if place is None:
        raise BaselineError(
            f"--against {source}: --recipe {recipe} is not there, and today's may be another; name "
            "a recipe of the project that is, or train the old code into a ledger and name that"
        )
    return str(place)


def _place_at_revision(path: Path, project: Project, root: Path) -> Path | None:
    """Return the copy of a file of the project below `root`, `None` if the revision has none.

    A link is a file of its own name: where it leads today, it may not have led then.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    for home in (Path(os.path.abspath(project.root)), project.root.resolve()):  # noqa: PTH100
        if absolute.is_relative_to(home):
            place = root / absolute.relative_to(home)
            return place if place.is_file() else None
    return None


def _list_names(folder: Path, suffix: str) -> list[str]:
    return sorted(file.stem for file in folder.glob(f"*{suffix}"))


def _choose_name(names: Sequence[str], same: str, baseline: str | None) -> str | None:
    if baseline is not None:
        return baseline if baseline in names else None
    if same in names:
        return same
    numbered = [name for name in names if _NUMBERED.fullmatch(name)]
    return max(numbered, key=lambda name: int(name.partition("_")[2]), default=None)


def _choose_fingerprint(runs: Sequence[Run], new: str) -> str:
    """Return the code that most claim runs are of, the later one of two that have as many."""
    counts: dict[str, int] = defaultdict(int)
    for run in runs:
        if run.seed < FIRST_TUNING_SEED:
            counts[run.fingerprint] += 1
    others = {fingerprint: count for fingerprint, count in counts.items() if fingerprint != new}
    candidates = others or counts
    return max(reversed(candidates), key=lambda each: candidates[each], default="")
