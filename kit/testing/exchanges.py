"""An ASGI application as a WSGI one, for the test client: one request is one exchange."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

from kit.answers import Environ, Header
from kit.gateways import WSGI, StartResponse
from kit.testing.scopes import scope, texts
from kit.waiting import wait

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
Message = dict[str, Any]

PATIENCE = 10.0  # seconds for an application to end after its client is gone
_PIECE = 64 * 1024


def over_asgi(asgi: ASGI) -> WSGI:
    """Return a WSGI callable that sends each request through an ASGI application.

    Bodies go in pieces. The answer is there when its first chunk is, or, if there is but one, when
    the application has returned; after that it is at most one chunk ahead of who reads. To close
    the answer early is to disconnect. Exceptions of the application are raised here.
    """

    def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        exchange = Exchange(asgi, environ)
        wait(exchange.begin())
        start_response(exchange.status, exchange.headers)
        return exchange

    return wsgi


class Exchange:
    """One request and its answer, of which it is an iterator over the chunks."""

    def __init__(self, asgi: ASGI, environ: Environ) -> None:
        self.status = ""
        self.headers: list[Header] = []
        self._asgi = asgi
        self._scope = scope(environ)
        self._input = environ["wsgi.input"]
        self._left = _length(environ)
        self._turn = asyncio.Condition()
        self._chunks: deque[bytes] = deque()
        self._more_to_send = True  # of the request
        self._more_to_come = True  # of the answer
        self._gone = False  # the client
        self._ended = False  # the application
        self._error: BaseException | None = None

    async def begin(self) -> None:
        """Send the request, and wait for the answer."""
        self._task = asyncio.create_task(self._run())
        async with self._turn:
            await self._turn.wait_for(lambda: self._ended or (self._chunks and self._more_to_come))
        if self._error and not self._chunks:
            raise self._error
        if not self.status:
            raise RuntimeError("the ASGI application returned, and sent no http.response.start")

    async def _run(self) -> None:
        try:
            await self._asgi(self._scope, self._receive, self._send)
        except BaseException as error:
            self._error = error
        finally:
            async with self._turn:
                self._ended = True
                self._turn.notify_all()

    async def _receive(self) -> Message:
        if self._more_to_send:
            try:
                piece = await asyncio.to_thread(self._read)
            except OSError:  # how a test breaks off
                return {"type": "http.disconnect"}
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": self._more_to_send}
        async with self._turn:
            await self._turn.wait_for(lambda: self._gone or not self._more_to_come)
        return {"type": "http.disconnect"}

    def _read(self) -> bytes | None:
        """Return the next piece of the body; None where it is shorter than was announced."""
        size = _PIECE if self._left is None else min(_PIECE, self._left)
        piece: bytes = self._input.read(size)
        if self._left is not None:
            self._left -= len(piece)
        self._more_to_send = bool(piece) if self._left is None else self._left > 0
        return None if self._more_to_send and not piece else piece

    async def _send(self, message: Message) -> None:
        async with self._turn:
            if self._gone:
                raise OSError("the client is gone")
            if message["type"] == "http.response.start":
                self.status = _status_line(message["status"])
                self.headers = texts(message.get("headers", ()))
                return
            self._more_to_come = message.get("more_body", False)
            if self._more_to_come or message.get("body"):
                self._chunks.append(message.get("body", b""))
            self._turn.notify_all()
            if self._more_to_come:
                await self._turn.wait_for(lambda: self._gone or len(self._chunks) < 2)

    def __iter__(self) -> Exchange:
        return self

    def __next__(self) -> bytes:
        """Return the next chunk of the answer, when it is there."""
        chunk = wait(self._next())
        if chunk is None:
            raise StopIteration
        return chunk

    async def _next(self) -> bytes | None:
        async with self._turn:
            await self._turn.wait_for(lambda: self._chunks or self._ended)
            self._turn.notify_all()
            if self._chunks:
                return self._chunks.popleft()
        if self._error:
            raise self._error
        return None

    def close(self) -> None:
        """Disconnect, if there is more to come; return when the application has returned."""
        if not self._ended:
            wait(self._close())

    async def _close(self) -> None:
        async with self._turn:
            self._gone = True
            self._turn.notify_all()
        done, _ = await asyncio.wait([self._task], timeout=PATIENCE)
        if not done:
            self._task.cancel()
            raise TimeoutError(
                f"the client is gone, and the handler goes on for more than {PATIENCE:.0f} seconds"
            )
        if self._error and not isinstance(self._error, OSError):
            raise self._error


def _length(environ: Environ) -> int | None:
    """Return the length of the body that is announced; None where the body itself says it."""
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit():
        return int(length)
    coded = environ.get("HTTP_TRANSFER_ENCODING") or environ.get("wsgi.input_terminated")
    return None if coded else 0


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
