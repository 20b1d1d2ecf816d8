"""A reader of the page: what a browser would see of its structure, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Element:
    """One element with its attributes, its children in order, and its text."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        """The text inside, with white space run together and non-breaking space as space."""
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return " ".join(" ".join(parts).split())

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
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {n: v or "" for n, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def _read(html: str) -> Element:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader._open == [reader.root], "an element is never closed"
    return reader.root


@pytest.fixture
def read() -> Callable[[str], Element]:
    """Parse a page, failing when its elements are not nested properly."""
    return _read
