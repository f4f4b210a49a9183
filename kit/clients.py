"""The client of an ASGI request: the environ that it makes, its body, and whether it is gone."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from kit.answers import Environ
from kit.routes import SOCKET
from kit.security.proxies import FORWARDING
from kit.waiting import in_thread, wait

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_NOT_LOADED = (
    "the body of the request has not come in yet, and to wait for it would stop the event loop:"
    " write `await request.load()` before, or read it with `async for piece in request.pieces()`"
)
_SCHEMES = {"ws": "http", "wss": "https"}
_IN_MEMORY = 1 << 16  # bytes of a body
_DIGITS = 20
_FRAMED = ("1.1", "1.0")  # where a body has a header that says so
_LONGEST_KEPT = 1000  # bytes of all values together
_MOST_KEPT = 256
_NOT_KEPT = frozenset({b"cookie", b"authorization", b"proxy-authorization"}) | {
    name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in FORWARDING
}
_EMPTY = io.BytesIO()

ADMITTED = "kit.admitted"
"""The key of the environ that says that its headers have been looked at before."""

PRIVATE = "kit.environ"
"""The key of a scope under which there are further keys for the environ."""
_keys: dict[bytes, str] = {}
_MOST_KEYS = 256


class Client:
    """The other end of one exchange; as a file it is the body, for ``wsgi.input``."""

    __slots__ = ("_buffer", "_kept", "_owner", "_receive", "_watching", "gone", "loaded", "more")

    def __init__(self, receive: Receive, more: bool) -> None:
        self.gone = False
        self.more = more
        self.loaded = False
        self._receive = receive
        self._buffer = b""
        self._kept: IO[bytes] | None = None
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

    async def load(self, most: int, length: str | None) -> None:
        """Receive all of the body, for plain code to read; none of one that will be refused.

        So no thread waits for a slow client. What is large goes into a temporary file.
        """
        if length is not None and not (length.isdecimal() and int(length[:_DIGITS]) <= most):
            return
        await self.fill()
        if not self.more or len(self._buffer) > most:
            return
        self._kept = kept = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed in `leave`
        size = 0
        while self._buffer:
            piece, self._buffer = self._buffer, b""
            size += len(piece)
            if size > _IN_MEMORY:
                await in_thread(kept.write, piece)
            else:
                kept.write(piece)
            if size > most:
                break
            await self.fill()
        kept.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of the body, and nothing at its end.

        Plain code waits for them; on the event loop they have to be there. Raises OSError where
        the client broke off.
        """
        if not self.loaded and asyncio._get_running_loop() is not None:
            raise RuntimeError(_NOT_LOADED)
        if self._kept and (data := self._kept.read(size)):
            return data
        if not self._buffer and self.more:
            wait(self.fill())
        if self.gone and not self._buffer:
            raise ConnectionResetError("the client broke off")
        data, self._buffer = self._buffer, b""
        if 0 <= size < len(data):
            data, self._buffer = data[:size], data[size:]
        return data

    def watch(self) -> None:
        """Cancel the current task when the client is gone, from when its request is complete."""
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
        """Watch no longer, and forget the body."""
        self._owner = None
        if self._watching:
            self._watching.cancel()
        if self._kept:
            self._kept.close()


def client_of(scope: Scope, receive: Receive, environ: Environ) -> Client | None:
    """Put the body of a request into its environ, and return its client; None without a body."""
    sized = "CONTENT_LENGTH" in environ
    if not sized and "HTTP_TRANSFER_ENCODING" not in environ and scope["http_version"] in _FRAMED:
        return None
    environ["wsgi.input"] = client = Client(receive, more=True)
    if not sized:
        environ["wsgi.input_terminated"] = True
    return client


class Environs:
    """Makes the environs (PEP 3333) of requests and WebSockets.

    Clients send the same headers again and again: what they came to is kept for the latest ones,
    unless they are long or secret. `ADMITTED` is in the environ of headers that passed before.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Environ] = {}

    def known(self, scope: Scope) -> Environ | None:
        """Return what is kept of requests like this one, for all of them: not to be changed."""
        try:
            return self._known.get(
                (scope.get("method"), scope.get("server"), scope["http_version"], *scope["headers"])
            )
        except TypeError:  # a server may have lists in place of tuples
            return None

    def make(self, scope: Scope, known: Environ | None = None) -> Environ:
        """Return the environ of a scope, from what is `known` of its headers.

        Headers whose name has an underscore are left out: they would look like others.
        """
        environ = known.copy() if known else _read(scope)
        if query := scope["query_string"]:
            environ["QUERY_STRING"] = query.decode("latin-1")
        environ["asgi.scope"] = scope
        scheme = scope.get("scheme", "http")
        environ["wsgi.url_scheme"] = _SCHEMES.get(scheme, scheme)
        path = scope["path"]
        environ["PATH_INFO"] = path if path.isascii() else _latin(scope, path)
        if mounted := scope.get("root_path"):
            environ["SCRIPT_NAME"] = mounted = mounted.encode(errors="replace").decode("latin-1")
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(mounted)
        if client := scope.get("client"):
            environ["REMOTE_ADDR"] = client[0]
        if PRIVATE in scope:
            environ.update(scope[PRIVATE])
        return environ

    def keep(self, scope: Scope) -> None:
        """Note that a request with these headers was admitted."""
        headers = scope["headers"]
        if _NOT_KEPT.isdisjoint(name for name, _ in headers) and (
            sum(len(value) for _, value in headers) <= _LONGEST_KEPT
        ):
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            key = (scope.get("method"), scope.get("server"), scope["http_version"], *headers)
            with suppress(TypeError):
                self._known[key] = _read(scope) | {ADMITTED: True}


def _read(scope: Scope) -> Environ:
    """Return what an environ says of the server and the headers."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope.get("method", SOCKET),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": _EMPTY,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = _keys.get(name) or _key(name)
        if key in environ:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value.decode("latin-1")
        elif key:
            environ[key] = value.decode("latin-1")
    return environ


def _latin(scope: Scope, path: str) -> str:
    """Return a path as the bytes that were sent, each a character, as PEP 3333 wants it."""
    raw = scope.get("raw_path")
    return (unquote_to_bytes(raw) if raw else path.encode(errors="surrogatepass")).decode("latin-1")


def _key(name: bytes) -> str:
    """Return the key of a header in the environ; "" for one with an underscore."""
    text = name.decode("latin-1")
    key = "" if "_" in text else text.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH", ""):
        key = f"HTTP_{key}"
    if len(_keys) < _MOST_KEYS and key:
        _keys[name] = key
    return key
