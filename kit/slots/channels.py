"""Channels: messages to everybody who listens, in one process or in all of them.

A component carries bytes. What a message may be, how long it and the names of channels are, and
what happens to a subscriber who does not keep up, is the same on all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, NoReturn, Protocol

from kit.components import Slot
from kit.errors import InvalidValue, KitError, Unavailable
from kit.options import Size
from kit.plugins import hookimpl
from kit.providers import provider
from kit.tagged import KEPT, dumps, loads
from kit.waiting import wait

_MEBIBYTE = Size(1 << 20)
_LONGEST_NAME = 255
_TEXT, _BYTES, _DATA = b"t", b"b", b"d"  # what a message begins with on its way


@dataclass(frozen=True, kw_only=True)
class ChannelsOptions:
    """Options that mean the same for every component.

    `message` is the size of the largest message. `backlog` is how many messages wait for a
    subscriber: one who falls further behind gets these, and then `Lagging`.
    """

    message: Size = _MEBIBYTE
    backlog: int = 1000

    def __post_init__(self) -> None:
        if self.message < 1 or self.backlog < 1:
            raise ValueError("message and backlog are at least 1")


class Lagging(KitError):
    """A subscriber did not keep up with the messages, and has lost some: 503."""

    status = 503


class Broker(Protocol):
    """Carries bytes from those who publish to those who subscribed. Event loops and threads share
    one component, and processes what it connects to.

    The factory names ``options`` and keeps it as the attribute `options`. A component that cannot
    do everything says so in ``lacks``. `Rooms` keeps who is subscribed to what. A failure of the
    server is raised as `kit.errors.Unavailable`.
    """

    options: ChannelsOptions

    async def publish(self, channel: str, message: bytes) -> None:
        """Send `message` to everybody who is subscribed to `channel`, whoever they are, once.

        The messages of one who awaits each of them arrive in order. `channel` is any text, and no
        character of it means anything. It raises if the message may not have been sent.
        """
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Return a context that yields the messages published to `channel` from its start on.

        Whatever is published once it is entered comes, or the iterator raises: `Lagging` after
        the `backlog` of the options, Unavailable where the connection is lost. Left, it leaves
        nothing behind, neither here nor on a server.
        """
        ...

    async def close(self) -> None:
        """End all subscriptions with Unavailable, and close all connections."""
        ...


class Inbox:
    """The messages that wait for one subscriber: an asynchronous iterator for one reader.

    It belongs to the event loop that makes it, and coroutines of any other may fill it.
    """

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._messages: deque[bytes] = deque()
        self._ended: KitError | None = None

    def put(self, message: bytes) -> None:
        """Add a message; with more than the backlog waiting the subscription is over."""
        if self._ended is not None:
            return
        if len(self._messages) < self._backlog:
            self._messages.append(message)
            self._wake()
        else:
            self.end(Lagging(f"a subscriber is more than {self._backlog} messages behind"))

    def end(self, error: KitError) -> None:
        """Let the reader have what waits, and then raise `error`."""
        self._ended = self._ended or error
        self._wake()

    def _wake(self) -> None:
        if asyncio.get_running_loop() is self._loop:
            self._arrived.set()
        else:
            with suppress(RuntimeError):  # that loop is closed, and its reader gone
                self._loop.call_soon_threadsafe(self._arrived.set)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next message as soon as there is one; raise what ended the subscription."""
        while not self._messages:
            if self._ended is not None:
                raise self._ended
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()


class Rooms:
    """Who is subscribed to what: the inboxes of each channel. Threads share one object."""

    def __init__(self) -> None:
        self._inboxes: dict[bytes | str, set[Inbox]] = {}
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._inboxes)

    def enter(self, channel: bytes | str, inbox: Inbox) -> bool:
        """Add an inbox; return whether it is the first of the channel."""
        with self._lock:
            inboxes = self._inboxes.setdefault(channel, set())
            inboxes.add(inbox)
            return len(inboxes) == 1

    def leave(self, channel: bytes | str, inbox: Inbox) -> bool:
        """Take an inbox out; return whether it was the last of the channel."""
        with self._lock:
            inboxes = self._inboxes.get(channel, set())
            inboxes.discard(inbox)
            return not inboxes and self._inboxes.pop(channel, None) is not None

    def put(self, channel: bytes | str, message: bytes) -> None:
        """Add a message to all inboxes of a channel."""
        with self._lock:
            for inbox in self._inboxes.get(channel, ()):
                inbox.put(message)

    def end(self, why: str, cause: BaseException | None = None) -> None:
        """End all subscriptions with Unavailable, and forget them."""
        with self._lock:
            for inboxes in self._inboxes.values():
                for inbox in inboxes:
                    error = Unavailable(why)
                    error.__cause__ = cause
                    inbox.end(error)
            self._inboxes.clear()


class Channels:
    """What coroutine functions get by naming ``channels``. One object serves the application."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._options = broker.options

    async def publish(self, channel: str, message: Any) -> None:
        """Send a message to everybody who is subscribed to `channel`, here and elsewhere.

        It is a text, bytes, or data as a session keeps it, and arrives as what it is. Nobody may
        be there: that is no error. Raises `kit.errors.InvalidValue` where the message or the name
        of the channel is too long, TypeError for what cannot be sent, and
        `kit.errors.Unavailable` where it may not have been sent.
        """
        packed = _packed(message)
        if len(packed) > self._options.message + 1:
            raise InvalidValue(
                f"a message of {len(packed) - 1} bytes is too long: [channels] message allows"
                f" {self._options.message}"
            )
        await self._broker.publish(_checked(channel), packed)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[Any]]:
        """Receive what is published to `channel` from now on, one's own messages too::

            async with channels.subscribe("chat.lobby") as messages:
                async for message in messages:
                    ...

        The loop ends with `Lagging` for a reader who does not keep up, and with
        `kit.errors.Unavailable` where the connection is lost: no message is missing before.
        """
        async with self._broker.subscribe(_checked(channel)) as messages:
            yield _Messages(messages)


class _Messages:
    """The messages of a subscription, as they were published."""

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self._messages = messages

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return _unpacked(await anext(self._messages))


def _checked(channel: str) -> str:
    if not isinstance(channel, str):
        raise TypeError(f"the name of a channel is a str, not {type(channel).__name__}")
    if not 0 < len(channel) <= _LONGEST_NAME:
        raise InvalidValue(f"the name of a channel has 1 to {_LONGEST_NAME} characters")
    return channel


def _packed(message: Any) -> bytes:
    try:
        if type(message) is str:
            return _TEXT + message.encode()
        if type(message) is bytes:
            return _BYTES + message
        return _DATA + dumps(message)
    except UnicodeEncodeError as error:
        raise InvalidValue(f"a message holds text that is none: {error}") from error
    except TypeError as error:
        raise TypeError(f"a message holds {error}; it may be {KEPT}") from error


def _unpacked(packed: bytes) -> Any:
    kind, message = packed[:1], packed[1:]
    if kind == _TEXT:
        return message.decode()
    return message if kind == _BYTES else loads(message)


class PlainChannels:
    """What plain functions get by naming ``channels``."""

    awaited = True

    def __init__(self, broker: Broker) -> None:
        self.awaitable = Channels(broker)
        self._broker = broker

    def publish(self, channel: str, message: Any) -> None:
        """Send a message as `Channels.publish` does, and return when it is sent."""
        wait(self.awaitable.publish(channel, message))

    def subscribe(self, channel: str) -> NoReturn:
        """Raise RuntimeError: a plain function would do nothing but wait for messages."""
        raise RuntimeError("to subscribe takes a coroutine function: write async def")

    def close(self) -> None:
        """Close the component."""
        wait(self._broker.close())


@provider(scope="app", name="channels", awaited=True)
def awaited_channels(channels: PlainChannels) -> Channels:
    """In coroutine functions: `Channels`, to be awaited."""
    return channels.awaitable


slot = Slot(
    name="channels",
    protocol=Broker,
    options=ChannelsOptions,
    providers=(awaited_channels,),
    waits=True,
    plain=PlainChannels,
    contract="kit.contracts.channels:ChannelsContract",
)


kit_after = ("kit.slots.identity",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``channels``."""
    return [slot]
