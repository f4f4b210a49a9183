"""The neutral grammar of URL patterns: ``/contacts/<int:id>``.

A pattern is text with parameters ``<name>`` or ``<converter:name>``. A parsed `Pattern` gives a
router's adapter what it needs: the pieces to translate, or a regular expression; and it builds
URLs for libraries that cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote
from uuid import UUID

from kit.errors import listing, nearest

_PARAMETER = re.compile(r"<(?:(?P<converter>[^<>:]*):)?(?P<name>[^<>:]*)>")
_INTEGER = "(?:[0-8][0-9]{18}|[0-9]{1,18})"  # all of it fits in 64 bits
_PLAIN, _MIXED, _TYPED, _ANY, _PATH = range(5)


@dataclass(frozen=True)
class Converter:
    """How one kind of parameter is matched, read and written.

    `regex` matches the whole text (no groups); `parse` makes the value and may raise ValueError,
    which is a 404. `slashes` says that it may match more than one segment.
    """

    regex: str
    parse: Callable[[str], Any] | None = None
    format: Callable[[Any], str] = str
    slashes: bool = False

    def write(self, value: object) -> str:
        """Return the text of `value` in a path, unquoted; raise ValueError if it does not fit."""
        text = self.format(value)
        if not re.fullmatch(self.regex, text) or {".", ".."} & set(text.split("/")):
            raise ValueError(f"{value!r} does not fit a URL here: it must match {self.regex}")
        return text


CONVERTERS: Mapping[str, Converter] = {
    "str": Converter("[^/]+"),
    "int": Converter(_INTEGER, int),
    "float": Converter(r"[0-9]{1,18}\.[0-9]{1,18}", float),
    "uuid": Converter("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID),
    "path": Converter("[^/](?:.*[^/])?", slashes=True),
}


@dataclass(frozen=True)
class Native:
    """A pattern in the router library's own syntax, handed through as it is.

    It ties the application to that router, and the router may refuse it at start.
    """

    text: str


@dataclass(frozen=True)
class Parameter:
    """A part of a path that varies: its name and its converter (with the converter's name)."""

    name: str
    kind: str
    converter: Converter


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: `pieces` are literal texts and parameters in turn."""

    text: str
    pieces: tuple[str | Parameter, ...]

    @classmethod
    def parse(cls, text: str, converters: Mapping[str, Converter] = CONVERTERS) -> Pattern:
        """Read a pattern; raise ValueError that says what is wrong with it and what is allowed."""
        if not text.startswith("/") or text.startswith("//"):
            raise ValueError("a pattern starts with one '/'")
        pieces: list[str | Parameter] = []
        end = 0
        for found in _PARAMETER.finditer(text):
            if found.start() > end:
                pieces.append(_literal(text[end : found.start()]))
            elif pieces and isinstance(pieces[-1], Parameter):
                raise ValueError("two parameters need something between them")
            pieces.append(_parameter(found["name"], found["converter"] or "str", converters))
            end = found.end()
        if end < len(text):
            pieces.append(_literal(text[end:]))
        pattern = cls(text, tuple(pieces))
        if len(set(pattern.names)) < len(pattern.names):
            raise ValueError("two parameters have the same name")
        return pattern

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters from left to right."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Parameter))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters from left to right."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def regex(self) -> str:
        """A regular expression with a named group for each parameter, for ``re.fullmatch``."""
        return "".join(
            re.escape(piece)
            if isinstance(piece, str)
            else f"(?P<{piece.name}>{piece.converter.regex})"
            for piece in self.pieces
        )

    @cached_property
    def shape(self) -> str:
        """The pattern without the names of its parameters: equal shapes match equal paths."""
        return "".join(p if isinstance(p, str) else f"<{p.kind}>" for p in self.pieces)

    @cached_property
    def rank(self) -> tuple[tuple[int, int, str], ...]:
        """A key that sorts patterns so that the first to match is the most specific one.

        Segment by segment: plain text, text with parameters, numbers and UUIDs, any text, paths.
        """
        ranks: list[tuple[int, int, str]] = [(_PLAIN, 0, "")]
        for piece in self.pieces:
            if isinstance(piece, Parameter):
                ranks[-1] = _with(ranks[-1], piece)
                continue
            *whole, last = piece.split("/")
            for text in whole:
                ranks[-1] = _with_text(ranks[-1], text)
                ranks.append((_PLAIN, 0, ""))
            ranks[-1] = _with_text(ranks[-1], last)
        return tuple(ranks)

    def build(self, values: Mapping[str, object]) -> str:
        """Return the path for `values`, quoted (RFC 3986).

        Raises KeyError for a missing value and ValueError for one that does not fit.
        """
        return "".join(
            quote(piece) if isinstance(piece, str) else _written(piece, values[piece.name])
            for piece in self.pieces
        )


def _literal(text: str) -> str:
    if "<" in text or ">" in text:
        raise ValueError("'<' and '>' must enclose a parameter such as <int:id>")
    if "//" in text or "/./" in f"{text}/" or "/../" in f"{text}/":
        raise ValueError("empty and dot segments never match a path")
    return text


def _parameter(name: str, kind: str, converters: Mapping[str, Converter]) -> Parameter:
    if kind not in converters:
        raise ValueError(
            f"no converter {kind!r}.{nearest(kind, converters)} Converters are: {listing(converters)}"
        )
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name for a parameter: write for example <int:id>")
    return Parameter(name, kind, converters[kind])


def _with_text(rank: tuple[int, int, str], text: str) -> tuple[int, int, str]:
    kind, length, before = rank
    return (_MIXED if text and kind in (_TYPED, _ANY) else kind, length - len(text), before + text)


def _with(rank: tuple[int, int, str], parameter: Parameter) -> tuple[int, int, str]:
    kind, length, before = rank
    if parameter.converter.slashes:
        return (_PATH, length, before)
    if length:
        return (max(kind, _MIXED), length, before)
    return (max(kind, _TYPED if parameter.converter.parse else _ANY), length, before)


def _written(parameter: Parameter, value: object) -> str:
    return quote(parameter.converter.write(value), safe="/" if parameter.converter.slashes else "")
