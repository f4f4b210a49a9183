"""WebSockets (RFC 6455): what a handler gets as ``socket``.

The server does the protocol, and the answers to pings. Here are the rules for the handler: what
may be sent when, how much may come in, and how each end of a handler ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from werkzeug.exceptions import BadRequest, HTTPException

from kit import jsons
from kit.answers import Answer, Header, Stream, merge
from kit.errors import KitError
from kit.options import Size

if TYPE_CHECKING:
    from kit.assembly import Limits

logger = logging.getLogger("kit")

LONGEST_REASON = 123
"""The most bytes of a reason to close (RFC 6455, section 5.5)."""

PATIENCE = 1.0
"""The seconds that a server which stops is given to tell a client so."""

_CODES = {400: 1007, 413: 1009, 422: 1007, 429: 1013, 503: 1013}  # by status
_OWN_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


class SocketClosed(Exception):  # noqa: N818 - that it ends is no error
    """The connection is closed, with `code` and `reason` (RFC 6455, section 7.4).

    The code is 1005 or 1006 where the client went without one.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"the WebSocket is closed with {code}{reason and ': '}{reason}")


class Socket:
    """One WebSocket, as a handler sees it.

    It is accepted with the first message that is sent or waited for. ``async for message in
    socket`` gives text as str and binary messages as bytes, in order, and ends when the connection
    is closed. Several tasks may send; one reads. One message is read ahead, so that whoever sends
    is told when the client is gone, and a handler that never reads is cancelled.

    `environ` is the environ of the handshake, `offered` are the subprotocols that the client
    offers, and `limits` those of the route.
    """

    __slots__ = (
        "_ahead",
        "_closed",
        "_owner",
        "_reading",
        "_receive",
        "_send",
        "_turn",
        "_unread",
        "accepted",
        "environ",
        "limits",
        "offered",
    )

    def __init__(
        self,
        environ: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self.environ = environ
        self.offered: tuple[str, ...] = tuple(environ["asgi.scope"].get("subprotocols") or ())
        self.accepted = False
        self.limits = limits
        self._receive = receive
        self._send = send
        self._turn = asyncio.Lock()  # servers are not asked to send two messages at once
        self._owner = asyncio.current_task()
        self._ahead: asyncio.Task[str | bytes | None] | None = None
        self._unread = True
        self._reading = False
        self._closed: tuple[int, str] | None = None

    @property
    def code(self) -> int | None:
        """The code that the connection was closed with, by either side; None while it is open."""
        return self._closed[0] if self._closed else None

    async def accept(
        self, *subprotocols: str, headers: Mapping[str, str] | Iterable[Header] = ()
    ) -> str:
        """Accept the connection; return the first of `subprotocols` that the client offers, or "".

        `headers` go out with the answer. To refuse the connection raise instead, for example by
        `kit.abort`. Raises RuntimeError if it is accepted already.
        """
        chosen = next((one for one in subprotocols if one in self.offered), "")
        lines: list[Header] = []
        merge(lines, headers.items() if isinstance(headers, Mapping) else headers)
        if wrong := [name for name, _ in lines if name.lower().startswith("sec-websocket-")]:
            raise ValueError(f"the server says {wrong[0]} itself: name subprotocols, to choose one")
        async with self._turn:
            if self.accepted:
                raise RuntimeError("the WebSocket is accepted already: accept it first of all")
            await self._accept(chosen, lines)
        return chosen

    async def _accept(self, subprotocol: str = "", headers: Iterable[Header] = ()) -> None:
        if self.accepted:
            return
        await self._connected()
        message: dict[str, Any] = {"type": "websocket.accept", "headers": _encoded(headers)}
        if subprotocol:
            message["subprotocol"] = subprotocol
        await self._put(message)
        self.accepted = True
        self._ahead = asyncio.create_task(self._read())

    async def _connected(self) -> None:
        """Take the first message of the server, with which it asks whether to accept."""
        if not self._closed and (await self._receive())["type"] != "websocket.connect":
            self._end(1006)
        if self._closed:
            raise SocketClosed(*self._closed)

    async def _read(self) -> str | bytes | None:
        """Read a message ahead; None is the end."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            text: str | None = message.get("text")
            return bytes(message["bytes"]) if text is None else text
        self._end(int(message.get("code") or 1005), message.get("reason") or "")
        if self._unread and self._owner:  # there is nobody else to tell
            self._owner.cancel()
        return None

    def _end(self, code: int, reason: str = "") -> None:
        self._closed = self._closed or (code, reason)

    async def _put(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:  # RuntimeError: the server has closed by itself
            self._end(1006)
            raise SocketClosed(*self._closed or (1006,)) from error

    async def receive(self) -> str | bytes:
        """Wait for the next message; raise `SocketClosed` at the end.

        One that is larger than ``[limits] message`` closes the connection with 1009. Whoever is
        cancelled while waiting loses no message.
        """
        if not self.accepted:
            async with self._turn:
                await self._accept()
        if self._reading:
            raise RuntimeError("two tasks read from one WebSocket: let one of them read")
        self._unread, self._reading = False, True
        try:
            message = await self._next()
        finally:
            self._reading = False
        if message is None:
            raise SocketClosed(*self._closed or (1006,))
        if self._is_too_large(message):
            await self.close(1009, f"A message has at most {Size(self.limits.message)}.")
            raise SocketClosed(*self._closed or (1009,))
        self._ahead = asyncio.create_task(self._read())
        return message

    async def _next(self) -> str | bytes | None:
        ahead = self._ahead
        if self._closed or ahead is None:
            return None
        await asyncio.wait({ahead})
        return None if ahead.cancelled() else ahead.result()

    def _is_too_large(self, message: str | bytes) -> bool:
        most = self.limits.message
        if isinstance(message, str) and len(message) <= most < 4 * len(message):
            return len(message.encode()) > most
        return len(message) > most

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except SocketClosed:
            raise StopAsyncIteration from None

    async def json(self) -> Any:
        """Wait for the next message, and return what it says in JSON (RFC 8259).

        Raises BadRequest for any other; the connection is closed with 1007 unless that is caught.
        """
        message = await self.receive()
        try:
            return jsons.loads(message.encode() if isinstance(message, str) else message)
        except ValueError as error:
            raise BadRequest(f"The message is not valid JSON: {error}") from error

    async def send(self, message: str | bytes) -> None:
        """Send text or bytes; wait while the client takes no more; raise `SocketClosed` at the end.

        Not everything that was sent has come to the client when it is gone: let it answer, if that
        matters.
        """
        if isinstance(message, str):
            out: dict[str, Any] = {"type": "websocket.send", "text": message}
        elif isinstance(message, (bytes, bytearray, memoryview)):
            out = {"type": "websocket.send", "bytes": bytes(message)}
        else:
            what = type(message).__name__
            raise TypeError(f"send takes text or bytes, not {what}: send_json(...) sends data")
        async with self._turn:
            await self._accept()
            if self._closed:
                raise SocketClosed(*self._closed)
            await self._put(out)

    async def send_json(self, data: Any) -> None:
        """Send data as the text of its JSON: what a handler may return as data."""
        await self.send(msgspec.json.encode(data).decode())

    @asynccontextmanager
    async def relaying(self, messages: AsyncIterable[Any]) -> AsyncIterator[None]:
        """Send each of `messages` on while the block reads from the socket, or waits.

        Text and bytes go out as they are, other data as JSON. The end of the block ends the
        sending. If the messages raise, the block is cancelled, and that is raised behind it.
        """
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                relay = tasks.create_task(self._relay(messages))
                yield
                relay.cancel()
        except BaseExceptionGroup as group:
            failed = group.exceptions[0]
        if failed is not None:
            raise failed

    async def _relay(self, messages: AsyncIterable[Any]) -> None:
        try:
            with suppress(SocketClosed):  # the block comes to know it when it reads
                async for one in messages:
                    if isinstance(one, (str, bytes)):
                        await self.send(one)
                    else:
                        await self.send_json(one)
        finally:
            if isinstance(messages, AsyncGenerator):
                await messages.aclose()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, unless it is closed; nothing is sent or received after that.

        `code` is 1000 to 1003, 1007 to 1014, or one of your own from 3000 to 4999. `reason` has
        at most 123 bytes. Raises ValueError for others.
        """
        if code not in _OWN_CODES:
            raise ValueError(f"{code!r} is no code to close with: take 1000, or 4000 to 4999")
        if len(reason.encode()) > LONGEST_REASON:
            raise ValueError(f"the reason is longer than {LONGEST_REASON} bytes: {reason!r}")
        with suppress(SocketClosed):
            async with self._turn:
                await self._accept()
                if self._closed:
                    return
                self._end(code, reason)
                await self._stop()  # granian does not close beside a reader
                await self._put({"type": "websocket.close", "code": code, "reason": reason})

    async def _stop(self) -> None:
        """Read no longer."""
        ahead = self._ahead
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait({ahead})
            if not ahead.cancelled():
                ahead.exception()

    async def refuse(self, answer: Answer) -> None:
        """Answer the handshake instead of accepting it (for the gateway).

        A server that cannot send answers makes it a 403.
        """
        line, headers, chunks = answer
        body = b"".join(chunks) if not isinstance(chunks, Stream) else await _whole(chunks)
        with suppress(SocketClosed):
            await self._connected()
            self._end(1006)
            extensions = self.environ["asgi.scope"].get("extensions") or {}
            kind = "websocket.http.response"
            if kind not in extensions:
                await self._put({"type": "websocket.close"})
                return
            start = {"type": f"{kind}.start", "status": int(line[:3]), "headers": _encoded(headers)}
            await self._put(start)
            await self._put({"type": f"{kind}.body", "body": body})

    async def end(self, error: BaseException | None) -> None:
        """Close as the handler ended: it returned, or raised `error` (for the gateway).

        Raises `error` again unless it is dealt with: before the connection is accepted, where it
        says how to `refuse`, and a cancel that did not come from here.
        """
        self._unread = False
        try:
            await self._close_for(_only(error))
        finally:
            if not isinstance(error, GeneratorExit):
                await self._stop()

    async def _close_for(self, error: BaseException | None) -> None:
        if error is None:
            await self.close()
        elif isinstance(error, SocketClosed) and self._closed:
            return
        elif isinstance(error, asyncio.CancelledError) and self.accepted:
            if self._closed:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self.close(1001, "The server stops.")
            raise error
        elif isinstance(error, Exception) and self.accepted:
            status, reason = _told(error)
            code = _CODES.get(status, 1008 if status < 500 else 1011)
            if status >= 500:
                path = ascii(self.environ.get("PATH_INFO"))
                logger.error("%s for the WebSocket %s", code, path, exc_info=error)
            await self.close(code, reason)
        else:
            raise error


def _encoded(headers: Iterable[Header]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


async def _whole(stream: Stream) -> bytes:
    body = b""
    while (chunk := await stream.next()) is not None:
        body += chunk
    return body


def _only(error: BaseException | None) -> BaseException | None:
    """Return the first error of a group of tasks that is more than the end of a connection."""
    while isinstance(error, BaseExceptionGroup):
        closed, rest = error.split(SocketClosed)
        error = (rest or closed or error).exceptions[0]
    return error


def _told(error: Exception) -> tuple[int, str]:
    """Return the status of an error, and what a client may know of it."""
    if isinstance(error, KitError):
        status, reason = error.status, str(error)
    elif isinstance(error, HTTPException):
        status, reason = error.code or 500, error.description or ""
    else:
        return 500, ""
    cut = reason.encode(errors="replace")[:LONGEST_REASON].decode(errors="ignore")
    return status, cut if status < 500 else ""
