"""Channels over the messages of Redis (PUBLISH and SUBSCRIBE).

One connection of each event loop listens for all of its subscriptions. The library's own PubSub
connects again by itself, and nobody learns which messages were missed; here a connection that is
lost ends the subscriptions on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from kit.errors import Unavailable
from kit.options import Secret
from kit.slots.channels import ChannelsOptions, Inbox, Rooms
from kit.waiting import PerLoop
from kit_redis import clients
from kit_redis.clients import check_namespace, check_url, open_client

QUIET = 10.0  # seconds without a message until Redis is asked whether it is still there
AWAY = "what carries messages (redis) does not answer, or the connection is lost"


@dataclass(frozen=True, kw_only=True)
class RedisChannelsOptions(ChannelsOptions):
    """Options of the component ``redis``.

    `url` is the server: ``redis://:password@host:6379/0``. `namespace` begins the names of the
    channels there, so that applications can share one: the number of a database keeps no messages
    apart.
    """

    url: Secret
    namespace: str = "channels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_namespace(self.namespace)


class RedisChannels:
    """Carries messages through Redis, for any number of processes and machines."""

    def __init__(self, options: RedisChannelsOptions) -> None:
        self.options = options
        check_url(options.url)
        self._ends = PerLoop(lambda: _End(options), _End.close)

    async def publish(self, channel: str, message: bytes) -> None:
        """Send `message`, and return when Redis has taken it."""
        try:
            await self._ends.here().client.publish(self._name(channel), message)
        except RedisError as error:
            raise Unavailable(AWAY) from error

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield an inbox when Redis has confirmed that it sends the messages of the channel."""
        name, inbox = self._name(channel), Inbox(self.options.backlog)
        listener = self._ends.here().listening()
        try:
            await listener.enter(name, inbox)
            yield inbox
        finally:
            await listener.leave(name, inbox)

    async def close(self) -> None:
        """End all subscriptions, and close all connections."""
        await self._ends.close()

    def _name(self, channel: str) -> bytes:
        return f"{self.options.namespace}:{channel}".encode("utf-8", "surrogatepass")


class _End:
    """What one event loop has of Redis: a client to publish, and what listens, if anybody does."""

    def __init__(self, options: RedisChannelsOptions) -> None:
        self.client = open_client(options.url, options.namespace)
        self._listener: _Listener | None = None

    def listening(self) -> _Listener:
        """Return what listens."""
        if self._listener is None or self._listener.is_over:
            pool: Any = self.client.connection_pool
            self._listener = _Listener(pool.make_connection())
        return self._listener

    async def close(self) -> None:
        """End all subscriptions, and close the connections."""
        if self._listener is not None:
            await self._listener.close()
        await self.client.aclose()


class _Listener:
    """A connection that listens from the first subscription to the last, or until it is lost.

    A task reads from it, and another writes the commands in the order of the subscriptions, so
    that a subscriber who is cancelled does not end the connection of the others.
    """

    def __init__(self, connection: Any) -> None:
        self.is_over = False
        self._cause: Exception | None = None
        self._connection = connection
        self._rooms = Rooms()
        self._confirmed: dict[bytes, asyncio.Event] = {}
        self._commands: asyncio.Queue[tuple[str | bytes, ...]] = asyncio.Queue()
        self._expected: deque[asyncio.Event] = deque()  # one for each answer to come
        self._task = asyncio.create_task(self._run())

    async def enter(self, name: bytes, inbox: Inbox) -> None:
        """Subscribe an inbox, and return when messages come into it."""
        if self._rooms.enter(name, inbox):
            self._confirmed[name] = self._send("SUBSCRIBE", name)
        try:
            async with asyncio.timeout(2 * clients.TIMEOUT):
                await self._confirmed[name].wait()
        except TimeoutError as error:
            raise Unavailable(AWAY) from error
        if self.is_over:
            raise Unavailable(AWAY) from self._cause

    async def leave(self, name: bytes, inbox: Inbox) -> None:
        """End the subscription of an inbox; the last one closes the connection."""
        if self._rooms.leave(name, inbox) and not self.is_over:
            del self._confirmed[name]
            if self._rooms:
                self._send("UNSUBSCRIBE", name)
            else:
                await self.close()

    def _send(self, command: str, name: bytes) -> asyncio.Event:
        self._commands.put_nowait((command, name))
        self._expected.append(asyncio.Event())
        return self._expected[-1]

    async def close(self) -> None:
        """End what is subscribed, and close the connection."""
        self._end("the channels are closed: the application stops")
        self._task.cancel()
        await asyncio.wait([self._task])

    def _end(self, why: str) -> None:
        self.is_over = True
        self._rooms.end(why, self._cause)
        for confirmed in self._expected:
            confirmed.set()

    async def _run(self) -> None:
        try:
            await self._connection.connect()
            writing = asyncio.create_task(self._write())
            try:
                await self._read()
            finally:
                self.is_over = True
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        except Exception as error:
            self._cause = error
        finally:
            self._end(AWAY)
            await self._connection.disconnect(nowait=True)

    # Both ask whether it is over: asyncio.wait_for, with which the library sends, may swallow that
    # they are cancelled (Python 3.11).

    async def _write(self) -> None:
        with suppress(RedisError):  # which closes the connection, and that ends the reading
            while not self.is_over:
                await self._connection.send_command(*await self._commands.get())

    async def _read(self) -> None:
        asked = False
        while not self.is_over:
            answer: Any = await self._connection.read_response(timeout=QUIET)
            if answer is None:
                if asked:
                    raise RedisError("the server is silent")
                self._commands.put_nowait(("PING",))
            elif answer[0] == b"message":
                self._rooms.put(answer[1], answer[2])
                await asyncio.sleep(0)  # the turn of the readers, if more has arrived already
            elif answer[0] in (b"subscribe", b"unsubscribe"):
                self._expected.popleft().set()
            asked = answer is None
