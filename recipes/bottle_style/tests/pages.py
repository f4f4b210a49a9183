"""What a test wants to know of a page, read with the standard library."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"input", "link", "meta"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tree = TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attributes})
        self.open.append(tag)
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.tree.data(data)


class Page:
    """A page as a tree; every element is closed where it should be."""

    def __init__(self, response) -> None:
        reader = _Reader()
        reader.feed(response.text)
        self.root = reader.tree.close()

    def all(self, path: str) -> list[Element]:
        """Return the elements at a path of ElementTree, anywhere in the page."""
        return self.root.findall(f".//{path}")

    def one(self, path: str) -> Element:
        """Return the only element at a path."""
        (element,) = self.all(path)
        return element

    @property
    def text(self) -> str:
        return text(self.one("main"))

    @property
    def title(self) -> str:
        return text(self.one("title"))

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each task."""
        return [[text(cell) for cell in row] for row in self.all("tbody/tr")]

    @property
    def links(self) -> dict[str, str]:
        """Where the links of the page lead, by their text."""
        return {text(link): link.get("href", "") for link in self.one("main").iter("a")}


def text(element: Element) -> str:
    """Return the text of an element with its white space collapsed."""
    return " ".join("".join(element.itertext()).split())
