"""Dispatch: the table of compiled routes, made once at start."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from werkzeug.exceptions import BadRequest, MethodNotAllowed, NotFound

from kit.answers import STATUS_LINES, Answer, Answers, Environ, Header, Stream
from kit.errors import Invalid, Problem, listing, nearest
from kit.failures import wants_problem
from kit.options import Size
from kit.patterns import CONVERTERS, Converter, Native, Pattern
from kit.plans import UNUSABLE, Plan, compile_plan
from kit.providers import Providers, called_by, parameters, required
from kit.routes import SOCKET, Guard, Route
from kit.slots.formats.negotiation import SUFFIXED
from kit.slots.routing import Router

if TYPE_CHECKING:
    from kit.assembly import Limits

_METHOD = re.compile(r"[A-Z][A-Z-]*")
_ANY = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
_REFUSED = ("TRACE", "CONNECT")
SAFE = {"GET", "HEAD", "OPTIONS"}  # RFC 9110, section 9.2.1
_SURE = list(CONVERTERS.values())  # their expressions match nothing that their parsers refuse


@dataclass(eq=False)
class Endpoint:
    """What a router leads to: the plans of one pattern by method."""

    pattern: Pattern | Native
    routes: dict[str, Route] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)

    @property
    def allowed(self) -> list[str]:
        """The methods of this URL, for the Allow header."""
        return sorted(self.plans.keys() - {SOCKET})


@dataclass(frozen=True)
class Frame:
    """What stands around every handler of an application.

    `answers` turns results into answers. `csrf` are the guards of unsafe methods: the first comes
    before those of the route, the others behind. `sessions` says whether that slot is filled,
    and `limits` are those of the configuration. `preflight` gives the headers for a question of
    a browser (Fetch, section 3.2.2) on an URL with these methods. `without_suffix` splits the
    suffix of a format off a path.
    """

    answers: Answers
    limits: Limits
    csrf: tuple[Guard, ...] = ()
    sessions: bool = False
    without_suffix: Callable[[str], tuple[str, str] | None] | None = None
    preflight: Callable[[Environ, list[str]], list[Header] | None] | None = None


class Dispatch:
    """All endpoints of an application, and the router that finds them.

    Mistakes in patterns and handlers are added to ``providers.problems``.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        converters: Mapping[str, Converter],
        router: Router,
        providers: Providers,
        frame: Frame,
    ) -> None:
        self._problems = providers.problems
        self._converters = converters
        self._frame = frame
        self._routes = routes = list(routes)
        self._names: dict[str, list[Endpoint]] = {}
        self.router = router
        self.endpoints = self._grouped(routes)
        self.static: dict[str, Endpoint] = {}
        for endpoint in self.endpoints:
            self._add(endpoint)
        self.preflight = self._options(_ANY, exists=False)
        """What answers a preflight for a URL that is none: the request itself gets the 404."""
        self.compile(providers)

    def _grouped(self, routes: Iterable[Route]) -> list[Endpoint]:
        """Put the routes of one pattern together, the most specific pattern first."""
        by_shape: dict[str, Endpoint] = {}
        for route in routes:
            pattern = self._pattern(route)
            if pattern is None:
                continue
            shape = pattern.shape if isinstance(pattern, Pattern) else pattern.text
            endpoint = by_shape.setdefault(shape, Endpoint(pattern))
            first = endpoint.pattern
            if getattr(pattern, "names", ()) != getattr(first, "names", ()):
                other = next(iter(endpoint.routes.values()))
                what = f"{route.text!r} is {other.text!r} ({other.where}) with other names."
                self._problem(route, what, "Use the same names in both.")
                continue
            self._check_name(route, endpoint)
            for method in route.methods:
                self._claim(endpoint, method, route)
        return sorted(by_shape.values(), key=lambda endpoint: _rank(endpoint.pattern))

    def _pattern(self, route: Route) -> Pattern | Native | None:
        if isinstance(route.pattern, Native):
            return route.pattern
        try:
            return Pattern.parse(route.pattern, self._converters)
        except ValueError as error:
            self._problem(route, f"the URL pattern {route.pattern!r} cannot be used: {error}")
            return None

    def _check_name(self, route: Route, endpoint: Endpoint) -> None:
        others = self._names.setdefault(route.name, [])
        handlers = {r.handler for e in others for r in e.routes.values() if r.name == route.name}
        unnamed = route.name.endswith("<lambda>")
        if handlers - {route.handler} and endpoint not in others and not unnamed:
            other = next(r for e in others for r in e.routes.values() if r.name == route.name)
            what = f"a route is named {route.name!r}, and so is another one ({other.where})."
            self._problem(route, what, 'Give one of them a name of its own: name="...".')
        if endpoint not in others:
            others.append(endpoint)

    def _claim(self, endpoint: Endpoint, method: str, route: Route) -> None:
        if method != SOCKET and (not _METHOD.fullmatch(method) or method in _REFUSED):
            self._problem(
                route, f"{method!r} is no method for a route.", "Use for example GET or POST."
            )
        other = endpoint.routes.setdefault(method, route)
        if other is not route:
            what = f"{method} {route.text} is declared here and in {other.where}."
            self._problem(route, what, "Take one of them out.")

    def _add(self, endpoint: Endpoint) -> None:
        pattern = endpoint.pattern
        try:
            self.router.add(pattern, endpoint)
        except ValueError as error:
            route = next(iter(endpoint.routes.values()))
            self._problem(route, f"the router refuses the URL pattern {pattern.text!r}: {error}")
        if isinstance(pattern, Pattern) and not pattern.names:
            self.static[pattern.text] = endpoint

    def compile(self, providers: Providers) -> None:
        """Make the plans of all endpoints; HEAD and OPTIONS come with them."""
        for endpoint in self.endpoints:
            plans = {
                method: self._plan(endpoint, method, route, providers)
                for method, route in endpoint.routes.items()
            }
            if "GET" in plans:
                plans.setdefault("HEAD", _headed(plans["GET"]))
            methods = sorted({*plans, "OPTIONS"} - {SOCKET})
            plans.setdefault("OPTIONS", self._options(methods))
            if SOCKET in plans:
                plans.setdefault("GET", _UPGRADE)
            endpoint.plans = plans

    def _plan(self, endpoint: Endpoint, method: str, route: Route, providers: Providers) -> Plan:
        wrong = [("requires", one) for one in route.guards if not callable(one)]
        wrong += [("again", route.again)] if route.again and not callable(route.again) else []
        for name, value in wrong:
            what = f"{name}={value!r} is no function."
            self._problem(route, what, "Give the function itself, not its name or its result.")
        if method == SOCKET and not inspect.iscoroutinefunction(called_by(route.handler)):
            what = f"{getattr(route.handler, '__name__', '')!r} is no coroutine function."
            self._problem(route, what, "Write async def: a WebSocket is awaited.")
            wrong.append(("handler", route.handler))
        if wrong:
            return UNUSABLE
        csrf = self._frame.csrf if route.csrf and method not in SAFE else ()
        made = partial(
            compile_plan,
            providers=providers,
            where=route.where,
            parse=_parsers(endpoint.pattern),
            convert=self._frame.answers.answer,
            fixed={"limits": self._limits(route)} if route.limits else {},
        )
        given = _given(endpoint, route, providers)
        if method == SOCKET:
            return made(
                route.handler,
                given=given,
                guards=(*csrf[:1], *route.guards),
                convert=_no_answer,
                is_socket=True,
            )
        made = partial(made, given=given)
        all_guards = (*csrf[:1], *route.guards, *csrf[1:])
        plan = made(route.handler, guards=all_guards, inline=route.inline)
        if route.again is None:
            return plan
        if "form" not in parameters(route.again):
            what = f"its again={getattr(route.again, '__name__', route.again)} takes no 'form'."
            self._problem(route, what, "Let that handler name form, and show it.")
            return plan
        if self._differs(route, providers):
            return plan
        shown = [
            one for other in self._routes if other.handler is route.again for one in other.guards
        ]
        guards = [one for one in dict.fromkeys([*route.guards, *shown]) if not is_counted(one)]
        guards += [_in_session] if self._frame.sessions else []
        again = made(route.again, instead={"form"}, guards=guards, inline=route.inline)
        if plan.place != again.place:  # one of them has to be awaited: both are
            plan = made(route.handler, guards=all_guards, inline=route.inline, on_loop=True)
            again = made(
                route.again, instead={"form"}, guards=guards, inline=route.inline, on_loop=True
            )
        return _or_again(plan, again)

    def _differs(self, route: Route, providers: Providers) -> bool:
        """Report a page for invalid input that expects the form of another class."""
        found = [
            providers.annotations([one]).get("form", ("", ""))[0]
            for one in (route.handler, route.again)
            if one is not None
        ]
        if not all(found) or found[0] == found[1]:
            return False
        what = f"its form is {found[0]}, and that of the handler in again={found[1]}."
        what = what.replace("kit.slots.validation.inputs.", "")
        self._problem(route, what, "Let both name the same class.")
        return True

    def _limits(self, route: Route) -> Limits:
        known = {one.name: one for one in fields(self._frame.limits)}
        values: dict[str, Any] = {}
        for name, value in (route.limits or {}).items():
            if name not in known:
                what = f"there is no limit {name!r}.{nearest(name, known)}"
                self._problem(route, what, f"Limits are: {listing(known)}.")
                continue
            try:
                values[name] = Size.parse(value) if isinstance(value, str) else value
                replace(self._frame.limits, **{name: values[name]})
            except ValueError as error:
                self._problem(route, f"the limit {name} = {value!r}: {error}")
                values.pop(name, None)
        return replace(self._frame.limits, **values)

    def is_preflight(self, environ: Environ) -> bool:
        """Say whether a browser asks what it may send to a URL, and is to be told."""
        asks = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        return asks and environ["REQUEST_METHOD"] == "OPTIONS" and self._frame.preflight is not None

    def _options(self, methods: list[str], *, exists: bool = True) -> Plan:
        headers = [*self._frame.answers.headers]
        if exists:
            headers.append(("Allow", ", ".join(methods)))
        preflight = self._frame.preflight

        def options(environ: Environ, values: Mapping[str, Any]) -> Answer:
            more = preflight(environ, methods) if preflight else None
            return "204 No Content", [*headers, *(more or ())], []

        return Plan.of(options, "inline")

    def _problem(self, route: Route, what: str, mend: str = "") -> None:
        self._problems.append(Problem(route.where, what, mend))

    def refuse(self, endpoint: Endpoint) -> MethodNotAllowed:
        """Return the error for a method that an endpoint does not have (RFC 9110, 15.5.6)."""
        return MethodNotAllowed(valid_methods=endpoint.allowed)

    def suffixed(self, environ: Environ, path: str) -> tuple[Endpoint, Mapping[str, Any]] | None:
        """Find the endpoint of a path that ends in the suffix of a format, and note the format."""
        split = self._frame.without_suffix
        without = split(path) if split else None
        if without is None:
            return None
        path, environ[SUFFIXED] = without
        static = self.static.get(path)
        return (static, {}) if static else self.router.match(path)

    def url_for(self, name: str, values: dict[str, Any]) -> str:
        """Return the path of a named route; values that its pattern lacks become the query."""
        endpoints = self._names.get(name)
        if not endpoints:
            raise LookupError(f"no route is named {name!r}.{nearest(name, self._names)}")
        endpoint = next((e for e in endpoints if _names(e) <= values.keys()), endpoints[0])
        names = _names(endpoint) or (values.keys() if isinstance(endpoint.pattern, Native) else ())
        try:
            path = self.router.build(endpoint, {k: v for k, v in values.items() if k in names})
        except KeyError as error:
            raise LookupError(f"the URL of {name!r} needs a value for {error.args[0]!r}") from error
        query = {key: value for key, value in values.items() if key not in names}
        return f"{path}?{urlencode(query, doseq=True)}" if query else path


