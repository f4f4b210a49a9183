"""The neutral grammar of URL patterns: ``/contacts/<int:id>``.

A pattern is text with parameters ``<name>`` or ``<converter:name>``. A parsed `Pattern` gives a
router's adapter what it needs: the pieces to translate, or a regular expression; and it builds
URLs for libraries that cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import UUID

from kit.errors import listing, nearest

_PARAMETER = re.compile(r"<(?:(?P<converter>[^<>:]*):)?(?P<name>[^<>:]*)>")
_INTEGER = "(?:[0-8][0-9]{18}|[0-9]{1,18})"  # all of it fits in 64 bits
_TEXT = "[^/]+"
_PLAIN, _MIXED, _TYPED, _ANY, _PATH = range(5)


@dataclass(frozen=True)
class Converter:
    """How one kind of parameter is matched, read and written.

    `regex` matches the whole text; it has no capturing groups, does not match the empty text, and
    sets no flags for the whole, or ValueError is raised. `parse` makes the value and may raise
    ValueError, which is a 404. `slashes` says that it may match more than one segment.
    """

    regex: str
    parse: Callable[[str], Any] | None = None
    format: Callable[[Any], str] = str
    slashes: bool = False

    def __post_init__(self) -> None:
        try:
            groups = re.compile(f"({self.regex})").groups - 1
        except re.error as error:
            raise ValueError(f"the regular expression {self.regex!r} is wrong: {error}") from error
        if groups:
            raise ValueError(f"write '(?:' for the groups of {self.regex!r}")
        if re.fullmatch(self.regex, ""):
            raise ValueError(f"{self.regex!r} matches the empty text, which is no parameter")

    def write(self, value: object) -> str:
        """Return the text of `value` in a path, unquoted; raise ValueError if it does not fit."""
        text = self.format(value)
        if not re.fullmatch(self.regex, text) or {".", ".."} & set(text.split("/")):
            raise ValueError(f"{value!r} does not fit a URL here: it must match {self.regex}")
        return text


CONVERTERS: Mapping[str, Converter] = {
    "str": Converter(_TEXT),
    "int": Converter(_INTEGER, int),
    "float": Converter(r"[0-9]{1,18}\.[0-9]{1,18}", float),
    "uuid": Converter("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID),
    "path": Converter(r"[^/](?:[\s\S]*[^/])?", slashes=True),
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


Pieces = tuple[str | Parameter, ...]
Rank = tuple[int, int, tuple[int, ...], str]


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: `pieces` are literal texts and parameters in turn.

    The first item of a segment's rank is `PATH` where the segment goes to the end of the path.
    """

    PATH: ClassVar[int] = _PATH

    text: str
    pieces: Pieces

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
        return expression(self.pieces)

    @cached_property
    def segments(self) -> tuple[Pieces, ...]:
        """The pieces of each segment; one with a parameter that takes slashes goes to the end."""
        segments: list[list[str | Parameter]] = []
        for piece in self.pieces:
            if isinstance(piece, Parameter) or _takes_slashes(segments[-1:]):
                segments[-1].append(piece)
                continue
            first, *others = piece.split("/")
            if first:
                segments[-1].append(first)
            segments.extend([text] if text else [] for text in others)
        return tuple(tuple(segment) for segment in segments)

    @cached_property
    def shape(self) -> str:
        """The pattern without the names of its parameters: equal shapes match equal paths."""
        return "".join(p if isinstance(p, str) else f"<{p.kind}>" for p in self.pieces)

    @cached_property
    def rank(self) -> tuple[Rank, ...]:
        """A key that sorts patterns so that the first to match is the most specific one.

        Segment by segment: plain text, text with parameters (the longest text first), parameters
        of a narrow kind, any text, and paths. Segments of one rank have the same expression.
        """
        return tuple(_rank(segment) for segment in self.segments)

    def build(self, values: Mapping[str, object]) -> str:
        """Return the path for `values`, quoted (RFC 3986).

        Raises KeyError for a missing value and ValueError for one that does not fit.
        """
        return "".join(
            quote(piece) if isinstance(piece, str) else _written(piece, values[piece.name])
            for piece in self.pieces
        )


def _literal(text: str) -> str:
    if "?" in text or "#" in text:
        raise ValueError("a pattern is of the path alone: take '?' or '#' away")
    if "<" in text or ">" in text:
        raise ValueError("'<' and '>' must enclose a parameter such as <int:id>")
    if "//" in text or "/./" in f"{text}/" or "/../" in f"{text}/":
        raise ValueError("empty and dot segments never match a path")
    return text


def _parameter(name: str, kind: str, converters: Mapping[str, Converter]) -> Parameter:
    if kind not in converters:
        raise ValueError(
            f"no converter {kind!r}.{nearest(kind, converters)}"
            f" Converters are: {listing(converters)}"
        )
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"{name!r} is no name for a parameter: write for example <int:id>")
    return Parameter(name, kind, converters[kind])


def expression(pieces: Pieces) -> str:
    """Return the regular expression of some pieces, with a named group for each parameter."""
    return "".join(
        re.escape(piece) if isinstance(piece, str) else f"(?P<{piece.name}>{piece.converter.regex})"
        for piece in pieces
    )


def _takes_slashes(segments: Iterable[Iterable[str | Parameter]]) -> bool:
    return any(
        isinstance(piece, Parameter) and piece.converter.slashes
        for segment in segments
        for piece in segment
    )


def _rank(segment: Pieces) -> Rank:
    text = "".join(piece for piece in segment if isinstance(piece, str))
    kinds = [_kind(piece.converter) for piece in segment if isinstance(piece, Parameter)]
    kind = max(kinds, default=_PLAIN)
    if text and kind in (_TYPED, _ANY):
        kind = _MIXED
    regex = "".join(re.escape(p) if isinstance(p, str) else p.converter.regex for p in segment)
    return kind, -len(text), tuple(kinds), regex


def _kind(converter: Converter) -> int:
    if converter.slashes:
        return _PATH
    return _ANY if converter.regex == _TEXT else _TYPED


def _written(parameter: Parameter, value: object) -> str:
    return quote(parameter.converter.write(value), safe="/" if parameter.converter.slashes else "")
