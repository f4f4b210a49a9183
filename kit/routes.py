"""Routes: which handler answers which URL and method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kit.patterns import Native
from kit.providers import place

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Route:
    """One declared route: pattern, methods, handler, name, and where it was written."""

    pattern: str | Native
    methods: tuple[str, ...]
    handler: Callable[..., Any]
    name: str
    where: str

    @property
    def text(self) -> str:
        """The pattern as it was written."""
        return self.pattern.text if isinstance(self.pattern, Native) else self.pattern


class Routes:
    """A group of routes, to be included in an application or in another group.

    `prefix` stands before every pattern, `name` and a dot before every route's name. A route is
    named like its handler unless it is given a name.
    """

    def __init__(self, prefix: str = "", name: str = "") -> None:
        self.prefix = prefix
        self.name = name
        self.routes: list[Route] = []

    def route(
        self, pattern: str | Native, methods: Iterable[str] = ("GET",), name: str = ""
    ) -> Callable[[F], F]:
        """Declare that the decorated handler answers `pattern` for `methods`.

        HEAD comes with GET, and OPTIONS is answered for every route.
        """
        if callable(pattern):
            raise TypeError('a route needs its pattern: write for example @app.get("/")')
        upper = (methods,) if isinstance(methods, str) else tuple(methods)
        made = tuple(dict.fromkeys(method.upper() for method in upper))

        def declare(handler: F) -> F:
            own = name or getattr(handler, "__name__", type(handler).__name__)
            self.routes.append(self._within(Route(pattern, made, handler, own, place(handler))))
            return handler

        return declare

    def _within(self, route: Route) -> Route:
        pattern = route.pattern
        if self.prefix:
            text = self.prefix + route.text
            pattern = Native(text) if isinstance(pattern, Native) else text
        return replace(
            route, pattern=pattern, name=f"{self.name}.{route.name}" if self.name else route.name
        )

    def get(self, pattern: str | Native, name: str = "") -> Callable[[F], F]:
        """Declare a handler for GET (and HEAD)."""
        return self.route(pattern, ("GET",), name)

    def post(self, pattern: str | Native, name: str = "") -> Callable[[F], F]:
        """Declare a handler for POST."""
        return self.route(pattern, ("POST",), name)

    def put(self, pattern: str | Native, name: str = "") -> Callable[[F], F]:
        """Declare a handler for PUT."""
        return self.route(pattern, ("PUT",), name)

    def patch(self, pattern: str | Native, name: str = "") -> Callable[[F], F]:
        """Declare a handler for PATCH."""
        return self.route(pattern, ("PATCH",), name)

    def delete(self, pattern: str | Native, name: str = "") -> Callable[[F], F]:
        """Declare a handler for DELETE."""
        return self.route(pattern, ("DELETE",), name)

    def include(self, other: Routes) -> None:
        """Take over the routes of another group, below this one's prefix and name."""
        self.routes.extend(self._within(route) for route in other.routes)
