"""From verdicts to `reports/index.html`: one file, the same bytes for the same evidence."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.errors import BenchError
from bench.files import write_whole
from bench.iterations import Iteration
from bench.pictures import Pictures
from bench.records import Challenge
from bench.report.scripts import allow_scripts, read_licences, read_scripts
from bench.report.view import compose_page
from bench.verdict import Verdict

TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    verdicts: Sequence[Verdict],
    iterations: Sequence[Iteration],
    challenge: Challenge,
    pictures: Mapping[str, Pictures] | None = None,
) -> str:
    """Return the page on the given verdicts, in their order, as self-contained HTML.

    Each verdict's iteration must be among `iterations`; an iteration without a verdict is not
    shown. `pictures` are the validation images at hand, by digest of their dataset.
    """
    page = compose_page(verdicts, iterations, challenge, pictures or {})
    scripts = read_scripts()
    template = _make_environment().get_template("page.html.j2")
    return template.render(
        page=page, scripts=scripts, allowed=allow_scripts(scripts), licences=read_licences()
    )


def write_page(path: Path, html: str) -> None:
    """Write the page whole or not at all: beside its place first, then moved there.

    Raises:
        BenchError: the folder or the file cannot be written.
    """
    try:
        write_whole(path, html.encode("utf-8", "replace"))  # names of files may be no UTF-8
    except OSError as error:
        raise _unwritable(path, error) from error


def check_page_writable(path: Path) -> None:
    """Find out before hours of training whether the page can be written.

    Raises:
        BenchError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BenchError:
    return BenchError(
        f"{path}: the page cannot be written ({error.strerror}); "
        "name a file in a folder that you may write to"
    )


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code_spans"] = mark_code_spans
    return environment


def mark_code_spans(text: str) -> Markup:
    """Return text in which what stands between backticks is code, and all else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner is a backtick
        return Markup("{}").format(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )
