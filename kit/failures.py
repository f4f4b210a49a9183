"""Failures: the one place that turns an exception into an answer."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Container, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote

import msgspec
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import BadRequestKeyError, HTTPException, NotAcceptable
from werkzeug.http import parse_accept_header
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from kit.answers import STATUS_LINES, Answer, Answers, Convert, Environ, Header, check_header
from kit.errors import Invalid, KitError, Unauthorized
from kit.plans import Plan
from kit.slots.formats.negotiation import SUFFIXED

_OF_THE_BODY = {"content-type", "content-length"}
Perform = Callable[[Plan, Environ, Mapping[str, Any]], Awaitable[Answer]]

logger = logging.getLogger("kit")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{detail}</p>
"""
_DETAILS = {
    400: "The request could not be understood.",
    401: "Please log in first.",
    403: "This is not permitted.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    409: "This stands against what is already stored.",
    406: "This cannot be had in any form that was asked for.",
    413: "That is more than this site accepts at once.",
    422: "A value cannot be stored as it is.",
    500: "Something went wrong on our side.",
    503: "Something that this page needs is away for now. Please try again soon.",
}


class Failures:
    """Turns exceptions into answers: HTML, or problem+json (RFC 9457) by what is accepted.

    `plans` are the application's own error handlers by exception class or status; those for a
    status make pages, for browsers, unless it is among `always`. With `debug` an unexpected
    exception is raised again, for a debugger. An application without `pages` has problem+json for
    everybody.
    """

    def __init__(
        self,
        plans: Mapping[type[BaseException] | int, Plan],
        answers: Answers,
        *,
        debug: bool,
        pages: bool = True,
        always: Container[object] = (),
    ) -> None:
        self._plans = plans
        self._pages = pages
        self._always = always
        self.answers = answers
        self._debug = debug

    async def answer(self, environ: Environ, error: Exception, perform: Perform) -> Answer:
        """Answer for an exception; whatever happens here ends in one plain page.

        `perform` runs the plan of an error handler.
        """
        if isinstance(error, HTTPException) and isinstance(error.response, Response):
            try:
                return self.answers.response(environ, error.response)
            except Exception as failed:
                error = failed
        if isinstance(error, Unauthorized) and error.login and not self._wants_problem(environ):
            return self.answers.response(environ, _to_login(environ, error))
        status = _status(error)
        request_id = ""
        if status >= 500:
            request_id = secrets.token_hex(8)
            _log(environ, error, status, request_id)
            if self._debug and status == 500:
                raise error
        plan = self._plan(environ, error, status)
        if plan is not None:
            try:
                answer = await perform(plan, environ, {"error": error, "status": status})
                return _own(answer, status, error, request_id)
            except Exception as failed:
                if isinstance(failed, HTTPException) and isinstance(failed.response, Response):
                    return self.answers.response(environ, failed.response)
                if self._debug:
                    raise
                status, request_id = max(500, _status(failed)), request_id or secrets.token_hex(8)
                _log(environ, failed, status, request_id)
                error = failed
        try:
            return self._standard(environ, error, status, request_id)
        except Exception as failed:  # such as a header that cannot be sent
            request_id = request_id or secrets.token_hex(8)
            _log(environ, failed, 500, request_id)
            return self._standard(environ, failed, 500, request_id)

    def _standard(self, environ: Environ, error: Exception, status: int, request_id: str) -> Answer:
        line = STATUS_LINES.get(status) or f"{status} Unknown"
        members: dict[str, Any] = {"detail": _detail(error, status)}
        if isinstance(error, Invalid):
            members["errors"] = error.errors
        if request_id:
            members["request_id"] = request_id
        made = _problem if self._wants_problem(environ) else _page
        kind, body = made(line, status, members)
        about = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        return line, [*self.answers.headers, *about, *_headers(error, request_id)], [body]

    def _wants_problem(self, environ: Environ) -> bool:
        return not self._pages or wants_problem(environ)

    def _plan(self, environ: Environ, error: Exception, status: int) -> Plan | None:
        for cls in type(error).__mro__:
            if cls in self._plans:
                return self._plans[cls]
        if status not in self._always and self._wants_problem(environ):
            return None
        return self._plans.get(status)


