"""A reader of the page: what a browser would see of its structure, without a browser."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any, NoReturn

VOID = {"meta", "link", "br", "hr", "img", "input"}
UNSEEN = {"script", "style"}
"""Elements whose content is no text of the page."""


class Element:
    """One element with its attributes, its children in order, and its text."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        """The text inside, with white space run together and non-breaking space as space."""
        parts = [
            c if isinstance(c, str) else c.text
            for c in self.children
            if isinstance(c, str) or c.tag not in UNSEEN
        ]
        return " ".join(" ".join(parts).split())

    @property
    def body(self) -> str:
        """The text just inside, to the letter, as a script or a style has it."""
        return "".join(child for child in self.children if isinstance(child, str))

    def has_class(self, name: str) -> bool:
        return name in self.attributes.get("class", "").split()

    def find_all(self, tag: str | None = None, style: str | None = None) -> list[Element]:
        """Return all descendants of a tag and a class, in document order."""
        found: list[Element] = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in (None, child.tag) and (style is None or child.has_class(style)):
                    found.append(child)
                found += child.find_all(tag, style)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {n: v or "" for n, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(html: str) -> Element:
    """Parse a page, failing when its elements are not nested properly."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], "an element is never closed"
    return reader.root


def find_charts(document: Element, kind: str | None = None) -> list[Element]:
    """Return the figures that the page's script draws into, of one kind or of all."""
    figures = [f for f in document.find_all("figure") if "data-chart" in f.attributes]
    return [f for f in figures if kind in (None, f.attributes["data-chart"])]


def read_data(html: str) -> dict[str, Any]:
    """Return the page's JSON document, failing on NaN and infinities, which JSON has not."""
    scripts = read_page(html).find_all("script")
    (data,) = [s for s in scripts if s.attributes.get("id") == "data"]
    return json.loads(data.body, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")
