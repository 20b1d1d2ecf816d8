"""Links of README and docs, and the anchors that headings get on GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from documentation.blocks import parse

_ELSEWHERE = ("http://", "https://", "mailto:")


def find_broken_links(path: Path) -> Iterator[str]:
    """Yield the links of a document whose file or heading is not there."""
    for target in _list_targets(path):
        if target.startswith(_ELSEWHERE):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        if not file.exists():
            yield f"{path.name}: {target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in list_anchors(file):
            yield f"{path.name}: {target}: no such heading"


def _list_targets(path: Path) -> Iterator[str]:
    for token in parse(path):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)
        if token.type == "html_block":
            yield from re.findall(r'(?:src|srcset|href)="([^"]+)"', token.content)


def list_anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    anchors: set[str] = set()
    tokens = parse(path)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            number = 0
            while (anchor := f"{slug}-{number}" if number else slug) in anchors:
                number += 1
            anchors.add(anchor)
    return anchors
