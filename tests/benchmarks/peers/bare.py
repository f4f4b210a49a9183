"""No framework: what the work itself costs when it is written by hand."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any
from urllib.parse import parse_qsl

from client import App
from jinja2 import Environment, FileSystemLoader

from peers.task import CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE

Result = tuple[str, str, bytes, list[tuple[str, str]]]

_COOKIE = re.compile(r"(?:^|; )session=([A-Za-z0-9_-]{43})")
_counts: dict[str, int] = {}
_template = Environment(autoescape=True, loader=FileSystemLoader(TEMPLATES)).get_template(
    "contacts.html"
)


def make() -> tuple[App, App]:
    """Return the application twice: it has sessions of its own."""
    return application, application


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer a request."""
    line, kind, body, more = _answer(environ, environ["PATH_INFO"])
    start_response(line, [("Content-Type", kind), ("Content-Length", str(len(body))), *more])
    return [body]


def _answer(environ: dict[str, Any], path: str) -> Result:
    if path == "/":
        return "200 OK", "text/plain", HELLO.encode(), []
    if path == "/json":
        return "200 OK", "application/json", json.dumps({"message": HELLO}).encode(), []
    if path.startswith("/item/") and path[6:].isdecimal():
        return "200 OK", "text/plain", str(int(path[6:])).encode(), []
    if path == "/contacts":
        page = _template.render(title=TITLE, contacts=CONTACTS)
        return "200 OK", "text/html; charset=utf-8", page.encode(), []
    if path == "/form":
        fields = dict(parse_qsl(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        echo = {name: fields[name.encode()].decode() for name in FIELDS}
        return "200 OK", "application/json", json.dumps(echo).encode(), []
    return _counted(environ) if path == "/count" else ("404 Not Found", "text/plain", b"", [])


def _counted(environ: dict[str, Any]) -> Result:
    found = _COOKIE.search(environ.get("HTTP_COOKIE", ""))
    key = found[1] if found and found[1] in _counts else secrets.token_urlsafe(32)
    count = _counts[key] = _counts.get(key, 0) + 1
    cookie = [] if count > 1 else [("Set-Cookie", f"session={key}; HttpOnly; Path=/")]
    return "200 OK", "text/plain", str(count).encode(), cookie
