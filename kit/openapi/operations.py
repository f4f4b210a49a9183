"""Operations: what is known about one method of one URL, and the statuses it can end in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from kit.dispatch import SAFE
from kit.openapi.returns import Result, results
from kit.patterns import Native, Pattern
from kit.providers import Providers, parameters
from kit.routes import SOCKET, Route
from kit.slots.validation import Body, Form, HeaderValues, Patch, Path, Query

if TYPE_CHECKING:
    from kit.app import App

F = TypeVar("F", bound=Callable[..., Any])
INPUTS = (Form, Body, Patch, Query, Path, HeaderValues)
_REFUSALS = {"identities": (401,), "user_roles": (403,), "can": (403, 404), "rates": (429,)}


def raises(*statuses: int) -> Callable[[F], F]:
    """Say which statuses a handler or a guard ends in by raising, where nothing else tells.

    ``@openapi.raises(402)`` stands below ``@app.post(...)``. Of a guard these are all statuses that
    it has. Raises ValueError for what is no status of an error.
    """
    if not all(300 <= status <= 599 for status in statuses):
        raise ValueError(f"{statuses}: a status that is raised is between 300 and 599")

    def mark(function: F) -> F:
        function.__kit_raises__ = statuses  # type: ignore[attr-defined]  # a mark
        return function

    return mark


def leave_out(handler: F) -> F:
    """Leave the routes of a handler out of the document: ``@openapi.leave_out`` below the route."""
    handler.__kit_left_out__ = True  # type: ignore[attr-defined]  # a mark
    return handler


@dataclass(frozen=True)
class Operation:
    """One method of one pattern: `names` are all providers behind it, `guarded` those of guards.

    `inputs` are the typed ones by the name of their parameter.
    """

    app: App
    route: Route
    method: str
    pattern: Pattern
    names: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it: ``/contacts/{id}``."""
        pieces = self.pattern.pieces
        return "".join(one if isinstance(one, str) else f"{{{one.name}}}" for one in pieces)

    @property
    def id(self) -> str:
        """A name for the operation: that of its route, with the method where there are several."""
        several = len(self.route.methods) > 1
        name = f"{self.route.name}.{self.method.lower()}" if several else self.route.name
        return re.sub(r"[^A-Za-z0-9_.-]", "_", name)

    @cached_property
    def doc(self) -> tuple[str, str]:
        """The first line of the handler's docstring, and the rest of it."""
        text = inspect.getdoc(self.route.handler) or ""
        first, _, rest = text.partition("\n")
        return first.strip(), rest.strip()

    @cached_property
    def results(self) -> list[Result]:
        """The ways in which the handler may answer."""
        return results(self.route.handler)

    @property
    def unsafe(self) -> bool:
        """Whether the method may change something."""
        return self.method not in SAFE

    def input(self, kind: type) -> Any:
        """Return the annotation of the input of a kind, such as `Query`; None without it."""
        return next((one for one in self.inputs.values() if get_origin(one) is kind), None)

    def uses(self, slot: str) -> bool:
        """Say whether anything behind this operation comes from a slot that is filled."""
        return bool(self.names & _given_by(self.app, slot))

    @property
    def has_body(self) -> bool:
        """Whether a body is read."""
        data = self.input(Body) or self.input(Patch)
        return bool(data or (self.input(Form) and self.method != "GET"))

    def statuses(self) -> set[int]:
        """Return the statuses that this operation may end in beside those of its results."""
        found = {500, *_declared(self.route.handler), *_of_guards(self)}
        text = [one for one in self.pattern.parameters if one.converter.parse is None]
        if self.pattern.names:
            found.add(404)
        if text:
            found |= {308, 400}
        if self.has_body:
            found |= {400, 413, 415}
        if self.input(Query):
            found.add(413)
        if self.has_body or any(self.input(kind) for kind in (Query, Path, HeaderValues)):
            found.add(422)  # a form that GET shows is blank
        if self.unsafe and self.route.csrf:
            found.add(403)
        if any(one.kind in ("data", "page", "unknown") for one in self.results):
            found.add(406)
            if self.app.provided("formats_options").etag and not self.unsafe:
                found.add(304)
        return found.union(_of_slots(self))


def _of_slots(operation: Operation) -> Iterator[int]:
    stored = operation.uses("persistence")
    if stored or operation.uses("sessions") or operation.uses("rates"):
        yield 503
    if stored and (operation.pattern.names or operation.inputs or operation.unsafe):
        yield 404
    if stored and operation.unsafe:
        yield from (409, 422)
    if "visitor" in operation.names:  # wrong credentials are refused also where none are needed
        yield from (401, 429)


def _of_guards(operation: Operation) -> Iterator[int]:
    """Yield what guards refuse with: what they declare, or what their providers are for."""
    for guard in operation.route.guards:
        if hasattr(guard, "__kit_raises__"):
            yield from _declared(guard)
            continue
        names = parameters(guard).keys() & _REFUSALS.keys()
        yield from {status for name in names for status in _REFUSALS[name]} or {403}
        if "identities" in names and operation.app.provided("identities").path:
            yield 303


def _declared(function: Callable[..., Any]) -> tuple[int, ...]:
    found: tuple[int, ...] = getattr(function, "__kit_raises__", ())
    return found


def _given_by(app: App, slot: str) -> set[str]:
    filled = app.stack.slots[slot] if app.stack.filling(slot) else None
    given = filled.providers if filled else ()
    return {slot, *(getattr(one, "__kit_name__", "") for one in given)}


def operations(app: App, providers: Providers, below: str) -> Iterator[Operation]:
    """Yield what there is to describe: the routes below a path, but for those of this package.

    OpenAPI has no WebSockets.
    """
    for route in app.routes:
        left_out = getattr(route.handler, "__kit_left_out__", False) or SOCKET in route.methods
        if isinstance(route.pattern, Native) or left_out or not route.text.startswith(below):
            continue
        pattern = Pattern.parse(route.pattern, app.converters)
        for method in route.methods:
            yield _operation(app, providers, route, method, pattern)


def _operation(
    app: App, providers: Providers, route: Route, method: str, pattern: Pattern
) -> Operation:
    given = set(pattern.names)
    functions = [*route.guards, route.handler]
    annotations = providers.annotations(functions, given)
    inputs = {name: one for name, (one, _) in annotations.items() if get_origin(one) in INPUTS}
    names = _behind(providers, functions, given)
    if method not in SAFE and route.csrf and app.stack.filling("sessions"):
        names |= {"session"}
    guarded = _behind(providers, route.guards, given)
    return Operation(app, route, method, pattern, names, guarded, inputs)


def _behind(
    providers: Providers, functions: Iterable[Callable[..., Any]], given: set[str]
) -> frozenset[str]:
    """Return the names of all providers that functions name, themselves and through others."""
    functions = list(functions)
    bound = providers.bind(functions, given, "")
    known = {**providers.all, **bound}
    named = [name for one in functions for name in parameters(one) if name in known]
    return frozenset(one.name for one in providers.order(named, given, "", bound))
