"""For every clause of the contract a component, or a kernel, that is broken in just that respect.

In class ``TestC7`` the test of clause C7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Timer
from typing import Any

import msgspec
import pytest

from kit.contracts import channels as contract
from kit.contracts.channels import ChannelsContract
from kit.errors import Unavailable
from kit.slots import channels
from kit.slots.channels import ChannelsOptions, Inbox, PlainChannels, Rooms


class Carrier:
    """A component that keeps the contract, for the others to break."""

    Inbox = Inbox

    def __init__(self, rooms: Rooms | None) -> None:
        self.options = ChannelsOptions(backlog=30)
        self.rooms = rooms

    async def publish(self, channel: str, message: bytes) -> None:
        if self.rooms is None:
            raise Unavailable("there is nothing to carry it")
        self.rooms.put(channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.rooms is None:
            raise Unavailable("there is nothing to carry it")
        inbox = self.Inbox(self.options.backlog)
        self.rooms.enter(channel, inbox)
        try:
            yield inbox
        finally:
            self.rooms.leave(channel, inbox)

    async def close(self) -> None:
        if self.rooms is not None:
            self.rooms.end("closed")


class Broken(ChannelsContract):
    Carrier: Callable[[Rooms | None], Any] = Carrier

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "SECONDS", 0.2)

    @pytest.fixture
    def rooms(self) -> Rooms:
        return Rooms()

    @pytest.fixture
    def component(self, rooms: Rooms) -> Any:
        return type(self).Carrier(rooms)

    @pytest.fixture
    def another(self, rooms: Rooms) -> Any:
        return type(self).Carrier(rooms)

    @pytest.fixture
    def away(self) -> Any:
        return type(self).Carrier(None)

    @pytest.fixture
    def cut(self, rooms: Rooms) -> Callable[[], None]:
        return lambda: rooms.end("cut")


def broken(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel by ``make(the original)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return replace


class TestC1(Broken):
    """Every second message overtakes the one before."""

    class Carrier(Carrier):
        held: bytes | None = None

        async def publish(self, channel: str, message: bytes) -> None:
            if self.held is None:
                self.held = message
            else:
                await super().publish(channel, message)
                await super().publish(channel, self.held)
                self.held = None


class TestC2(Broken):
    """Sent twice, as after a lost answer."""

    class Carrier(Carrier):
        async def publish(self, channel: str, message: bytes) -> None:
            await super().publish(channel, message)
            await super().publish(channel, message)


class TestC3(Broken):
    """Names are patterns."""

    class Carrier(Carrier):
        async def publish(self, channel: str, message: bytes) -> None:
            for one in list(self.rooms._inboxes):
                if fnmatch.fnmatchcase(channel, one):
                    await super().publish(one, message)


class TestC4(Broken):
    """The subscription is in force a little later."""

    class Carrier(Carrier):
        class Inbox(Inbox):
            begun = False

            def put(self, message: bytes) -> None:
                if self.begun:
                    super().put(message)
                self.begun = True


class TestC5(Broken):
    class Carrier(Carrier):
        async def publish(self, channel: str, message: bytes) -> None:
            await super().publish(channel, message[:65535])


class TestC6(Broken):
    """What does not fit is dropped."""

    class Carrier(Carrier):
        class Inbox(Inbox):
            def put(self, message: bytes) -> None:
                if len(self._messages) < self._backlog:
                    super().put(message)


class TestC7(Broken):
    class Carrier(Carrier):
        @asynccontextmanager
        async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
            self.left = asyncio.create_task(asyncio.sleep(0.1))
            async with super().subscribe(channel) as messages:
                yield messages


class TestC8(Broken):
    """It belongs to the event loop that uses it first."""

    class Carrier(Carrier):
        loop: asyncio.AbstractEventLoop | None = None

        async def publish(self, channel: str, message: bytes) -> None:
            self.loop = self.loop or asyncio.get_running_loop()
            if self.loop is not asyncio.get_running_loop():
                raise RuntimeError("attached to a different loop")
            await super().publish(channel, message)


class TestC9(Broken):
    class Carrier(Carrier):
        def __init__(self, rooms: Rooms | None) -> None:
            super().__init__(rooms if rooms is None else Rooms())


class TestC10(Broken):
    class Carrier(Carrier):
        async def publish(self, channel: str, message: bytes) -> None:
            if self.rooms is not None:
                await super().publish(channel, message)


class TestC11(Broken):
    """It connects again, and tells nobody."""

    @pytest.fixture
    def cut(self) -> Callable[[], None]:
        return lambda: None


class TestC12(Broken):
    class Carrier(Carrier):
        async def close(self) -> None:
            pass


class TestC13(Broken):
    kernel = broken(channels, "loads", lambda loads: msgspec.json.decode)


class TestC14(Broken):
    kernel = broken(channels, "_LONGEST_NAME", lambda longest: 10_000)


class TestC15(Broken):
    """It goes on before the message is sent."""

    kernel = broken(PlainChannels, "publish", lambda publish: lambda *given: late(publish, *given))


def late(publish: Callable[..., None], plain: PlainChannels, channel: str, message: Any) -> None:
    if type(message) is int:
        Timer(0.05, publish, (plain, channel, message)).start()
    else:
        publish(plain, channel, message)
