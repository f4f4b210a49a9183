"""Routing with `werkzeug.routing.Map`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.routing.exceptions import BuildError

from kit.patterns import Native, Parameter, Pattern, expression
from kit.slots.routing import RoutingOptions

_EDGE = "/."
"""Stands before and behind every rule and path: the map is lenient about slashes at either end."""


class WerkzeugRouter:
    """A Werkzeug URL map; `kit.patterns.Native` hands it a rule in Werkzeug's own syntax.

    Native rules are in a map of their own, which is asked where no pattern matches.
    """

    def __init__(self, options: RoutingOptions) -> None:
        self._map = Map(merge_slashes=False, redirect_defaults=False)
        self._natives = Map(merge_slashes=False, redirect_defaults=False)
        self._maps = [self._map.bind("localhost")]
        self._patterns: dict[Any, Pattern] = {}
        self._split: dict[Any, Callable[[str], re.Match[str] | None]] = {}

    def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
        """Add a rule; each segment with parameters gets a converter with the kit's expression."""
        try:
            if isinstance(pattern, Native):
                self._natives.add(Rule(_EDGE + pattern.text + _EDGE, endpoint=endpoint))
                self._maps[1:] = [self._natives.bind("localhost")]
            else:
                self._map.add(Rule(self._translated(pattern), endpoint=endpoint))
                self._patterns[endpoint] = pattern
                if pattern.rank[-1][0] == pattern.PATH or max(map(len, pattern.segments)) > 1:
                    self._split[endpoint] = re.compile(pattern.regex).fullmatch
        except (LookupError, ValueError, TypeError) as error:
            raise ValueError(f"Werkzeug: {error}") from error

    def _translated(self, pattern: Pattern) -> str:
        text, end = _EDGE, _EDGE
        for number, segment in enumerate(pattern.segments):
            parameters = [piece for piece in segment if isinstance(piece, Parameter)]
            if not parameters:
                text += "/" + "".join(map(str, segment))
                continue
            converter = _converter(pattern, number)
            if not converter.part_isolating:
                end = ""
            kind = f"kit_{number}"
            self._map.converters[kind] = converter
            text += f"/<{kind}:{parameters[0].name if len(segment) == 1 else kind}>"
        return text + end

    def match(self, path: str) -> tuple[Any, Mapping[str, Any]] | None:
        """Ask the map, and take apart what it has matched as a whole."""
        inner = _EDGE + path + _EDGE
        for urls in self._maps:
            try:
                endpoint, values = urls.match(inner, "GET")
            except HTTPException:
                continue
            if split := self._split.get(endpoint):
                found = split(path)
                return found and (endpoint, found.groupdict())
            return endpoint, values
        return None

    def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
        """Build with the pattern; a native rule is built by its map."""
        if endpoint in self._patterns:
            return self._patterns[endpoint].build(values)
        try:
            path = self._maps[-1].build(endpoint, values, append_unknown=False)
        except BuildError as error:
            missing = error.suggested.arguments - values.keys() if error.suggested else ()
            if not missing:
                raise ValueError(str(error)) from error
            raise KeyError(", ".join(sorted(missing))) from error
        return path.removeprefix(_EDGE).removesuffix(_EDGE)


def _converter(pattern: Pattern, number: int) -> type[BaseConverter]:
    """Make the converter of one segment; one that takes slashes goes to the end of the path."""
    rank = pattern.rank[number]
    goes_on = rank[0] == Pattern.PATH

    class Segment(BaseConverter):
        regex = expression(pattern.segments[number]) + (re.escape(_EDGE) if goes_on else "")
        part_isolating = not goes_on
        weight = rank  # type: ignore[assignment]  # the map only compares it

    return Segment
