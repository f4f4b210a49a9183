"""Routes: which handler answers which URL and method."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, TypeVar, Unpack

from werkzeug.wrappers import Request, Response

from kit.errors import ConfigError, Problem, listing, nearest
from kit.files import HASHED, static
from kit.patterns import Converter, Native, Pattern
from kit.providers import place

F = TypeVar("F", bound=Callable[..., Any])


Guard = Callable[..., Any]

SOCKET = "(WEBSOCKET)"
"""The method, in routes and environs, of a WebSocket: none that a request can have."""


@dataclass(frozen=True)
class Route:
    """One declared route: pattern, methods, handler, name, and where it was written.

    `guards` are called before the handler. With `csrf` unsafe methods are checked for forgery.
    `limits` stand over those of the configuration. `again` is the handler that shows the page anew
    for input that is not valid. An `inline` handler is cheap, and may run on an event loop.
    """

    pattern: str | Native
    methods: tuple[str, ...]
    handler: Callable[..., Any]
    name: str
    where: str
    guards: tuple[Guard, ...] = ()
    csrf: bool = True
    limits: Mapping[str, int | str] | None = None
    again: Callable[..., Any] | None = None
    inline: bool = False

    @property
    def text(self) -> str:
        """The pattern as it was written."""
        return self.pattern.text if isinstance(self.pattern, Native) else self.pattern


class RouteOptions(TypedDict, total=False):
    """What a route may be given besides its pattern.

    `name` is for `url_for`. `requires` is a guard or several: functions that name providers and
    path values like a handler, are called before it, and raise to refuse. With ``csrf=False`` the
    route takes unsafe requests from other sites too. `limits` are those of ``[limits]`` for this
    route alone: ``{"body": "10 MiB"}``. `again` is the handler that answers, with the same
    ``form`` and 422, where this one found its form invalid. A plain function that is `inline`
    waits for nothing, and is called on the event loop where there is one, not in a worker thread.
    """

    name: str
    requires: Guard | Iterable[Guard]
    csrf: bool
    limits: Mapping[str, int | str]
    again: Callable[..., Any]
    inline: bool


class Routes:
    """A group of routes, to be included in an application or in another group.

    `prefix` stands before every pattern, `name` and a dot before every route's name. A route is
    named like its handler unless it is given a name. `requires` are guards of all routes, before
    their own.
    """

    def __init__(
        self, prefix: str = "", name: str = "", requires: Guard | Iterable[Guard] = ()
    ) -> None:
        self.prefix = prefix
        self.name = name
        self.guards = _guards(requires)
        self.routes: list[Route] = []

    def route(
        self,
        pattern: str | Native,
        methods: Iterable[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> Callable[[F], F]:
        """Declare that the decorated handler answers `pattern` for `methods`.

        HEAD comes with GET, and OPTIONS is answered for every route.
        """
        if callable(pattern):
            raise TypeError('a route needs its pattern: write for example @app.get("/")')
        upper = (methods,) if isinstance(methods, str) else tuple(methods)
        made = tuple(dict.fromkeys(method.upper() for method in upper))
        guards = _guards(options.get("requires", ()))

        def declare(handler: F) -> F:
            _check_options(options, place(handler))
            own = options.get("name") or str(getattr(handler, "__name__", type(handler).__name__))
            route = Route(
                pattern,
                made,
                handler,
                own,
                place(handler),
                guards,
                options.get("csrf", True),
                options.get("limits"),
                options.get("again"),
                options.get("inline", False),
            )
            self.routes.append(self._within(route))
            return handler

        return declare

    def _within(self, route: Route) -> Route:
        pattern = route.pattern
        if self.prefix:
            text = self.prefix + route.text
            pattern = Native(text) if isinstance(pattern, Native) else text
        name = f"{self.name}.{route.name}" if self.name else route.name
        return replace(route, pattern=pattern, name=name, guards=(*self.guards, *route.guards))

    def get(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a handler for GET (and HEAD)."""
        return self.route(pattern, ("GET",), **options)

    def post(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a handler for POST."""
        return self.route(pattern, ("POST",), **options)

    def put(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a handler for PUT."""
        return self.route(pattern, ("PUT",), **options)

    def patch(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a handler for PATCH."""
        return self.route(pattern, ("PATCH",), **options)

    def delete(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a handler for DELETE."""
        return self.route(pattern, ("DELETE",), **options)

    def websocket(self, pattern: str | Native, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Declare a coroutine function that talks over a WebSocket; it names ``socket``.

        See `kit.Socket`. Only pages of this site, and trusted ones, may open it, unless
        ``csrf=False``.
        """
        return self.route(pattern, (SOCKET,), **options)

    def static(
        self,
        prefix: str,
        folder: str | os.PathLike[str],
        *,
        types: Mapping[str, str] | None = None,
        immutable: str = HASHED,
        fallback: str = "",
        **options: Unpack[RouteOptions],
    ) -> None:
        """Serve the files of a folder below `prefix`, as `kit.files.static` does.

        The file `fallback` answers for all URLs there that name no file, and have no other route.
        The route is called ``static`` unless it is given a name:
        ``url_for("static", path="style.css")``. Raises ValueError where there is no such folder,
        or no such file to fall back on.
        """
        options.setdefault("name", "static")
        guarded = bool(self.guards or _guards(options.get("requires", ())))
        handler = static(
            folder, types=types, immutable=immutable, private=guarded, fallback=fallback
        )
        files = Routes()  # a framework's own `route` may give handlers something else
        caller = sys._getframe(1)  # nothing else tells where this route was written
        where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        handler.__kit_place__ = where  # type: ignore[attr-defined]  # a mark
        if fallback:

            def front(request: Request) -> Response:
                return handler(request, "")

            front.__kit_place__ = where  # type: ignore[attr-defined]  # a mark
            front.__kit_yields__ = True  # type: ignore[attr-defined]  # a mark
            named: RouteOptions = {**options, "name": f"{options['name']}, fallback"}
            files.get(f"{prefix}/", **named)(front)
        files.get(f"{prefix}/<path:path>", **options)(handler)
        files.get(f"{prefix}/<path:path>/", **options)(handler)  # which is no file, and no redirect
        self.include(files)

    def include(self, other: Routes) -> None:
        """Take over the routes of another group, below this one's prefix, name and guards."""
        self.routes.extend(self._within(route) for route in other.routes)


def standing(routes: Iterable[Route], converters: Mapping[str, Converter]) -> list[Route]:
    """Return the routes without those of a fallback in whose place there is another one."""

    def claims(route: Route) -> set[tuple[str, str]]:
        return {(_shape(route.pattern, converters), method) for method in route.methods}

    routes = list(routes)
    yielding = [one for one in routes if getattr(one.handler, "__kit_yields__", False)]
    if not yielding:
        return routes
    taken = set().union(*(claims(one) for one in routes if one not in yielding))
    return [one for one in routes if one not in yielding or not claims(one) & taken]


def _shape(pattern: str | Native, converters: Mapping[str, Converter]) -> str:
    if isinstance(pattern, Native):
        return pattern.text
    try:
        return Pattern.parse(pattern, converters).shape
    except ValueError:  # which is reported when it is compiled
        return pattern


def _guards(requires: Any) -> tuple[Guard, ...]:
    several = isinstance(requires, Iterable) and not isinstance(requires, str)
    return tuple(requires) if several and not callable(requires) else (requires,)


def _check_options(options: Mapping[str, Any], where: str) -> None:
    """Refuse an option that there is not: a guard that is misspelt would guard nothing."""
    known = RouteOptions.__annotations__
    problems = [
        Problem(
            where,
            f"a route has no option {name!r}.{nearest(name, known)}",
            f"Options are: {listing(known)}.",
        )
        for name in options
        if name not in known
    ]
    problems += [
        Problem(where, f"{name}={options.get(name)!r}: it is True or False.")
        for name in ("csrf", "inline")
        if not isinstance(options.get(name, True), bool)
    ]
    if problems:
        raise ConfigError(problems)
