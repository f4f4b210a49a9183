"""The client of an ASGI request: the environ that it makes, its body, and whether it is gone."""

from __future__ import annotations

import asyncio
import io
import sys
from collections import deque
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

_SCHEMES = {"ws": "http", "wss": "https"}
_IN_MEMORY = 1 << 16  # bytes of a body
_DIGITS = 20
_AHEAD = 1  # messages
_MOST_EMPTY = 8  # messages after the end, of a server that does not say that the client is gone
_FRAMED = ("1.1", "1.0")  # where a body has a header that says so
_LONGEST_KEPT = 2000  # bytes
_MOST_HEADERS = 32
_MOST_KEPT = 256
_NOT_KEPT = frozenset({b"cookie", b"authorization", b"proxy-authorization"}) | {
    name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in FORWARDING
}


class _Empty(io.BytesIO):
    """The body of all requests that have none."""

    def close(self) -> None:
        """Stay open for the others."""


_EMPTY = _Empty()

ADMITTED = "kit.admitted"
"""The key of the environ that says that its headers have been looked at before."""

PRIVATE = "kit.environ"
"""The key of a scope under which there are further keys for the environ."""
_keys: dict[bytes, str] = {}
_MOST_KEYS = 256


class Client:
    """The other end of one exchange; as a file it is the body, for ``wsgi.input``.

    `length` is that of the body, where it is known. Once the client is watched, a few messages
    are received ahead, and the current task is cancelled when the client is `gone`. It may have
    `cut` its body short.
    """

    __slots__ = (
        "_came",
        "_kept",
        "_left",
        "_owner",
        "_pieces",
        "_receive",
        "_taken",
        "_watching",
        "cut",
        "gone",
        "more",
    )

    def __init__(self, receive: Receive, *, more: bool, length: int | None = None) -> None:
        self.gone = False
        self.cut = False
        self.more = more
        self._left = length
        self._receive = receive
        self._pieces: deque[bytes] = deque()
        self._kept: IO[bytes] | None = None
        self._came: asyncio.Event | None = None
        self._taken: asyncio.Event | None = None
        self._watching: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[Any] | None = None

    def _take(self, message: Message) -> None:
        """Take a message of the server."""
        if message["type"] != "http.request":
            self.gone, self.cut, self.more = True, self.more, False
            return
        if body := message.get("body"):
            self._pieces.append(body)
        self.more = message.get("more_body", False)
        if self._left is not None:
            self._left -= len(body or b"")
            self.more = self.more and self._left > 0

    async def fill(self) -> None:
        """Receive until there is something to read, or the end."""
        if self._taken:
            self._taken.set()
        while self.more and not self._pieces:
            if self._came:
                self._came.clear()
                await self._came.wait()
            else:
                self._take(await self._receive())

    async def load(self, most: int, length: str | None) -> None:
        """Receive all of the body, for plain code to read; none of one that will be refused.

        So no thread waits for a slow client. What is large goes into a temporary file.
        """
        if length is not None and not (length.isdecimal() and int(length[:_DIGITS]) <= most):
            return
        await self.fill()
        if not self.more or self._kept:
            return
        self._kept = kept = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed in `leave`
        size = 0
        while self._pieces and size <= most:
            piece = self._pieces.popleft()
            size += len(piece)
            if size > _IN_MEMORY:
                await in_thread(kept.write, piece)
            else:
                kept.write(piece)
            await self.fill()
        kept.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of the body, and nothing at its end.

        Plain code waits for them. Raises OSError where the client broke off.
        """
        if self._kept and (data := self._kept.read(size)):
            return data
        if not self._pieces and self.more:
            wait(self.fill())
        if not self._pieces:
            if self.gone:
                raise ConnectionResetError("the client broke off")
            return b""
        data = self._pieces.popleft()
        if 0 <= size < len(data):
            self._pieces.appendleft(data[size:])
            data = data[:size]
        return data

    def watch(self) -> None:
        """Cancel the current task when the client is gone."""
        self._owner = asyncio.current_task()
        self._came, self._taken = asyncio.Event(), asyncio.Event()
        self._watching = asyncio.create_task(self._receive_ahead(self._came, self._taken))

    async def _receive_ahead(self, came: asyncio.Event, taken: asyncio.Event) -> None:
        for _ in range(_MOST_EMPTY):
            while self.more:
                while len(self._pieces) >= _AHEAD:
                    taken.clear()
                    await taken.wait()
                self._take(await self._receive())
                came.set()
            if not self.gone:
                self._take(await self._receive())  # the end of the body again, or of the client
            if self.gone:
                came.set()
                if self._owner:
                    self._owner.cancel()
                return

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
    if not sized:
        environ["wsgi.input_terminated"] = True
    length: str = environ.get("CONTENT_LENGTH", "")
    whole = length.isdecimal() and "HTTP_TRANSFER_ENCODING" not in environ
    size = int(length[:_DIGITS]) if whole else None
    environ["wsgi.input"] = client = Client(receive, more=size != 0, length=size)
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
        if (
            len(headers) <= _MOST_HEADERS
            and _NOT_KEPT.isdisjoint(name for name, _ in headers)
            and sum(len(name) + len(value) for name, value in headers) <= _LONGEST_KEPT
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
