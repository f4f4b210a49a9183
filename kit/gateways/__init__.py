"""Gateways: a request comes in by WSGI or by ASGI, a plan answers, and the answer goes out.

What both have in common is here. They differ in how bytes come and go, and in what may wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.wrappers import Response

from kit.answers import Answer, Environ, Header, Stream
from kit.around import Around, Layers
from kit.clients import PRIVATE, Scope
from kit.dispatch import Dispatch
from kit.failures import Failures, Perform
from kit.gateways.performing import loaded, perform_on_loop, perform_plain
from kit.gateways.ready import Ready
from kit.plans import Plan
from kit.requests import FILES
from kit.routes import SOCKET
from kit.waiting import drive, wait

if TYPE_CHECKING:
    from kit.assembly import Limits

logger = logging.getLogger("kit")

StartResponse = Callable[[str, list[Header]], Any]
WSGI = Callable[[Environ, StartResponse], Iterable[bytes]]
Before = Callable[[Environ], None]
Find = Callable[[Environ], tuple[Plan, Mapping[str, Any]]]
After = Callable[[Environ, str, list[Header], Iterable[bytes]], Answer]

SOCKETS = "kit.socket"
"""The key of the environ under which there is a WebSocket, if it is one."""

_IN_QUERY = "%/?:@!$&'()*+,;=~[]"  # what stays as it is (RFC 3986, section 3.4)
_NO_VALUES: Mapping[str, Any] = {}


class Events(Protocol):
    """The request hooks of plug-ins, where there are any."""

    def started(self, environ: Environ) -> None:
        """Tell that a request came in."""

    def finished(self, environ: Environ, status: int) -> None:
        """Tell which status it got; whatever fails in that is logged."""


class Gateway:
    """What a started application does with a request, whichever way it comes in.

    `before` are called with each request first, and raise to refuse it. The functions in `around`
    stand around all that answers the others. `after` are called with each answer last, and return
    it as it is to go out, and then those that are for https alone. Where it `is_bare`, an answer
    over http that needed no files is finished already.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        failures: Failures,
        limits: Limits,
        events: Events | None = None,
        *,
        around: Iterable[Around] = (),
        before: Iterable[Before] = (),
        after: Iterable[After] = (),
        over_https: Iterable[After] = (),
    ) -> None:
        self.events = events
        self.ready = Ready(failures.answers)
        self.limits = limits
        self._dispatch = dispatch
        self._failures = failures
        self.before = tuple(before)
        self._after = tuple(after)
        self._over_https = tuple(over_https)
        self._find_static = dispatch.static.get
        self._find = dispatch.router.match
        layers = Layers(around, failures.answers, limits)
        self.is_bare = not (events or layers or self._after)
        self.find: Find = self.route
        if layers:
            found = self._within(layers), _NO_VALUES
            self.find = lambda environ: found

    def admit(self, environ: Environ) -> None:
        """Look at who asks, and whom; raise to refuse the request."""
        for look in self.before:
            look(environ)

    def route(self, environ: Environ) -> tuple[Plan, Mapping[str, Any]]:
        """Return the plan for a request that is admitted, and the values of its path."""
        path = environ.get("PATH_INFO") or "/"
        if not path.isascii() or "\0" in path or "/." in path:
            path = _checked(path)
        values = _NO_VALUES
        endpoint = self._find_static(path)
        if endpoint is None:
            found = self._find(path) or self._dispatch.suffixed(environ, path)
            if found is None:
                if self._dispatch.is_preflight(environ):
                    return self._dispatch.preflight, values
                raise _elsewhere(self._dispatch, environ, path)
            endpoint, values = found
        method = environ["REQUEST_METHOD"]
        plan = endpoint.plans.get(method)
        if plan is None or (method == SOCKET and SOCKETS not in environ):
            raise self._dispatch.refuse(endpoint)
        return plan, values

    def find_quick(self, scope: Scope) -> tuple[Plan | None, Mapping[str, Any]]:
        """Return the plan for an ASGI request over http that needs nothing else to be done."""
        path, values = scope["path"], _NO_VALUES
        if not self.is_bare or scope["query_string"] or scope.get("scheme", "http") != "http":
            return None, values
        endpoint = self._find_static(path)
        if endpoint is None:
            if not path.isascii() or "\0" in path or "/." in path:
                return None, values
            found = self._find(path)
            if found is None:
                return None, values
            endpoint, values = found
        plan = endpoint.plans.get(scope["method"])
        if plan is None or not plan.quick or scope.get("root_path") or PRIVATE in scope:
            return None, values
        return plan, values

    def _within(self, layers: Layers) -> Plan:
        """Return the one plan for all requests: what they find is run within these layers."""

        async def answer(environ: Environ, perform: Perform, *, on_loop: bool) -> Answer:
            async def inner() -> Answer:
                plan, values = self.route(environ)
                if on_loop:
                    await loaded(plan, environ, self.limits.body)
                return await perform(plan, environ, values)

            async def failed(error: Exception) -> Answer:
                return await self.failed(environ, error, perform)

            return await layers.answer(environ, inner, failed, on_loop=on_loop)

        async def on_loop(environ: Environ, values: Mapping[str, Any]) -> Answer:
            return await answer(environ, perform_on_loop, on_loop=True)

        def waiting(environ: Environ, values: Mapping[str, Any]) -> Answer:
            line, headers, body = wait(on_loop(environ, values))
            if isinstance(body, Stream):
                body.run = wait
            return line, headers, body

        def plain(environ: Environ, values: Mapping[str, Any]) -> Answer:
            return drive(answer(environ, perform_plain, on_loop=False))

        return Plan(on_loop, waiting if layers.awaits else plain, "loop")

    async def failed(self, environ: Environ, error: Exception, perform: Perform) -> Answer:
        """Return the answer for an exception; that to a HEAD request has no body (RFC 9110, 9.3.2).

        `perform` runs the plan of an error handler.
        """
        line, headers, body = await self._failures.answer(environ, error, perform)
        if environ["REQUEST_METHOD"] == "HEAD":
            if isinstance(body, Stream):
                await body.end(GeneratorExit())
            body = []
        return line, headers, body

    async def finished(self, environ: Environ, answer: Answer, perform: Perform) -> Answer:
        """Return an answer as it is to go out, or the one for what failed on the way."""
        try:
            return self._finish(environ, answer)
        except Exception as error:
            if isinstance(answer[2], Stream):
                await answer[2].end(error)
            return await self.failed(environ, error, perform)

    def _finish(self, environ: Environ, answer: Answer) -> Answer:
        line, headers, body = answer
        if FILES in environ:
            _close_after(body, environ[FILES])
        for one in self._after:
            line, headers, body = one(environ, line, headers, body)
        if environ["wsgi.url_scheme"] == "https":
            for one in self._over_https:
                line, headers, body = one(environ, line, headers, body)
        return line, headers, body


