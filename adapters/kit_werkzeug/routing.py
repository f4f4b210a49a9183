"""Routing with `werkzeug.routing.Map`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.routing.exceptions import BuildError

from kit.patterns import Converter, Native, Pattern
from kit.slots.routing import RoutingOptions


class WerkzeugRouter:
    """A Werkzeug URL map; `kit.patterns.Native` hands it a rule in Werkzeug's own syntax."""

    def __init__(self, options: RoutingOptions) -> None:
        self._map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)
        self._urls = self._map.bind("localhost")

    def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
        """Add a rule; each parameter gets a converter class with the kit's own expression."""
        text = pattern.text if isinstance(pattern, Native) else self._translated(pattern)
        try:
            self._map.add(Rule(text, endpoint=endpoint))
        except (LookupError, ValueError) as error:
            raise ValueError(f"Werkzeug: {error}") from error

    def _translated(self, pattern: Pattern) -> str:
        for parameter in pattern.parameters:
            self._map.converters[f"kit_{parameter.kind}"] = _converter(parameter.converter)
        return "".join(
            piece if isinstance(piece, str) else f"<kit_{piece.kind}:{piece.name}>"
            for piece in pattern.pieces
        )

    def match(self, path: str) -> tuple[Any, Mapping[str, Any]] | None:
        """Ask the map; its redirects (a missing slash) count as no match."""
        if path.startswith("//"):
            return None  # the map would take it for one slash
        try:
            return self._urls.match(path, "GET")
        except HTTPException:
            return None

    def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
        """Build with the map, which quotes what a path segment must not hold."""
        try:
            return self._urls.build(endpoint, values, append_unknown=False)
        except BuildError as error:
            missing = error.suggested.arguments - values.keys() if error.suggested else ()
            raise KeyError(", ".join(sorted(missing)) or str(error)) from error


def _converter(converter: Converter) -> type[BaseConverter]:
    class Translated(BaseConverter):
        regex = converter.regex
        part_isolating = not converter.slashes
        weight = 200 if converter.slashes else 50 if converter.parse else 100

        def to_url(self, value: Any) -> str:
            return super().to_url(converter.write(value))

    return Translated
