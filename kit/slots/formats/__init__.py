"""Formats: how data goes out, and comes in. Many components fill this slot at once.

What a handler returns as data, or as `Data`, is shown by the format that the client asks for;
which one that is, is decided in `kit.slots.formats.negotiation`, alike for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from kit.components import Component, Slot
from kit.plugins import hookimpl
from kit.providers import provider
from kit.slots.formats.negotiation import Data, Negotiator
from kit.slots.formats.plain import CHUNK, Unsupported, chunked, plain, rows

__all__ = [
    "CHUNK",
    "Data",
    "Format",
    "FormatsOptions",
    "Negotiator",
    "Unsupported",
    "chunked",
    "plain",
    "rows",
]


@dataclass(frozen=True, kw_only=True)
class FormatsOptions:
    """Options that mean the same for all formats.

    With `suffix` a URL may end in the suffix of a format (``/contacts.json``), as long as no
    route has that path itself. `parameter` is a name for the query (``?format=csv``; empty: none).
    Both name the format, whatever the header Accept says. With `etag` answers with data carry an
    ETag, and a client that has the same already gets 304.
    """

    suffix: bool = False
    parameter: str = ""
    etag: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]*", self.parameter):
            raise ValueError(f"parameter = {self.parameter!r}: use letters, digits, '_' and '-'")


class Format(Protocol):
    """A way to write data, and to read it. Threads share one.

    `media_types` are ``type/subtype``, with ``; charset=utf-8`` where that is text. The first one
    is the format's own, and labels its answers unless a client asks for another one by name. All
    of them are read. `suffix` is the end of a file's name, without its dot.

    A component may have these class attributes too. ``loads = False`` says that it cannot read.
    ``as_text = True`` says that values come back as text (as they do from a form), so that
    validation has to make numbers and dates of them. ``rows = True`` says that what it reads is
    always a list. ``pages = True`` says that it shows the page of an answer: it is offered only
    where that has a template, and `dump` is given the whole `Data`. ``lacks`` says which
    capabilities of the slot's contract it cannot have, and why.

    `kit.slots.formats.plain` and `rows` turn any data into dicts, lists, text, numbers, booleans
    and None, as all formats show it; `chunked` joins small pieces of a body.
    """

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types, its own first."""
        ...

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        ...

    def dump(self, data: object) -> bytes:
        """Return `data` in this format; raise `Unsupported` for data that has no form in it."""
        ...

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return the body for rows as they come: chunks of some 16 KiB, in constant memory.

        It is what `dump` makes of a list of them, though perhaps laid out in another way.
        """
        ...

    def load(self, body: bytes) -> object:
        """Return the data in a body: plain, no deeper than 64 levels, and nothing said twice.

        Raises ValueError, which says what is wrong, for whatever it cannot read, and nothing
        else. What a body holds never makes it do anything: fetch, execute, or take memory beyond
        a small multiple of its length.
        """
        ...


@provider(scope="app")
def negotiator(formats: Mapping[str, Format], formats_options: FormatsOptions) -> Negotiator:
    """What picks the format of an answer, and reads a body by its Content-Type."""
    return Negotiator(formats, formats_options)


slot = Slot(
    name="formats",
    protocol=Format,
    options=FormatsOptions,
    providers=(negotiator,),
    default=("json",),
    many=True,
    contract="kit.contracts.formats:FormatsContract",
)


kit_after = ("kit.slots.templating",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``formats``."""
    return [slot]


@hookimpl
def kit_components() -> list[Component]:
    """Declare the format ``html``, which is the kernel's own: a template makes its pages."""
    return [Component(slot="formats", name="html", factory="kit.slots.formats.html:HtmlFormat")]
