"""Links from docs to files of the repository: checked, and served as text beside the pages.

A page may link to `../action.yml`, as readers on GitHub want it. MkDocs knows only what is in
docs/, so each such file is copied to `repository/` of the site, and the link led there. A file that
is not there is a link that is not found: the build fails.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LOG = logging.getLogger("mkdocs.hooks.repository")
_FOREIGN = re.compile(
    r"<(?:script|link|img|iframe|source)[^>]+(?:src|srcset|href)=\"?(?:https?:)?//[^>]+"
)
_LINK = re.compile(r"(\]\()\.\./([\w./-]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to outside of docs/."""
    for page in list(files.documentation_pages()):
        for _, name in _LINK.findall(Path(page.abs_src_path or "").read_text(encoding="utf-8")):
            place = _place(name)
            if (ROOT / name).is_file() and place not in files.src_uris:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links out of docs/ to the copies."""
    return _LINK.sub(lambda link: f"{link[1]}{_place(link[2])}", markdown)


def _place(name: str) -> str:
    """Return where a file of the repository lies in the site, as text that a browser shows."""
    return f"repository/{name.removeprefix('.')}.txt"


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warn, and so fail, when a page would load something from another host."""
    for tag in _FOREIGN.findall(output):
        LOG.warning("%s loads from another host: %s", page.file.src_uri, tag)
    return output
