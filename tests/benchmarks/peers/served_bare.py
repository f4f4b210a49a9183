"""No framework behind a server: callables that answer as ours does, with fixed headers.

The body and its type are the same, and JSON is encoded anew for each request with msgspec, as ours
does. Those with ``same_headers`` send those for security as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from peers.task import HELLO

HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")
SECURITY = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
]


def _wsgi(headers: list[tuple[str, str]]) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/json":
            kind, body = JSON, msgspec.json.encode({"message": HELLO})
        else:
            kind, body = HTML, HELLO.encode()
        start_response("200 OK", [*headers, kind, ("Content-Length", str(len(body)))])
        return [body]

    return application


def _asgi(headers: list[tuple[str, str]]) -> Any:
    first = _as_bytes(headers)
    html, json = _as_bytes([HTML, JSON])

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["path"] == "/json":
            kind, body = json, msgspec.json.encode({"message": HELLO})
        else:
            kind, body = html, HELLO.encode()
        named = [*first, kind, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": named})
        await send({"type": "http.response.body", "body": body})

    return application


def _as_bytes(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers]


async def _lifespan(receive: Any, send: Any) -> None:
    for what in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{what}.complete"})


wsgi = _wsgi([])
wsgi_same_headers = _wsgi(SECURITY)
asgi = _asgi([])
asgi_same_headers = _asgi(SECURITY)