def _parsers(pattern: Pattern | Native) -> dict[str, Callable[[str], Any]]:
    """Return what parses the parameters that do not stay text, by name."""
    if isinstance(pattern, Native):
        return {}
    converters = {one.name: one.converter for one in pattern.parameters}
    return {name: _found(one, one.parse) for name, one in converters.items() if one.parse}


def _found(converter: Converter, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a converter's parser, whose ValueError is a 404."""
    if converter in _SURE:
        return parse

    def parse_or_not_found(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise NotFound from error

    return parse_or_not_found


def _rank(pattern: Pattern | Native) -> tuple[bool, Any]:
    return (True, ()) if isinstance(pattern, Native) else (False, pattern.rank)


def _given(endpoint: Endpoint, route: Route, providers: Providers) -> set[str]:
    """Return the names that the path supplies; of a native pattern, all that nothing provides."""
    if isinstance(endpoint.pattern, Pattern):
        return set(endpoint.pattern.names)
    return {name for name in required(route.handler) if name not in providers.all}


def _names(endpoint: Endpoint) -> set[str]:
    return set(endpoint.pattern.names) if isinstance(endpoint.pattern, Pattern) else set()


def _headed(plan: Plan) -> Plan:
    """Make the plan for HEAD: as GET, without the body."""

    async def head(environ: Environ, values: Mapping[str, Any]) -> Answer:
        line, headers, body = await plan.run(environ, values)
        if isinstance(body, Stream):
            await body.end(GeneratorExit("HEAD has no body"))
        return line, headers, []

    return plan.around(head)


def _upgrade(environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Refuse a plain request on the URL of a WebSocket."""
    raise BadRequest("This address is for WebSockets, which this server may not have.")


_UPGRADE = Plan.of(_upgrade, "inline")


def _no_answer(environ: Environ, result: Any) -> Answer:
    if result is not None:
        raise TypeError(f"a WebSocket's handler returned {result!r}: it sends, and returns nothing")
    return "101 Switching Protocols", [], []


def _in_session(form: Any, session: Any) -> None:
    """Let a form that is shown again have the token of the session that is saved with it."""
    form.session = session


def is_counted(guard: Guard) -> bool:
    """Say whether a guard counts requests, so that it is not to be asked twice for one."""
    return getattr(guard, "__kit_counts__", False)


def _or_again(plan: Plan, again: Plan) -> Plan:
    """Make the plan that shows the page anew where the form is not valid."""

    async def plan_or_again(environ: Environ, values: Mapping[str, Any]) -> Answer:
        try:
            return await plan.run(environ, values)
        except Invalid as error:
            if error.source is None or wants_problem(environ):
                raise
            line, headers, body = await again.run(environ, {**values, "form": error.source})
            return STATUS_LINES[error.status] if line.startswith("200") else line, headers, body

    return plan.around(plan_or_again)
