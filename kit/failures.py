"""Failures: the one place that turns an exception into an answer."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from html import escape

import msgspec
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import BadRequestKeyError, HTTPException
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

from kit.answers import SECURITY_HEADERS, STATUS_LINES, Answer, Header, response
from kit.errors import KitError, Unavailable
from kit.plans import Environ, Plan

logger = logging.getLogger("kit")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{detail}</p>
"""
_DETAILS = {
    400: "The request could not be understood.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    409: "This stands against what is already stored.",
    413: "That is more than this site accepts at once.",
    422: "A value cannot be stored as it is.",
    500: "Something went wrong on our side.",
    503: "Something that this page needs is away for now. Please try again soon.",
}


class Failures:
    """Turns exceptions into answers: HTML, or problem+json (RFC 9457) by what is accepted.

    `plans` are the application's own error handlers by exception class or status; with `debug`
    an unexpected exception is raised again, for a debugger.
    """

    def __init__(self, plans: Mapping[type[BaseException] | int, Plan], *, debug: bool) -> None:
        self._plans = plans
        self._debug = debug

    def __call__(self, environ: Environ, error: Exception) -> Answer:
        """Answer for an exception; whatever happens here ends in one plain page."""
        if isinstance(error, HTTPException) and isinstance(error.response, Response):
            try:
                return response(error.response)
            except Exception as failed:
                error = failed
        status = _status(error)
        request_id = ""
        if status >= 500:
            request_id = secrets.token_hex(8)
            _log(environ, error, status, request_id)
            if self._debug and status == 500:
                raise error
        plan = self._plan(error, status)
        if plan is not None:
            try:
                answer = plan(environ, {"error": error, "status": status})
                return _own(answer, status, error, request_id)
            except Exception as failed:
                if self._debug:
                    raise
                status, request_id = 500, request_id or secrets.token_hex(8)
                _log(environ, failed, status, request_id)
                error = failed
        return _standard(environ, error, status, request_id)

    def _plan(self, error: Exception, status: int) -> Plan | None:
        for cls in type(error).__mro__:
            if cls in self._plans:
                return self._plans[cls]
        return self._plans.get(status)


def _status(error: Exception) -> int:
    if isinstance(error, KitError):
        return error.status
    if isinstance(error, HTTPException):
        return error.code or 500
    return 500


def _log(environ: Environ, error: Exception, status: int, request_id: str) -> None:
    logger.error(
        "%s for %s %s, request %s",
        status,
        environ.get("REQUEST_METHOD"),
        ascii(environ.get("PATH_INFO")),
        request_id,
        exc_info=error,
    )


def _headers(error: Exception, request_id: str) -> list[Header]:
    """Return the headers that belong to an exception: Allow, Retry-After and the like."""
    headers = [("Cache-Control", "no-store")]
    if request_id:
        headers.append(("X-Request-Id", request_id))
    if isinstance(error, Unavailable):
        headers.append(("Retry-After", str(error.retry_after)))
    if isinstance(error, HTTPException):
        headers += [h for h in error.get_headers() if h[0].lower() != "content-type"]
    return headers


def _own(answer: Answer, status: int, error: Exception, request_id: str) -> Answer:
    """Give an application's error page the status and the headers of the error."""
    line, headers, body = answer
    if line.startswith("200"):
        line = STATUS_LINES[status]
    return line, [*headers, *_headers(error, request_id)], body


def _standard(environ: Environ, error: Exception, status: int, request_id: str) -> Answer:
    line = STATUS_LINES.get(status) or f"{status} Unknown"
    detail = _DETAILS.get(status, "")
    if isinstance(error, HTTPException) and status < 500 and error.description:
        detail = _DETAILS.get(status, error.description) if _is_stock(error) else error.description
        if isinstance(error, BadRequestKeyError) and error.args:
            detail = f"The request lacks the field {error.args[0]!r}."
    elif isinstance(error, KitError) and status < 500:
        detail = str(error) or detail
    kind, body = _rendered(environ, line, status, detail, request_id)
    headers = [*SECURITY_HEADERS, ("Content-Type", kind), ("Content-Length", str(len(body)))]
    return line, [*headers, *_headers(error, request_id)], [body]


def _is_stock(error: HTTPException) -> bool:
    return error.description == type(error).description


def _rendered(
    environ: Environ, line: str, status: int, detail: str, request_id: str
) -> tuple[str, bytes]:
    accept = environ.get("HTTP_ACCEPT", "")
    if accept in ("", "*/*") or accept.startswith("text/html,") or not _prefers_json(accept):
        if request_id:
            detail += f" (request {request_id})"
        return "text/html; charset=utf-8", _PAGE.format(title=line, detail=escape(detail)).encode()
    problem = {"type": "about:blank", "title": line[4:], "status": status, "detail": detail}
    if request_id:
        problem["request_id"] = request_id
    return "application/problem+json", msgspec.json.encode(problem)


def _prefers_json(accept: str) -> bool:
    offers = ["text/html", "application/problem+json", "application/json"]
    best = parse_accept_header(accept, MIMEAccept).best_match(offers, default="text/html")
    return best != "text/html"
