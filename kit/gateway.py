"""The WSGI gateway (PEP 3333): bytes come in, a plan answers, bytes go out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.wrappers import Response

from kit.answers import Answer, Environ, Header, Stream
from kit.dispatch import Dispatch
from kit.requests import FILES

logger = logging.getLogger("kit")

StartResponse = Callable[[str, list[Header]], Any]
WSGI = Callable[[Environ, StartResponse], Iterable[bytes]]
Failed = Callable[[Environ, Exception], Answer]
Before = Callable[[Environ], None]
After = Callable[[Environ, str, list[Header], Iterable[bytes]], Answer]


_IN_QUERY = "%/?:@!$&'()*+,;=~[]"  # what stays as it is (RFC 3986, section 3.4)


class Events(Protocol):
    """The request hooks of plug-ins, where there are any."""

    def started(self, environ: Environ) -> None:
        """Tell that a request came in."""

    def finished(self, environ: Environ, status: int) -> None:
        """Tell which status it got."""


def make_wsgi(
    dispatch: Dispatch,
    failed: Failed,
    events: Events | None,
    before: Iterable[Before] = (),
    after: Iterable[After] = (),
    over_https: Iterable[After] = (),
) -> WSGI:
    """Make the WSGI callable of a started application; `failed` answers for exceptions.

    `before` are called with each request first, and raise to refuse it; `after` are called with
    each answer last, and return it as it is to go out, and then those that are for https alone.
    """
    find_static = dispatch.static.get
    find = dispatch.router.match
    failed = _headed(failed)
    nothing: Mapping[str, Any] = {}
    first, last, secured = tuple(before), tuple(after), tuple(over_https)

    def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            for look in first:
                look(environ)
            path = environ.get("PATH_INFO") or "/"
            if not path.isascii() or "\0" in path or "/." in path:
                path = _checked(path)
            values: Mapping[str, Any] = nothing
            endpoint = find_static(path)
            if endpoint is None:
                found = find(path) or dispatch.suffixed(environ, path)
                if found is None:
                    raise _elsewhere(dispatch, environ, path)
                endpoint, values = found
            plan = endpoint.plans.get(environ["REQUEST_METHOD"])
            if plan is None:
                raise dispatch.refuse(endpoint)
            line, headers, body = plan(environ, values)
        except Exception as error:
            line, headers, body = failed(environ, error)
        if FILES in environ:
            _close_after(body, environ[FILES])
        for finish in last:
            line, headers, body = finish(environ, line, headers, body)
        if environ["wsgi.url_scheme"] == "https":
            for finish in secured:
                line, headers, body = finish(environ, line, headers, body)
        start_response(line, headers)
        return body

    return _watched(wsgi, failed, events) if events else wsgi


def _close_after(body: Iterable[bytes], files: Iterable[FileStorage]) -> None:
    """Close the files of a form: now, or when the end of a stream has been sent."""
    if isinstance(body, Stream):
        body.then(lambda _: _close_after((), files))
        return
    for file in files:
        file.close()


def _headed(failed: Failed) -> Failed:
    """Leave the body out of the answer to a HEAD request (RFC 9110, 9.3.2)."""

    def answer(environ: Environ, error: Exception) -> Answer:
        line, headers, body = failed(environ, error)
        if environ["REQUEST_METHOD"] == "HEAD":
            if hasattr(body, "close"):
                body.close()
            body = []
        return line, headers, body

    return answer


def _watched(wsgi: WSGI, failed: Failed, events: Events) -> WSGI:
    """Put the request hooks around a WSGI callable."""

    def watched(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(line: str, headers: list[Header]) -> None:
            try:
                events.finished(environ, int(line[:3]))
            except Exception:  # what was asked for is done: too late for another answer
                logger.exception("a plug-in failed in kit_request_finished")
            start_response(line, headers)

        try:
            events.started(environ)
        except Exception as error:
            line, headers, body = failed(environ, error)
            start(line, headers)
            return body
        return wsgi(environ, start)

    return watched


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
