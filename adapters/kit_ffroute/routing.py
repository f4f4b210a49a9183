"""Routing with `ffroute.Router`, a trie of path segments that finds a pattern among thousands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ffroute import Router  # type: ignore[import-untyped]  # the library has no type hints

from kit.patterns import Native, Parameter, Pattern
from kit.slots.routing import RoutingOptions


class FFRouter:
    """The trie names the candidates in the order of the patterns; their expressions decide."""

    lacks: ClassVar[dict[str, str]] = {
        "native": "ffroute has no syntax that the kit's own patterns do not cover"
    }

    def __init__(self, options: RoutingOptions) -> None:
        self._patterns: dict[Any, Pattern] = {}
        self._candidates: list[tuple[Any, Callable[[str], re.Match[str] | None], str]] = []
        self._texts: list[str] = []
        self._first: Callable[[str], int | None] = self._index
        self._all: Callable[[str], list[int]]

    def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
        """Keep the pattern for the index, which is made at the first match."""
        if isinstance(pattern, Native):
            raise ValueError("ffroute has no patterns of its own: write <name> and <int:name>")
        self._texts.append("".join(map(_translated, pattern.segments)))
        only = pattern.names[0] if len(pattern.names) == 1 else ""
        self._candidates.append((endpoint, re.compile(pattern.regex).fullmatch, only))
        self._patterns[endpoint] = pattern
        self._first = self._index

    def _index(self, path: str) -> int | None:
        trie = Router(self._texts)
        self._all = trie.match_all
        self._first = trie.match
        return self._first(path)

    def match(self, path: str) -> tuple[Any, Mapping[str, Any]] | None:
        """Let the expressions of the candidates decide, in order."""
        first = self._first(path)
        if first is None:
            return None
        endpoint, fullmatch, only = self._candidates[first]
        if found := fullmatch(path):
            return endpoint, {only: found[1]} if only else found.groupdict()
        for number in sorted(self._all(path)):
            endpoint, fullmatch, _ = self._candidates[number]
            if found := fullmatch(path):
                return endpoint, found.groupdict()
        return None

    def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
        """Build with the pattern: the library has no building of its own."""
        return self._patterns[endpoint].build(values)


def _translated(segment: tuple[str | Parameter, ...]) -> str:
    """Write a segment so that the trie lets through at least what the segment matches."""
    if any(isinstance(piece, Parameter) and piece.converter.slashes for piece in segment):
        return "/{rest:path}"
    text = "".join(piece for piece in segment if isinstance(piece, str))
    simple = all(isinstance(piece, str) for piece in segment) and not {"{", "}"} & set(text)
    return f"/{text}" if simple else "/{segment}"
