"""A visitor with a browser, and what a test wants to know of a page."""

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

    @property
    def heading(self) -> str:
        """The title of the page, which is its heading too."""
        [title], [heading] = self.all("title"), self.all("h1")
        assert text(title) == f"{text(heading)} - Flaskr"
        return text(heading)

    @property
    def nav(self) -> list[tuple[str, str | None]]:
        """The texts of the navigation, and where those lead that are links."""
        shown = [*self.all("nav//a"), *self.all("nav//span")]
        return [(text(one), one.get("href")) for one in shown]

    @property
    def links(self) -> list[tuple[str, str | None]]:
        """The links in the page itself."""
        return [(text(one), one.get("href")) for one in self.all("main//a")]

    @property
    def messages(self) -> list[str]:
        return [text(one) for one in self.all("*[@role='alert']")]

    @property
    def articles(self) -> list[str]:
        return [text(one) for one in self.all("article")]

    def fields(self, action: str | None = None) -> dict[str, str]:
        """The values of the form with this action, as a browser sends them."""
        [form] = [one for one in self.all("form") if one.get("action") == action]
        assert form.get("method") == "post"
        values = {one.get("name"): one.get("value", "") for one in form.findall(".//input")}
        for one in form.findall(".//textarea"):
            values[one.get("name")] = (one.text or "").removeprefix("\n")
        return values


class Visitor:
    """A browser, and what its user does with the pages."""

    def __init__(self, client) -> None:
        self.client = client

    def __getattr__(self, name: str):
        return getattr(self.client, name)

    def page(self, path: str = "/") -> Page:
        return Page(self.get(path))

    def submit(self, path: str, action: str | None = None, **values: str):
        """Fill in the form of a page and send it, with its token."""
        fields = self.page(path).fields(action) | values
        return self.post(action or path, data=fields)

    def log_in(self, name: str):
        return self.submit("/auth/login", username=name, password=f"{name}'s password")

    def write(self, title: str, body: str = "") -> None:
        assert self.submit("/create", title=title, body=body).headers["Location"] == "/"

    @property
    def token(self) -> str:
        """A token that is good for every form of the session."""
        return self.page("/auth/login").fields()["csrf_token"]


def text(element: Element) -> str:
    """Return the text of an element with its white space collapsed."""
    return " ".join("".join(element.itertext()).split())
