"""No framework: an ASGI callable written by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from peers.task import HELLO

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")


def make() -> Any:
    """Return the application."""
    return application


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request."""
    path = scope["path"]
    if path == "/":
        kind, body = _TEXT, HELLO.encode()
    elif path == "/json":
        kind, body = _JSON, msgspec.json.encode({"message": HELLO})
    elif path.startswith("/item/") and path[6:].isdecimal():
        kind, body = _TEXT, str(int(path[6:])).encode()
    else:
        raise LookupError(path)
    headers = [kind, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
