"""WebSockets for tests, in plain code: what the client of a WebSocket sends, gets and sees."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from kit.answers import Environ, Header
from kit.sockets import SocketClosed
from kit.testing.scopes import scope, texts
from kit.waiting import wait

Message = dict[str, Any]


class SocketRefused(Exception):  # noqa: N818 - what a test expects is no error
    """The application answered a handshake with a status instead of a WebSocket."""

    def __init__(self, status: int, headers: Sequence[Header] = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = list(headers)
        self.body = body
        super().__init__(f"the WebSocket was refused with {status}")


class WebSocket:
    """The client's end of a WebSocket, open within a ``with`` block.

    To enter it raises `SocketRefused` where the handshake is refused. To leave it closes the
    WebSocket, and raises what the handler raised.
    """

    def __init__(
        self, asgi: Any, environ: Environ, subprotocols: Sequence[str], timeout: float
    ) -> None:
        self.subprotocol: str | None = None
        self.headers: list[Header] = []
        self._asgi = asgi
        self._timeout = timeout
        self._scope = scope(environ, "websocket")
        self._scope["subprotocols"] = list(subprotocols)
        if subprotocols:
            offered = ", ".join(subprotocols).encode("latin-1")
            self._scope["headers"].append((b"sec-websocket-protocol", offered))
        self._turn = asyncio.Condition()
        self._sent: deque[Message] = deque([{"type": "websocket.connect"}])
        self._come: deque[Message] = deque()
        self._gone = False
        self._ended = False
        self._error: BaseException | None = None

    def __enter__(self) -> WebSocket:
        wait(self._begin())
        return self

    async def _begin(self) -> None:
        self._task = asyncio.create_task(self._run())
        try:
            answer = await self._next("an answer to the handshake")
            if answer["type"] == "websocket.accept":
                self.subprotocol = answer.get("subprotocol")
                self.headers = texts(answer.get("headers", ()))
                return
            refused = await self._refused(answer)
        except BaseException:
            self._task.cancel()
            raise
        await self._leave(1006)
        raise refused

    async def _refused(self, answer: Message) -> SocketRefused:
        if answer["type"] == "websocket.close":
            return SocketRefused(403)
        body = b""
        more = True
        while more:
            part = await self._next("the rest of the answer to the handshake")
            body += part.get("body", b"")
            more = part.get("more_body", False)
        return SocketRefused(answer["status"], texts(answer.get("headers", ())), body)

    def send(self, message: str | bytes) -> None:
        """Send text or bytes.

        Raises `SocketClosed` where the application has closed the WebSocket.
        """
        kind = "text" if isinstance(message, str) else "bytes"
        wait(self._put({"type": "websocket.receive", kind: message}))

    def send_json(self, data: Any) -> None:
        """Send data as text in JSON."""
        self.send(json.dumps(data))

    def receive(self) -> str | bytes:
        """Return the next text or bytes that the application sends; wait for it.

        Raises `SocketClosed` once the application has closed the WebSocket.
        """
        message = wait(self._next("a message"))
        if message["type"] == "websocket.close":
            raise _closed(message)
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    def receive_json(self) -> Any:
        """Return the data of the next message, which is JSON."""
        return json.loads(self.receive())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket, and return when the handler has returned; raise what it raised.

        What the application sent before is lost.
        """
        wait(self._leave(code, reason))
        if self._error and not isinstance(self._error, OSError):
            raise self._error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            wait(self._leave(1000))

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
        async with self._turn:
            await self._turn.wait_for(lambda: self._sent)
            if len(self._sent) == 1 and self._gone:
                return self._sent[0]  # the disconnect, as often as it is asked for
            return self._sent.popleft()

    async def _send(self, message: Message) -> None:
        async with self._turn:
            if self._gone:
                raise OSError("the client is gone")
            self._come.append(message)
            self._turn.notify_all()

    async def _put(self, message: Message) -> None:
        async with self._turn:
            if self._come and self._come[-1]["type"] == "websocket.close":
                raise _closed(self._come[-1])
            self._sent.append(message)
            self._turn.notify_all()

    async def _next(self, what: str) -> Message:
        """Return what the application sends next."""
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                await self._turn.wait_for(lambda: self._come or self._ended)
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {self._timeout} seconds") from None
        if self._come:
            last = self._come[0]["type"] == "websocket.close"
            return self._come[0] if last else self._come.popleft()
        if self._error:
            raise self._error
        raise RuntimeError("the ASGI application returned, and left the WebSocket as it was")

    async def _leave(self, code: int, reason: str = "") -> None:
        async with self._turn:
            if not self._gone:
                self._gone = True
                farewell = {"type": "websocket.disconnect", "code": code, "reason": reason}
                self._sent.append(farewell)
                self._turn.notify_all()
        done, _ = await asyncio.wait([self._task], timeout=self._timeout)
        if not done:
            self._task.cancel()
            raise TimeoutError(
                f"the client is gone, and the handler goes on for more than {self._timeout} seconds"
            )


def _closed(message: Message) -> SocketClosed:
    return SocketClosed(message.get("code", 1000), message.get("reason") or "")
