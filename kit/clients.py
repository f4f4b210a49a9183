"""The client of an ASGI request: the environ that it makes, its body, and whether it is gone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from kit.answers import Environ
from kit.routes import SOCKET
from kit.waiting import wait

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_NOT_LOADED = (
    "the body of the request has not come in yet, and to wait for it would stop the event loop:"
    " write `await request.load()` before, or read it with `async for piece in request.pieces()`"
)
_SCHEMES = {"ws": "http", "wss": "https"}
_PRIVATE = "kit.environ"
_keys: dict[bytes, str] = {}
_MOST_KEYS = 256


class Client:
    """The other end of one exchange; as a file it is the body, for ``wsgi.input``."""

    def __init__(self, receive: Receive, more: bool) -> None:
        self.gone = False
        self.more = more
        self.loaded = False
        self._receive = receive
        self._buffer = b""
        self._watching: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[Any] | None = None

    async def fill(self) -> None:
        """Receive until there is something to read, or the end."""
        while self.more and not self._buffer:
            message = await self._receive()
            if message["type"] != "http.request":
                self.gone, self.more = True, False
                break
            self._buffer = message.get("body", b"")
            self.more = message.get("more_body", False)
        if not self.more and self._owner:
            self._watch()

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of the body, and nothing at its end.

        Plain code waits for them; on the event loop they have to be there. Raises OSError where
        the client broke off.
        """
        if not self.loaded and asyncio._get_running_loop() is not None:
            raise RuntimeError(_NOT_LOADED)
        if not self._buffer and self.more:
            wait(self.fill())
        if self.gone and not self._buffer:
            raise ConnectionResetError("the client broke off")
        data, self._buffer = self._buffer, b""
        if 0 <= size < len(data):
            data, self._buffer = data[:size], data[size:]
        return data

    def watch(self) -> None:
        """Cancel the current task as soon as the client is gone, once its request is complete."""
        self._owner = asyncio.current_task()
        if not self.more:
            self._watch()

    def _watch(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._notice())

    async def _notice(self) -> None:
        message = await self._receive()
        if message["type"] == "http.request":  # the end of a body that there is not
            message = await self._receive()
        self.gone = message["type"] == "http.disconnect"
        if self.gone and self._owner:
            self._owner.cancel()

    def leave(self) -> None:
        """Watch no longer."""
        self._owner = None
        if self._watching:
            self._watching.cancel()


def client_of(scope: Scope, receive: Receive, environ: Environ) -> Client:
    """Return the client of a request, and put its body into the environ."""
    coded = "HTTP_TRANSFER_ENCODING" in environ
    more = coded or "CONTENT_LENGTH" in environ or scope["http_version"] not in ("1.1", "1.0")
    client = Client(receive, more)
    environ["wsgi.input"] = client
    if more and "CONTENT_LENGTH" not in environ:
        environ["wsgi.input_terminated"] = True
    return client


def environ_of(scope: Scope) -> Environ:
    """Return the environ (PEP 3333) of a request or a WebSocket.

    Headers whose name has an underscore are left out: they would look like others.
    """
    path = scope["path"]
    if not path.isascii():
        raw = scope.get("raw_path")
        path = (unquote_to_bytes(raw) if raw else path.encode("utf-8", "surrogatepass")).decode(
            "latin-1"
        )
    mounted = scope.get("root_path", "")
    if mounted:
        mounted = mounted.encode("utf-8", "surrogatepass").decode("latin-1")
        path = path.removeprefix(mounted)
    scheme = scope.get("scheme", "http")
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope.get("method", SOCKET),
        "SCRIPT_NAME": mounted,
        "PATH_INFO": path,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": _SCHEMES.get(scheme, scheme),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
    if client := scope.get("client"):
        environ["REMOTE_ADDR"] = client[0]
    for name, value in scope["headers"]:
        key = _keys.get(name) or _key(name)
        if key in environ:
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] += joint + value.decode("latin-1")
        elif key:
            environ[key] = value.decode("latin-1")
    if _PRIVATE in scope:
        environ.update(scope[_PRIVATE])
    return environ


def _key(name: bytes) -> str:
    """Return the key of a header in the environ; "" for one with an underscore."""
    text = name.decode("latin-1")
    key = "" if "_" in text else text.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH", ""):
        key = f"HTTP_{key}"
    if len(_keys) < _MOST_KEYS and key:
        _keys[name] = key
    return key
