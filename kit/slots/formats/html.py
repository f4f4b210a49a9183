"""The format ``html``: a template of the application, filled with what a handler returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from kit.slots.formats.negotiation import Data
from kit.slots.formats.plain import Unsupported
from kit.slots.templating import Templating


class HtmlFormat:
    """Shows an answer as the page that its handler names.

    The template sees the members of the data by their names if it is a dict, else the data as
    ``data``, and what the handler gave the page beside, which wins.
    """

    media_types = ("text/html; charset=utf-8",)
    suffix = "html"
    loads = False
    pages = True

    def __init__(self, templating: Templating) -> None:
        self._render = templating.render

    def dump(self, data: object) -> bytes:
        """Return the page of an answer; raise `Unsupported` for anything but `Data`."""
        if not isinstance(data, Data) or not data.template:
            raise Unsupported("a page needs a template")
        value = data.value
        if not (isinstance(value, Mapping) and all(isinstance(name, str) for name in value)):
            value = {"data": value}
        return self._render(data.template, {**value, **data.page}).encode()

    def stream(self, items: Iterator[object]) -> NoReturn:
        """Raise `Unsupported`: a template is filled whole."""
        raise Unsupported("a page is not made of rows")

    def load(self, body: bytes) -> NoReturn:
        """Raise ValueError: pages are not read."""
        raise ValueError("HTML is not read")