def _close_after(body: Iterable[bytes], files: Iterable[FileStorage]) -> None:
    """Close the files of a form: now, or when the end of a stream has been sent."""
    if isinstance(body, Stream):
        body.then(lambda _: _close_after((), files))
        return
    for file in files:
        file.close()


def _checked(path: str) -> str:
    """Decode a path strictly; refuse NUL and dot segments."""
    try:
        path = path.encode("latin-1").decode()
    except UnicodeError as error:
        raise BadRequest("The path is not valid UTF-8.") from error
    if "\0" in path:
        raise BadRequest("The path holds a NUL character.")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise BadRequest("The path holds a dot segment.")
    return path


def _elsewhere(dispatch: Dispatch, environ: Environ, path: str) -> HTTPException:
    """Return a redirect to the path with or without a trailing slash where that is a URL, or 404.

    It keeps the method (308, RFC 9110 section 15.4.9), and never leads to another host.
    """
    other = path[:-1] if path.endswith("/") else f"{path}/"
    if not other or path.startswith("//"):
        return NotFound()
    if not (dispatch.static.get(other) or dispatch.router.match(other)):
        return NotFound()
    query = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe=_IN_QUERY)
    mounted = environ.get("SCRIPT_NAME", "").encode("latin-1")
    location = quote(mounted) + quote(other) + (f"?{query}" if query else "")
    return HTTPException(response=Response(status=308, headers={"Location": location}))
