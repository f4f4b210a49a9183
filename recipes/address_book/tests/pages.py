"""What a test wants to know of a page, read with the standard library."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"img", "input", "link", "meta"}
PASSWORD = "a quiet harbour at dusk"


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
        return text(self.root)

    @property
    def title(self) -> str:
        return text(self.one("title")).removesuffix(" · Address book")

    @property
    def heading(self) -> str:
        return text(self.one("h1"))

    @property
    def names(self) -> list[str]:
        """The names in a list of contacts."""
        return [text(item) for item in self.all("p[@class='who']/a")]

    @property
    def links(self) -> dict[str, str]:
        """Where links lead, by their text."""
        return {text(item): item.get("href", "") for item in self.all("a")}

    @property
    def facts(self) -> dict[str, str]:
        """What the page of a contact tells."""
        names = [text(item) for item in self.all("dt")]
        return dict(zip(names, map(text, self.all("dd")), strict=True))

    @property
    def values(self) -> dict[str, str]:
        """The values in the form of the page, as a browser would send them."""
        found = {}
        for item in self.all("main//*[@name]"):
            kind, name = item.get("type", ""), item.get("name", "")
            if item.tag == "textarea":
                found[name] = (item.text or "").removeprefix("\n")
            elif item.tag == "select":
                chosen = [one for one in item if "selected" in one.attrib]
                found[name] = (chosen or list(item))[0].get("value", "")
            elif kind not in ("checkbox", "file") or "checked" in item.attrib:
                found[name] = item.get("value", "")
        return found

    @property
    def errors(self) -> dict[str, str]:
        """The messages beside the fields of the form, by field."""
        found = {}
        for item in self.all("*[@aria-invalid='true']"):
            last = item.get("aria-describedby", "").split()[-1]
            found[item.get("name", "")] = text(self.one(f"ul[@id='{last}']"))
        return found

    @property
    def summary(self) -> str:
        """What stands above a form that could not be used."""
        return " ".join(text(item) for item in self.all("*[@role='alert']"))

    @property
    def messages(self) -> list[str]:
        return [text(item) for item in self.all("*[@role='status']")]


def multipart(name: str, content: bytes, **values: str) -> dict[str, str | bytes]:
    """Return what a browser sends for a form with a file: what `client.post` takes.

    Werkzeug's client would do that, but leaves the temporary files of large bodies open.
    """
    parts = [f'name="{one}"\r\n\r\n{value}'.encode() for one, value in values.items()]
    parts.append(f'name="{name}"; filename="../../me.dat"\r\n\r\n'.encode() + content)
    body = b"".join(b"--edge\r\nContent-Disposition: form-data; %b\r\n" % part for part in parts)
    return {"data": body + b"--edge--\r\n", "content_type": "multipart/form-data; boundary=edge"}


def text(element: Element) -> str:
    """Return the text of an element with its white space collapsed."""
    return " ".join("".join(element.itertext()).split())
