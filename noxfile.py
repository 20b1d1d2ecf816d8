"""Everything a user or a CI job runs: `nox -s bench`, then look at reports/index.html."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "virtualenv"

CONSTRAINTS = ("-c", "constraints.txt")
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *requirements: str, groups: tuple[str, ...] = ()) -> None:
    """Install the project and more, at the pinned versions."""
    wanted = list(nox.project.dependency_groups(PROJECT, *groups)) if groups else []
    session.install(*CONSTRAINTS, *requirements, *wanted)


@nox.session
def bench(session: nox.Session) -> None:
    """Train until decided, judge, write the page: `nox -s bench -- --help` lists the options."""
    install(session, "-e", ".[train]")
    session.run("bench", "run", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Write reports/index.html from the ledger alone, without torch."""
    install(session, "-e", ".")
    session.run("bench", "report", *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Exit 0 when the required iterations HOLD, 1 FAILS, 3 UNDECIDED or stale, 2 usage."""
    install(session, "-e", ".")
    command = [Path(session.bin) / "bench", "gate", *session.posargs]
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)  # nox itself knows only 0 and 1


@nox.session
def tests(session: nox.Session) -> None:
    """Pass the tests, two processes at a time."""
    install(session, "-e", ".[train]", groups=("test",))
    session.run("pytest", "-n", "2", "-m", "not faults and not trainings", *session.posargs)


@nox.session(default=False)
def exports(session: nox.Session) -> None:
    """Read exports back with MLflow, pandas, pyarrow and TensorBoard; run the notebook."""
    extras = "train,frames,mlflow,parquet,tensorboard"
    install(session, "-e", f".[{extras}]", groups=("test", "exports"))
    where = ["tests/exports", "tests/test_api.py", "tests/test_notebook.py"]
    session.run("pytest", "-n", "2", *where, *session.posargs, env={"REQUIRE_EXPORTS": "1"})


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build build/site, its links checked; execute the commands and blocks of README and docs."""
    extras = "train,cluster,search,frames,mlflow,parquet,tensorboard"
    install(session, "-e", f".[{extras}]", groups=("docs",))
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # says that Material is maintained until May 2027
    session.run("mkdocs", "build", "-f", "docs/site/mkdocs.yml", "--strict", env=quiet)
    session.run("python", "tests/documentation", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Pass the tests of the page in the system's Chromium; fails where there is none."""
    install(session, "-e", ".", groups=("test", "browser"))
    session.run("pytest", "tests/browser", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Take the pictures of the page that README shows; writes docs/page-*.png."""
    install(session, "-e", ".", "pillow", groups=("browser",))
    session.run("python", "-m", "browser.picture", env={"PYTHONPATH": "tests"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, types and the directions of imports."""
    install(session, "-e", ".[train]", groups=("lint",))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(default=False)
def perf(session: nox.Session) -> None:
    """Compare the benchmarks with their baseline; `nox -s perf -- --help` lists all it measures."""
    groups = ("test", "browser") if "--report" in session.posargs else ("test",)
    install(session, "-e", ".[train]", groups=groups)
    session.run("python", "tests/perf", *session.posargs)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Inject faults, count what is lost: nothing; `-- --short` in CI, `--output` for the page."""
    install(session, "-e", ".[train]", groups=("test", "faults"))
    session.run("pytest", "-n", "2", "-m", "faults")
    session.run("python", "tests/faults", *session.posargs)


@nox.session(default=False)
def trainings(session: nox.Session) -> None:
    """Pass the tests that train whole classes, challenges and examples; takes minutes."""
    install(session, "-e", ".[train]", groups=("test",))
    session.run("pytest", "-n", "2", "-m", "trainings", *session.posargs)


@nox.session(default=False)
def calibrate(session: nox.Session) -> None:
    """Measure the error rates of the verdict by simulation; writes docs/calibration.md."""
    install(session, "-e", ".")
    session.run("python", "-m", "bench.calibration", "--output", "docs/calibration.md")


@nox.session(default=False)
def equivalence(session: nox.Session) -> None:
    """Measure whether all engines train the same; writes docs/equivalence.md, in minutes."""
    install(session, "-e", ".[train]")
    command = ["python", "-m", "bench.equivalence", "--output", "docs/equivalence.md"]
    session.run(*command, *session.posargs)


@nox.session(default=False, python=["3.11"])
def minimums(session: nox.Session) -> None:
    """Pass the tests with the oldest versions that pyproject.toml allows."""
    floors = [
        requirement.replace(">=", "==")
        for requirement in PROJECT["project"]["dependencies"]
        + PROJECT["project"]["optional-dependencies"]["train"]
        + PROJECT["project"]["optional-dependencies"]["search"]
        + PROJECT["project"]["optional-dependencies"]["cluster"]
    ]
    session.install(
        "-e", ".[train,search,cluster]", *nox.project.dependency_groups(PROJECT, "test"), *floors
    )
    session.run("pytest", "-n", "2", *session.posargs)
