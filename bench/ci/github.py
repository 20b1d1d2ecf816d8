"""GitHub Actions: annotations on a pull request, and the commands that a step prints.

A line of output that starts with `::`, or has `##[` in it, is a command to the runner (GitHub,
"Workflow commands for GitHub Actions"; actions/runner, ActionCommand.cs). Whatever a stranger may
have written is printed while commands are stopped, or escaped inside of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.gate import Gated, Outcome
from bench.records import Answer

LEVELS = {Answer.FAILS: "error", Answer.UNDECIDED: "warning", Answer.HOLDS: "notice"}

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """The job that a command runs in: the checkout's folder, and the file of the step's summary."""

    workspace: Path | None
    summary: Path | None


def find_runner(environment: Mapping[str, str]) -> Runner | None:
    """Return the GitHub runner that a command runs on, `None` elsewhere."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return None
    workspace, summary = map(environment.get, ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"))
    return Runner(
        workspace=Path(workspace) if workspace else None,
        summary=Path(summary) if summary else None,
    )


def write_annotations(gated: Iterable[Gated], runner: Runner) -> list[str]:
    """Return an annotation for each problem, and one for each iteration without any.

    Each stands at the first line of the iteration's file, where that lies in the checkout.
    """
    return [line for each in gated for line in _annotate(each, runner)]


def write_command(command: str, message: str, **properties: str) -> str:
    """Return a workflow command; nothing in its message or its properties ends it."""
    listed = ",".join(f"{name}={_escape(value, _PROPERTY)}" for name, value in properties.items())
    return f"::{command}{' ' if listed else ''}{listed}::{_escape(message, _DATA)}"


def stop_commands(token: str) -> str:
    """Return the line after which nothing is a command until `resume_commands` of this token."""
    return f"::stop-commands::{token}"


def resume_commands(token: str) -> str:
    """Return the line that ends what `stop_commands` began."""
    return f"::{token}::"


def defuse(text: str) -> str:
    """Return text of one line that is no command, and reads the same to a person."""
    return re.sub(r":(?=:)", ": ", text.replace("##[", "## ["))


def _annotate(gated: Gated, runner: Runner) -> list[str]:
    place = _locate(gated.iteration.path, runner)
    if gated.problems:
        return [_annotate_problem(gated, outcome, place) for outcome in gated.problems]
    return [write_command("notice", gated.verdict.why, title=f"{gated.title} HOLDS", **place)]


def _annotate_problem(gated: Gated, outcome: Outcome, place: Mapping[str, str]) -> str:
    level = LEVELS[outcome.answer or Answer.UNDECIDED]
    run = f"\nRun: {outcome.command}" if outcome.command else ""
    title = f"{gated.title} {outcome.answer}: {outcome.check}"
    return write_command(level, f"{outcome.text}{run}", title=title, **place)


def _locate(path: Path, runner: Runner) -> dict[str, str]:
    if runner.workspace is None:
        return {}
    resolved, root = path.resolve(), runner.workspace.resolve()
    if not resolved.is_relative_to(root):
        return {}
    return {"file": resolved.relative_to(root).as_posix(), "line": "1"}


def _escape(text: str, replacements: Mapping[str, str]) -> str:
    return "".join(replacements.get(letter, letter) for letter in text)