def _status(error: Exception) -> int:
    if isinstance(error, KitError):
        is_one = isinstance(error.status, int) and 300 <= error.status <= 599
        return error.status if is_one else 500
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
    headers: list[Header] = [("Cache-Control", "no-store")]
    if request_id:
        headers.append(("X-Request-Id", request_id))
    if isinstance(error, HTTPException):
        headers += [h for h in error.get_headers() if h[0].lower() != "content-type"]
    if isinstance(error, KitError):
        for name, value in error.headers:
            if check_header(name, str(value)) not in _OF_THE_BODY:
                headers.append((name, str(value)))
    return headers


def settling(convert: Convert) -> Convert:
    """Return a `Convert` for error handlers: without a status of its own a result has none yet."""

    def converted(environ: Environ, result: Any) -> Answer:
        try:
            line, headers, body = convert(environ, result)
        except NotAcceptable:  # an error may be told in any format (RFC 9110, section 15.5.7)
            anything = {key: environ[key] for key in environ if key != SUFFIXED}
            line, headers, body = convert(anything | {"HTTP_ACCEPT": "*/*"}, result)
        has_status = isinstance(result, Response) or (
            isinstance(result, tuple) and any(isinstance(one, int) for one in result[1:])
        )
        if result is None:
            headers.append(("Content-Length", "0"))
        return line if has_status or line.startswith("304") else "", headers, body

    return converted


def _own(answer: Answer, status: int, error: Exception, request_id: str) -> Answer:
    """Give an error page the headers of the error, and its status unless it has one."""
    line, headers, body = answer
    line = line or STATUS_LINES.get(status) or f"{status} Unknown"
    own = {name.lower() for name, _ in headers}
    more = [header for header in _headers(error, request_id) if header[0].lower() not in own]
    return line, [*headers, *more], body


def _detail(error: Exception, status: int) -> str:
    """Say what a client may know of an error."""
    detail = _DETAILS.get(status, "")
    if isinstance(error, HTTPException) and status < 500 and error.description:
        detail = _DETAILS.get(status, error.description) if _is_stock(error) else error.description
        if isinstance(error, BadRequestKeyError) and error.args:
            detail = f"The request lacks the field {error.args[0]!r}."
    elif isinstance(error, KitError) and status < 500:
        detail = str(error) or detail
    return detail


def _is_stock(error: HTTPException) -> bool:
    return error.description == type(error).description


def _problem(line: str, status: int, members: Mapping[str, Any]) -> tuple[str, bytes]:
    problem = {"type": "about:blank", "title": line[4:], "status": status, **members}
    return "application/problem+json", msgspec.json.encode(problem)


def _page(line: str, status: int, members: Mapping[str, Any]) -> tuple[str, bytes]:
    detail = members["detail"]
    if "request_id" in members:
        detail += f" (request {members['request_id']})"
    page = _PAGE.format(title=line, detail=escape(detail))
    if errors := members.get("errors"):
        items = (f"{error['field']}: {error['message']}".lstrip(": ") for error in errors)
        page += "<ul>\n" + "".join(f"<li>{escape(item)}</li>\n" for item in items) + "</ul>\n"
    return "text/html; charset=utf-8", page.encode()


def wants_problem(environ: Environ) -> bool:
    """Say whether the client of a request is no browser, and is told of errors in JSON.

    It says so by the suffix of the URL or in Accept, or where that is open by the JSON it sends.
    """
    if (named := environ.get(SUFFIXED)) is not None:
        return bool(named != "html")
    accept = environ.get("HTTP_ACCEPT", "")
    if accept in ("", "*/*"):
        kind: str = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")
    return not accept.startswith("text/html,") and _prefers_json(accept)


@lru_cache
def _prefers_json(accept: str) -> bool:
    offers = ["text/html", "application/problem+json", "application/json"]
    best = parse_accept_header(accept, MIMEAccept).best_match(offers, default="text/html")
    return str(best) != "text/html"


def _to_login(environ: Environ, error: Unauthorized) -> Response:
    """Return a redirect to the page to log in, with the way back for what can be asked again."""
    location = quote(environ.get("SCRIPT_NAME", "")) + error.login
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        path = environ.get("SCRIPT_NAME", "") + (environ.get("PATH_INFO") or "/")
        query = environ.get("QUERY_STRING", "")
        back = quote(path.encode("latin-1")) + (f"?{query}" if query else "")
        location += f"?next={quote(back, safe='/')}"
    headers = {"Location": iri_to_uri(location), "Cache-Control": "no-store"}
    return Response(status=303, headers=headers)
