"""The access log: a line for each request, the same by WSGI and ASGI and on every server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from werkzeug.exceptions import BadRequest

from kit.answers import Environ
from kit.security.options import SecurityOptions
from kit.security.proxies import proxy_trust

Style = Literal["plain", "json"]
Write = Callable[[str], object]

_FAILED = 500  # the server answers that where the application raised before its answer


class Entry:
    """One request on its way into the log; `write` is called once, by `end`."""

    def __init__(self, environ: Environ, style: Style, write: Write) -> None:
        self.status = _FAILED
        self.size = 0
        self._environ = environ
        self._style = style
        self._write = write
        self._begun = time.perf_counter()

    def end(self) -> None:
        """Write the line: query, headers and bodies are never in it."""
        environ = self._environ
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        fields = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": environ.get("REMOTE_ADDR") or "-",
            "method": quote(environ["REQUEST_METHOD"], safe=""),
            "path": quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~"),
            "status": self.status,
            "bytes": self.size,
            "ms": round((time.perf_counter() - self._begun) * 1000, 1),
        }
        plain = " ".join(map(str, fields.values()))
        self._write(json.dumps(fields) if self._style == "json" else plain)


def print_line(line: str) -> None:
    """Write one line to stdout, whole, however many threads and processes do the same."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def log_wsgi(
    app: Callable[..., Any], style: Style, write: Write = print_line
) -> Callable[..., Any]:
    """Return a WSGI application that logs the requests of another."""

    def logging(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        entry = Entry(environ, style, write)

        def start(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            entry.status = int(line[:3])
            return start_response(line, headers, *more)

        try:
            body = app(environ, start)
        except BaseException:
            entry.end()
            raise
        return _Counted(body, entry)

    return logging


class _Counted:
    """A body of which the bytes are counted; the line is written when it is closed."""

    def __init__(self, body: Iterable[bytes], entry: Entry) -> None:
        self._body = body
        self._entry = entry

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._entry.size += len(chunk)
            yield chunk

    def close(self) -> None:
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._entry.end()


def log_asgi(
    app: Callable[..., Awaitable[None]],
    style: Style,
    security: SecurityOptions,
    write: Write = print_line,
) -> Callable[..., Awaitable[None]]:
    """Return an ASGI application that logs requests and WebSockets of another.

    A WebSocket has one line, at its end, with status 101 if it was accepted.
    """
    trust = proxy_trust(security)

    async def logging(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        entry = Entry(_environ(scope, trust), style, write)
        if scope["type"] == "websocket":
            entry.status = 403

        async def sending(message: dict[str, Any]) -> None:
            kind = message["type"]
            if kind in ("http.response.start", "websocket.http.response.start"):
                entry.status = message["status"]
            elif kind == "websocket.accept":
                entry.status = 101
            else:
                text = message.get("text") or ""
                entry.size += len(message.get("body") or message.get("bytes") or text.encode())
            await send(message)

        try:
            await app(scope, receive, sending)
        finally:
            entry.end()

    return logging


def _environ(scope: dict[str, Any], trust: Callable[[Environ], None]) -> Environ:
    """Return what the log needs, with the client that proxies give as far as they are believed."""
    environ: Environ = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "PATH_INFO": scope["path"].encode("utf-8", "surrogatepass").decode("latin-1"),
        "REMOTE_ADDR": (scope.get("client") or [""])[0],
    }
    for name, value in scope["headers"]:
        if name.startswith(b"x-forwarded-"):
            key = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    with suppress(BadRequest):  # it is answered with 400, and the log keeps whom the server saw
        trust(environ)
    return environ
